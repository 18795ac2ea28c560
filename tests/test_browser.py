"""The app in a real browser, as a visitor meets it: real server, real clicks, no network but the machine's
own.
"""

import re
from pathlib import Path

import pytest
from browsing import IN_A_BROWSER, Visitor

from kdviz.runs.reader import Run
from kdviz.ui.frame.store import DEMO_RUNS

pytestmark = IN_A_BROWSER


@pytest.mark.story(13, 25)
def test_the_first_visitor_may_come_by_a_deep_link(visitor: Visitor):
    """Without it the first link opened on a fresh server would show a page outside the app (Streamlit's older
    folder rule).
    """
    visitor.open("/attention?run=cola-soft&layer=1")
    visitor.page.get_by_role("link", name="Answers").wait_for()
    assert "layer=1" in visitor.page.url
    assert visitor.page.get_by_text("sample data, not GLUE").count()


def test_a_first_visit_is_light(browser, server: str):
    """Three megabytes of scripts as they lie on disk, or a chart library that nothing on the first screen
    needs, is what a room of thirty waits for.
    """
    newcomer = Visitor(browser, server)
    log, names, over_http, over_socket = newcomer.page.context.new_cdp_session(newcomer.page), [], [], []
    log.on("Network.requestWillBeSent", lambda told: names.append(told["request"]["url"]))
    log.on("Network.loadingFinished", lambda told: over_http.append(told["encodedDataLength"]))
    newcomer.page.on(
        "websocket", lambda socket: socket.on("framereceived", lambda data: over_socket.append(len(data)))
    )
    log.send("Network.enable")
    newcomer.open("/").picture()
    assert sum(over_http) <= 1_600_000 and sum(over_http) + sum(over_socket) <= 4_000_000
    assert len([name for name in names if name.startswith(server)]) <= 110
    assert not [name for name in names if re.search("plotly|arrow|pandas|deckgl", name, re.IGNORECASE)]
    assert not newcomer.faults


@pytest.mark.story(23)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_who_goes_from_page_to_page_by_keyboard_sees_where(visitor: Visitor, scheme: str):
    """Nobody could tell which link Enter would follow: its grey was fainter than that of the open page."""
    page = visitor.afresh(color_scheme=scheme).open("/").page
    seen = set()
    for _ in range(9):
        page.keyboard.press("Tab")
        name, style, width = page.evaluate(
            """() => {
                const link = document.activeElement, { outlineStyle, outlineWidth } = getComputedStyle(link)
                const isPage = link.closest('[data-testid="stTopNavLinkContainer"]')
                return [isPage && link.innerText, outlineStyle, parseFloat(outlineWidth)]
            }"""
        )
        if name:
            seen.add(name.strip())
            assert style == "solid" and width >= 2, name
    assert {"Start", "Distil", "Learn"} <= seen


@pytest.mark.story(4)
def test_arrow_keys_scrub_through_training(visitor: Visitor, runs: Path):
    """Without it the keys, the map and the link could drift apart."""
    visitor.open("/attention?run=cola-soft&preset=negation&layer=1&head=1&step=8")
    visitor.picture()
    visitor.page.locator("body").press("ArrowRight")
    visitor.params(step="12")
    run = Run(runs / "cola-soft")
    assert visitor.picture()["step"] == 12
    assert visitor.cell("student", 1, 2) == pytest.approx(
        float(run.student_maps(12, "negation")[0, 0, 1, 2]), abs=6e-4
    )


@pytest.mark.story(17)
def test_a_head_of_the_overview_opens_its_maps(visitor: Visitor):
    """Without it the overview would lead nowhere."""
    visitor.open("/layers?run=cola-all&show=heads")
    visitor.click_chart("heads", 2, 0)
    visitor.params(layer="1", head="3")
    assert "/attention" in visitor.page.url
    assert (visitor.picture()["pair"], visitor.picture()["head"]) == (0, 2)


@pytest.mark.story(10)
def test_a_point_of_a_curve_opens_its_moment(visitor: Visitor, runs: Path):
    """Without it curves and maps would be two worlds."""
    visitor.open("/layers?run=cola-all&with=none")
    line = Run(runs / "cola-all").evals[1]
    visitor.click_chart("layer 2", 1, line["mismatch"]["attention_kl"][1])
    visitor.params(step=str(line["step"]), layer="2")
    assert "/attention" in visitor.page.url


@pytest.mark.story(18)
def test_a_cell_of_the_table_filters_the_list(visitor: Visitor):
    """Without it counts and list could tell of different examples."""
    visitor.open("/answers?run=cola-all&show=mistakes")
    visitor.click_chart("cells", 1, 1)
    visitor.params(cell="both-wrong")
    assert visitor.page.get_by_text("Both wrong").count()


@pytest.mark.story(12)
def test_a_dot_of_the_stored_demo_opens_both_runs_maps_and_answers(visitor: Visitor):
    """Without it "same answer, different inside" would stay a cloud of dots: the maps behind a dot are the
    point of it.
    """
    soft = Run(DEMO_RUNS / "demo-cola-soft-6of12-s0")
    visitor.open("/answers?run=demo-cola-all-6of12-s0&show=inside&over=presets")
    dots = visitor.page.evaluate(
        """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => chart.data)
            .filter(trace => trace.customdata)
            .map(trace => ({x: [...trace.x], y: [...trace.y], data: trace.customdata}))""",
    )
    assert [cloud["data"][0][0] for cloud in dots] == [0, 1]
    place = max(range(1, len(soft.probes)), key=lambda place: dots[0]["y"][place])
    visitor.click_chart("median, soft", dots[0]["x"][place], dots[0]["y"][place])
    probe = soft.probes[dots[0]["data"][place][1]]
    visitor.params(preset=probe.id)
    assert "/attention" in visitor.page.url
    both = {soft.id, "demo-cola-all-6of12-s0"}
    visitor.until(lambda: set(visitor.picture()["runs"]) == both, "the run of the dot, beside the other")
    assert visitor.page.locator(".kx-words span").all_inner_texts() == list(probe.tokens)
    visitor.page.get_by_text(re.compile(r"Teacher: .+soft labels: .+ · right answer: ")).first.wait_for()


@pytest.mark.story(13)
def test_a_link_gives_the_same_view_in_a_private_window(browser, visitor: Visitor):
    """Without it a shared link would open something else."""
    visitor.open("/attention?run=cola-pid&preset=reflexive&step=12&layer=1&head=2&hide=1")
    other = Visitor(browser, visitor.url).open(visitor.page.url.removeprefix(visitor.url))
    here, there = visitor.picture(), other.picture()
    assert {**here, "drawn": 0} == {**there, "drawn": 0}
    assert (here["pair"], here["head"], here["step"], here["hide"]) == (0, 1, 12, True)
    assert other.cell("student", 2, 3) == visitor.cell("student", 2, 3)
    assert other.page.url == visitor.page.url
    other.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.story(23)
def test_both_themes_have_their_own_paper(visitor: Visitor, scheme: str):
    """Without it figures could be black on dark."""
    visitor.afresh(color_scheme=scheme).open("/layers?run=cola-all")
    ink = visitor.page.evaluate("document.querySelector('.js-plotly-plot')._fullLayout.font.color")
    assert ink == {"light": "#1B1F24", "dark": "#E8EBEF"}[scheme]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/attention",
        "/attention?show=training",
        "/layers",
        "/layers?show=heads",
        "/layers?run=demo-cola-all-6of12-s0&with=demo-cola-soft-6of12-s0",
        "/answers",
    ],
)
def test_a_phone_shows_all_of_a_page(visitor: Visitor, path: str):
    """Without it a visitor's phone would show half a page, or half of a chart's legend."""
    visitor.afresh(width=390, height=844).open(path)
    over = visitor.page.evaluate(
        "(() => { const main = document.querySelector('[data-testid=\"stMain\"]'); return main.scrollWidth "
        "- main.clientWidth })()"
    )
    assert over <= 1
    hidden = visitor.page.evaluate(
        """[...document.querySelectorAll('.js-plotly-plot')].map(({ _fullLayout: { legend } }) =>
            legend?._height ? legend._height - legend._effHeight : 0)"""
    )
    assert not any(hidden), "entries of a legend behind a scroll bar"


@pytest.mark.story(5)
def test_typing_survives_a_rerun(visitor: Visitor):
    """Without it half a sentence would vanish when the page is made anew for another reason (here: the room
    goes dark).
    """
    visitor.open("/attention?run=cola-soft&text=one")
    box = visitor.page.get_by_label("Your sentence")
    box.fill("half a sent")
    visitor.page.emulate_media(color_scheme="dark")
    visitor.page.wait_for_timeout(1000)
    visitor.rest()
    assert box.input_value() == "half a sent"


@pytest.mark.story(13)
def test_one_press_of_back_undoes_one_choice(visitor: Visitor):
    """Without it Back would stop at addresses that nobody chose: a page's bare one, a link put right; and
    within two seconds of a choice it would be taken for the browser's lateness, and undone.
    """
    page = visitor.open("/").page
    home = visitor.picture() and page.url
    page.get_by_role("link", name="Attention").click()
    page.wait_for_url("**/attention?*")
    visitor.rest().picture()
    addresses = [home, page.url]

    def chosen(**wanted: str) -> None:
        visitor.until(
            lambda: all(f"{name}={value}" in page.url for name, value in wanted.items()), f"{wanted}"
        )
        addresses.append(page.url)

    page.locator(".kx-tower [role=radio]").first.click(position={"x": 110, "y": 14})
    chosen(layer="1")
    page.locator(".kx-slider").press(".")
    chosen(layer="1", head="1")
    run = page.get_by_role("combobox", name="Run").first
    run.fill("cola-soft")
    page.get_by_role("option").filter(has_text="cola-soft").first.wait_for()
    run.press("Enter")
    visitor.until(lambda: page.url.split("run=")[1] != addresses[-1].split("run=")[1], "another run")
    visitor.rest()
    addresses.append(page.url)
    page.get_by_role("link", name="Layers").click()
    page.wait_for_url("**/layers?*")
    for address in reversed(addresses):
        page.go_back()
        visitor.until(lambda: page.url == address, address)  # noqa: B023
        visitor.rest()
    page.go_forward()
    visitor.until(lambda: page.url == addresses[1], addresses[1])
    visitor.rest()


@pytest.mark.story(13)
def test_quick_presses_of_back_keep_the_way_forward(visitor: Visitor):
    """Without it the page of an entry that was left again at once would write its address over another, or
    behind it, where it takes every entry ahead.
    """
    page = visitor.open("/").page
    visitor.picture()
    visitor.rest()  # the first page's address has its view only then
    addresses = [page.url]
    for name in ("Attention", "Layers", "Answers"):
        page.get_by_role("link", name=name).click()
        page.wait_for_url(f"**/{name.lower()}?*")
        visitor.rest()
        addresses.append(page.url)
    for pause in (0, 50, 250, 700):
        for step, end in ((-1, addresses[0]), (1, addresses[-1])):
            for _ in addresses[1:]:
                page.evaluate(f"history.go({step})")
                page.wait_for_timeout(pause)
            visitor.until(lambda: page.url == end, f"{end} after presses {pause} ms apart")  # noqa: B023
            visitor.rest()
            assert page.url == end
