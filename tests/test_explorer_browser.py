"""The explorer in a real browser: what it shows is in the run's files, whatever one does to it, and nothing
that a sentence or a rerun brings makes it flicker, freeze or run a script.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browsing import EXPLORER, IN_A_BROWSER, Visitor
from folders import make_run

from kdviz.analysis import pair_kl, row_kl
from kdviz.analysis.apart import apart
from kdviz.explorer import page as file_page
from kdviz.explorer.pack import pack
from kdviz.explorer.source import preset_pack
from kdviz.locks import exclusive
from kdviz.runs.reader import Run

pytestmark = IN_A_BROWSER
HOSTILE = (
    "hostile",
    "</script><b>title</b>",
    "why <i>not</i>",
    '</script><script>window.struck=1</script> <img src=x onerror="window.struck=1"> שלום 🦊 \u202e =1+1',
    None,
    1,
)
RUN = "/attention?run=cola-soft&preset=negation"
THUMBNAILS = f"""() => {EXPLORER}.heads.thumbs.map(({{ canvas }}) =>
    [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data])"""


def decimals(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")


@pytest.fixture
def looking(visitor: Visitor) -> Iterator[Visitor]:
    visitor.open(RUN)
    visitor.picture()
    yield visitor


@pytest.mark.story(2, 3, 28)
def test_every_interaction_shows_the_numbers_of_the_files(looking: Visitor, runs: Path):
    """Without it a head, a pair or a moment could show the numbers of another."""
    run, page = Run(runs / "cola-soft"), looking.page
    teacher, last = run.teacher_maps("negation"), run.moments[-1].step
    kl = page.locator(".kx-tower [role=radio] .kx-kl")
    recorded = run.probe_lines[-1]["probes"]["negation"]["attention_kl"]
    assert kl.all_text_contents() == [decimals(value) for value in recorded]

    page.locator(".kx-tower [role=radio]").first.click(position={"x": 110, "y": 14})
    looking.params(layer="1")
    page.get_by_role("radio", name=re.compile("^head 2")).click()
    looking.params(layer="1", head="2")
    student_layer, teacher_layer = run.pairs[0]
    rows = row_kl(teacher[teacher_layer], run.student_maps(last, "negation")[student_layer])
    shown = page.locator(".kx-heads .kx-kl").all_inner_texts()
    assert shown == [decimals(recorded[0]), *(decimals(head.mean()) for head in rows)]

    page.get_by_role("slider", name="Moment of training").press("Home")
    looking.params(step="0")
    first = run.student_maps(0, "negation")[student_layer, 1]
    assert looking.cell("student", 1, 2) == pytest.approx(float(first[1, 2]), abs=5.1e-4)
    assert looking.cell("teacher", 1, 2) == pytest.approx(float(teacher[teacher_layer, 1, 1, 2]), abs=5.1e-4)
    text = page.locator(".kx-readout").inner_text()
    difference = float(teacher[teacher_layer, 1, 1, 2] - first[1, 2])
    assert f"difference {'+' * (difference > 0)}{decimals(difference)}" in text
    assert decimals(row_kl(teacher[teacher_layer, 1], first)[1]) in text
    page.locator(".kx-slider").press("Escape")

    before = row_kl(teacher[teacher_layer], run.student_maps(0, "negation")[student_layer])
    page.get_by_text("Table of numbers").click()
    cells = page.locator(".kx-table tbody tr td:last-child")
    looking.until(lambda: cells.count() == before.shape[-1], "the table")
    assert cells.all_inner_texts() == [decimals(value) for value in before[1]]

    page.get_by_role("button", name="Lines").click()
    looking.params(**{"as": "lines", "step": "0"})
    page.locator(".kx-slider").press("m")
    looking.until(lambda: "head=" not in page.url, "the mean in the address")


def test_what_one_does_costs_the_server_one_quiet_rerun(looking: Visitor):
    """Without it every look would cost a round trip, and a rerun would draw the picture under the hand."""
    page = looking.page
    page.evaluate(f"window.held = {EXPLORER}")
    sent = []
    page.on("websocket", lambda socket: sent.append("a new socket"))
    box = page.locator(".kx-figure").bounding_box()
    for place in range(40):
        page.mouse.move(box["x"] + 90 + 4 * place, box["y"] + 90 + 3 * place)
    looking.rest()
    assert "head=" not in page.url and "step=" not in page.url
    page.locator(".kx-slider").press(".")
    page.wait_for_function(f"performance.now() && {EXPLORER}.state.head === 0")
    moved = page.evaluate("performance.now()")
    page.wait_for_function("location.search.includes('head=1')")
    assert page.evaluate("performance.now()") - moved < 3000
    drawn = page.evaluate("held.drawn")
    looking.rest()
    page.wait_for_timeout(400)
    assert page.evaluate(f"held === {EXPLORER}") and page.evaluate("held.drawn") - drawn <= 1
    assert sent == []


def choose_two_heads_and_go_back(looking: Visitor) -> None:
    page = looking.page
    page.locator(".kx-slider").press(".")
    looking.params(head="1")
    page.locator(".kx-slider").press(".")
    looking.params(head="2")
    page.go_back()
    looking.until(lambda: looking.picture()["head"] == 0, "the head before")


def test_back_and_a_link_set_the_picture(looking: Visitor):
    """Without it Back would change the address and leave the picture where it was."""
    choose_two_heads_and_go_back(looking)
    assert "head=1" in looking.page.url


def test_what_was_chosen_before_going_back_can_be_chosen_again(looking: Visitor):
    """Without it the address would stay at the head before, whatever the picture shows."""
    choose_two_heads_and_go_back(looking)
    looking.rest()
    looking.page.locator(".kx-slider").press(".")
    looking.params(head="2")


def test_who_comes_back_to_the_page_finds_the_picture_as_it_was(looking: Visitor):
    """Without it a picture made anew would show the mean of heads under an address that names one."""
    page = looking.page
    page.locator(".kx-slider").press(".")
    looking.params(head="1")
    for name in ("Layers", "Attention"):
        page.get_by_role("link", name=name).first.click()
        looking.until(lambda name=name: f"/{name.lower()}" in page.url, name)
        looking.rest()
    assert looking.picture()["head"] == 0 and "head=1" in page.url


@pytest.mark.story(28)
def test_two_hundred_rapid_changes_end_where_they_should(looking: Visitor):
    """Without it answers of the server to a moment ago would throw the picture back."""
    page = looking.page
    last = page.evaluate(f"{EXPLORER}.packs[0].steps.length - 1")
    page.locator(".kx-slider").press("Home")
    page.evaluate(
        f"""async () => {{
            for (let change = 0; change < 200; change++) {{
                {EXPLORER}.set({{ moment: change % {last + 1}, head: change % 3, pair: change % 2 }})
                if (change % 9 === 0) await new Promise(done => setTimeout(done, 60))
            }}
        }}"""
    )
    wanted = (199 % (last + 1), 199 % 3, 199 % 2)
    looking.params(head=str(wanted[1] + 1))
    page.wait_for_timeout(1200)
    state = looking.rest().picture()
    assert (state["moment"], state["head"], state["pair"]) == wanted
    assert f"head={wanted[1] + 1}" in page.url and (f"step={state['step']}" in page.url) == (
        wanted[0] != last
    )


def test_a_rerun_while_dragging_does_not_let_go(looking: Visitor):
    """Without it a page that is made anew (here: the theme changes) would drop the cursor."""
    page = looking.page
    slider = page.get_by_role("slider", name="Moment of training")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    at = lambda share: (box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
    page.mouse.move(*at(0.2))
    page.mouse.down()
    page.mouse.move(*at(0.3))
    page.emulate_media(color_scheme="dark")
    page.wait_for_timeout(1500)
    page.mouse.move(*at(0.05))
    looking.until(lambda: looking.picture()["moment"] == 0, "the first moment, still dragging")
    assert page.evaluate(f"{EXPLORER}.theme.look().dark")
    page.mouse.up()
    looking.params(step="0")


@pytest.mark.story(24)
def test_two_tabs_do_not_move_each_other(browser, looking: Visitor):
    """Without it two viewers of one server would share a head."""
    other = Visitor(browser, looking.url).open(RUN)
    other.picture()
    looking.page.locator(".kx-slider").press(".")
    looking.params(head="1")
    assert other.rest().picture()["head"] is None and "head=" not in other.page.url
    other.page.context.close()


@pytest.mark.story(28)
def test_a_phone_is_answered_by_touch(browser, server: str):
    """Without it a phone would have to hover."""
    phone = Visitor(browser, server, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone.open(RUN)
    phone.picture()
    figure = phone.page.locator(".kx-figure")
    figure.scroll_into_view_if_needed()
    box = figure.bounding_box()
    phone.page.touchscreen.tap(box["x"] + 110, box["y"] + 90)
    phone.until(lambda: phone.picture()["focus"] is not None, "the lit cell")
    phone.until(lambda: "looks at" in phone.page.locator(".kx-readout").inner_text(), "its numbers")
    first = phone.page.locator(".kx-words span").first
    first.tap()
    assert phone.picture()["focus"] == {"query": 0, "key": 0}
    wide = phone.page.evaluate(
        "() => { const main = document.querySelector('[data-testid=stMain]');"
        " return main.scrollWidth - main.clientWidth }"
    )
    assert wide <= 1 and phone.faults == []
    phone.page.context.close()


@pytest.mark.story(8)
def test_hostile_words_are_text_everywhere(browser, visitor: Visitor, runs: Path, tmp_path: Path):
    """Without it a sentence could run a script in the browser of whoever opens its link or its report."""
    run = Run(make_run(runs, "hostile", probes=(HOSTILE,)))
    page = visitor.open("/attention?run=hostile").page
    visitor.picture()
    tokens = list(run.probes[0].tokens)
    assert page.locator(".kx-words span").all_inner_texts() == tokens
    assert page.evaluate("window.struck") is None
    page.locator(".kx-menu summary").last.click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Drawing (SVG)").click()
    drawing = Path(waiting.value.path()).read_text()
    assert "<script" not in drawing and "<img" not in drawing and "&lt;img" in drawing
    taken = tmp_path / "taken.html"
    taken.write_text(file_page([("</script>", [preset_pack(run, run.probes[0])])], title="x"))
    alone = browser.new_context().new_page()
    alone.goto(f"file://{taken}")
    alone.wait_for_function("document.querySelector('[data-picture]')?.explorer?.packs.length")
    assert alone.locator(".kx-words span").all_inner_texts() == tokens
    assert alone.evaluate("window.struck") is None
    alone.context.close()


@pytest.mark.story(15)
def test_the_file_draws_the_same_pixels(looking: Visitor, browser, runs: Path, tmp_path: Path):
    """Without it the report could show other shades than the lecture did."""
    run = Run(runs / "cola-soft")
    taken, faults = tmp_path / "taken.html", []
    packs = [(probe.title, [preset_pack(run, probe)]) for probe in run.probes]
    taken.write_text(file_page(packs, title="taken home"))
    home = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
    home.on("pageerror", lambda error: faults.append(str(error)))
    home.on("request", lambda request: request.url.startswith("http") and faults.append(request.url))
    home.goto(f"file://{taken}")
    home.wait_for_function("document.querySelector('[data-picture]')?.explorer?.packs.length")
    home.get_by_role("combobox").select_option(label="Negation")
    mine = "document.querySelector('[data-picture]').explorer"
    home.wait_for_function(f"{mine}.packs[0].about.title === 'Negation'")
    thumbnails = THUMBNAILS.replace(EXPLORER, mine)
    for name in ("Home", ".", "ArrowUp", "End"):
        looking.page.locator(".kx-slider").press(name)
        home.locator(".kx-slider").press(name)
        looking.until(
            lambda: home.evaluate(thumbnails) == looking.page.evaluate(THUMBNAILS),
            f"the same after {name}",
        )
    assert faults == []
    home.context.close()


@pytest.mark.story(4)
def test_a_live_run_grows_and_who_is_at_the_newest_stays(visitor: Visitor, runs: Path):
    """Without it a viewer would look at an old moment while the training went on."""
    folder = make_run(runs, "growing", strategy="all")
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    ends = [number for number, line in enumerate(lines) if json.loads(line)["kind"] == "probe"]
    status = json.loads((folder / "status.json").read_text())
    (folder / "metrics.jsonl").write_text("\n".join(lines[: ends[2] + 1]) + "\n")
    (folder / "status.json").write_text(json.dumps(status | {"state": "running"}))
    with exclusive(folder / "lock") as held:
        assert held
        live = visitor.open("/attention?run=growing")
        assert live.picture()["moment"] == 2
        live.page.evaluate(f"window.held = {EXPLORER}")
        with open(folder / "metrics.jsonl", "a") as file:
            file.write("\n".join(lines[ends[2] + 1 : ends[4] + 1]) + "\n")
        live.until(lambda: live.picture()["moment"] == 4, "the newest moment")
        assert live.page.evaluate(f"held === {EXPLORER}")
        live.page.locator(".kx-slider").press("Home")
        live.until(lambda: "step=0" in live.page.url, "the first moment in the address")
        with open(folder / "metrics.jsonl", "a") as file:
            file.write("\n".join(lines[ends[4] + 1 :]) + "\n")
        count = f"{EXPLORER}.packs[0].steps.length"
        live.until(lambda: live.page.evaluate(count) == len(ends), "all moments")
        assert live.picture()["moment"] == 0
    shutil.rmtree(folder)


@pytest.mark.story(26)
def test_the_first_screen_holds_the_finding_and_plays(visitor: Visitor):
    """Without it the point of the product would be two clicks away and half below the fold."""
    start = visitor.afresh(height=720).open("/")
    state = start.picture()
    assert len(state["runs"]) == 2
    for place in (".kx-finding", ".kx-figure", ".kx-slider"):
        box = start.page.locator(place).bounding_box()
        assert box["y"] > 0 and box["y"] + box["height"] <= 720, place
    assert start.page.get_by_text("kdviz", exact=False).first.bounding_box()["y"] < 130
    seen = set()
    start.until(lambda: seen.add(start.picture()["moment"]) or len(seen) > 2, "the training, playing")
    assert start.faults == []
    still = visitor.afresh(height=720, reduced_motion="reduce").open("/")
    before = still.picture()
    still.page.wait_for_timeout(2500)
    assert still.picture()["moment"] == before["moment"] and not before["playing"]


def test_the_finding_is_in_the_files(visitor: Visitor, runs: Path):
    """Without it the headline would be printed whatever the numbers are."""
    two = visitor.open("/attention?run=cola-all&with=cola-soft&preset=negation")
    two.picture()
    for name in ("all", "soft"):
        run = Run(runs / f"cola-{name}")
        recorded = run.probe_lines[-1]["probes"]["negation"]["attention_kl"]
        assert recorded == pytest.approx(
            pair_kl(
                run.teacher_maps("negation"), run.student_maps(run.moments[-1].step, "negation"), run.pairs
            ),
            abs=2e-3,
        )
    between = apart([Run(runs / "cola-all")], [Run(runs / "cola-soft")])
    said = two.page.locator(".kx-finding").inner_text()
    assert ("times as far" in said) == between.is_told_apart
    assert not between.is_told_apart or f"is {between.farther.times:.1f} times as far" in said
    assert (
        f"{between.farther.num_examples} evaluation examples" in two.page.locator(".kx-behind").inner_text()
    )


@pytest.mark.story(15)
def test_pictures_and_numbers_can_be_taken(looking: Visitor, tmp_path: Path):
    """Without it nothing seen here would reach a paper or a slide."""
    page = looking.page
    page.evaluate(f"{EXPLORER}.set({{ hide: true, renormalise: true, weak: 0.05 }})")
    looking.params(weak="0.05")
    for words, ending in (("Picture (PNG)", "png"), ("Drawing (SVG)", "svg"), ("Numbers (CSV)", "csv")):
        page.locator(".kx-menu summary").last.click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=words).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        assert path.suffix == f".{ending}" and path.stat().st_size > 1000
        page.locator(".kx-menu summary").last.click()
    names = {path.suffix: path for path in tmp_path.iterdir()}
    assert names[".png"].read_bytes()[:4] == b"\x89PNG"
    assert names[".svg"].read_text().startswith("<svg") and "nobody" in names[".svg"].read_text()
    edge, ends = page.evaluate(
        """source => {
            document.body.insertAdjacentHTML("beforeend", source)
            const drawing = document.body.lastElementChild, box = drawing.getBoundingClientRect()
            const ends = [...drawing.querySelectorAll("text")].map(each => each.getBoundingClientRect().right)
            drawing.remove()
            return [box.right, ends]
        }""",
        names[".svg"].read_text(),
    )
    assert max(ends) <= edge, "the explanation is cut at the right"
    tokens = page.evaluate(f"{EXPLORER}.packs[0].special.filter(each => !each).length")
    assert len(names[".csv"].read_text().strip().splitlines()) == tokens**2 + 1


def test_at_twice_the_size_the_cell_under_the_finger_is_lit(browser, server: str, runs: Path):
    """Without it a visitor who zooms would read the numbers of a neighbour, or scroll sideways."""
    near = Visitor(browser, server, viewport={"width": 640, "height": 400}, device_scale_factor=2).open(RUN)
    near.picture()
    page, figure = near.page, near.page.locator(".kx-figure")
    panel, cell = page.evaluate(f"[{EXPLORER}.layout.panels[0], {EXPLORER}.layout.cell]")
    figure.evaluate("figure => figure.scrollIntoView({ block: 'center' })")  # it is as high as the window
    figure.hover(position={"x": panel["x"] + 2.5 * cell, "y": panel["y"] + 1.5 * cell})
    near.until(lambda: near.picture()["focus"] == {"query": 1, "key": 2}, "the cell")
    run = Run(runs / "cola-soft")
    wanted = run.teacher_maps("negation")[run.pairs[-1][1]].mean(axis=0)[1, 2]
    words = f"teacher {decimals(float(wanted))}"
    near.until(lambda: words in page.locator(".kx-readout").inner_text(), words)
    main = "document.querySelector('[data-testid=stMain]')"
    assert page.evaluate(f"{main}.scrollWidth - {main}.clientWidth") <= 1
    page.context.close()


def test_above_the_slow_size_a_note_says_so_and_the_tab_still_answers(browser, tmp_path: Path):
    """Without it a long sentence would look like a broken page, or be one."""
    maps = np.random.default_rng(0).dirichlet(np.ones(96), size=(3, 2, 4, 96))
    packed = pack(
        tokens=[f"w{place}" for place in range(96)],
        pairs=[(0, 0), (1, 1)],
        teacher_maps=maps[0],
        student_maps=list(maps[1:]),
        steps=[0, 1],
        epochs=[0.0, 1.0],
        about={"run": "long", "name": "long", "teacher_layers": 2, "student_layers": 2},
    )
    path = tmp_path / "long.html"
    path.write_text(file_page([("long", [packed])], title="long"))
    page = browser.new_context().new_page()
    page.goto(f"file://{path}")
    page.wait_for_function("document.querySelector('[data-picture]')?.explorer?.packs.length")
    assert "96 tokens: drawing is slower above 64" in page.locator(".kx-note").inner_text()
    page.locator(".kx-slider").press("Home")
    page.wait_for_function("document.querySelector('[data-picture]').explorer.state.moment === 0")
    page.context.close()
