"""Stories that no other browser test walks, each as its person would (the table: tests/test_stories.py)."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import IN_A_BROWSER, PATIENT, Visitor

from kdviz.runs.reader import Run

pytestmark = IN_A_BROWSER
TRACES = "() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => chart.data)"


@pytest.fixture(scope="module")
def asking(browser, trained_server: str) -> Iterator[Visitor]:
    window = Visitor(browser, trained_server)
    yield window
    window.page.context.close()


@pytest.fixture
def asked(asking: Visitor) -> Iterator[Visitor]:
    """A window of the server whose runs keep their weights."""
    yield asking.afresh()
    faults = list(asking.faults)
    asking.leave()
    assert faults == []


@pytest.mark.story(1)
def test_there_is_something_to_see_at_once(visitor: Visitor):
    """A room that waits for its first picture is lost before the lecture begins."""
    visitor.open("/distil")  # the first window of a server pays for its imports
    begin = time.monotonic()
    visitor.page.goto(visitor.url)
    visitor.picture()
    assert time.monotonic() - begin < 5 * PATIENT
    visitor.rest()
    words = visitor.page.locator("[data-testid=stMain]").inner_text()
    assert "KL" in words and re.search(r"0\.\d\d", words)
    visitor.open("/layers")
    assert any("layer" in (trace.get("name") or "") for trace in visitor.page.evaluate(TRACES))


@pytest.mark.story(8)
@pytest.mark.parametrize(
    "text",
    [
        "the old dog sees nobody",
        "<script>window.struck = 1</script></script>",
        "שלום 🦊 \u202e world",
        "many words " * 400,
    ],
    ids=["plain", "markup", "other scripts", "long"],
)
def test_my_own_sentence_is_answered_as_text(asked: Visitor, text: str):
    """The first thing a visitor does is type; markup must stay text, and what is cut must be said."""
    asked.open("/attention?run=tiny-all&text=one")
    box = asked.page.get_by_label("Your sentence")
    box.fill(text[:5000])
    box.press("Enter")
    first = re.findall(r"\w+", text.lower())[0]
    asked.until(
        lambda: first in "".join(asked.page.locator(".kx-words span").all_inner_texts()).replace("##", ""),
        "the words of the sentence",
    )
    asked.rest()
    assert asked.page.evaluate("window.struck") is None
    assert asked.page.get_by_test_id("stException").count() == 0
    assert asked.page.get_by_text("the rest was cut").count() == (len(text) > 1000)


@pytest.mark.story(9)
def test_presets_say_why_they_are_worth_a_look(visitor: Visitor, runs: Path):
    """A list of sentences without reasons teaches nothing."""
    visitor.open("/attention?run=cola-all&preset=negation").picture()
    probes = Run(runs / "cola-all").probes
    assert len(probes) >= 4
    for probe in (probes[0], probes[2]):
        visitor.page.get_by_role("combobox", name="Sentence").click()
        visitor.page.get_by_role("option").filter(has_text=probe.title).first.click()
        visitor.params(preset=probe.id)
        visitor.until(
            lambda: visitor.page.locator(".kx-words span").all_inner_texts() == list(probe.tokens),  # noqa: B023
            "its words",
        )
        assert probe.reason in visitor.page.locator("[data-testid=stMain]").inner_text()


@pytest.mark.story(11)
def test_scores_are_those_of_the_files(visitor: Visitor, runs: Path):
    """A score that is not the file's is worse than none."""
    visitor.open("/answers?run=cola-all")
    line = Run(runs / "cola-all").evals[-1]
    chart = visitor.page.locator(".js-plotly-plot").first.text_content()
    for value in (line["metrics"]["matthews"], line["teacher_metrics"]["matthews"]):
        assert f"{value:.3f}" in chart
    assert "Matthews correlation" in chart and "n = 24" in chart


@pytest.mark.story(15)
def test_a_report_taken_home_moves_without_a_server(asked: Visitor, browser, tmp_path: Path):
    """What is taken home has to be whole: no server, no network."""
    asked.open("/attention?run=tiny-all").picture()
    asked.page.get_by_role("button", name="Share").first.click()
    with asked.page.expect_download() as waiting:
        asked.page.get_by_role("button", name="Report").first.click()
    taken = tmp_path / "report.html"
    waiting.value.save_as(taken)
    assert 10_000 < taken.stat().st_size < 10_000_000
    requests: list[str] = []
    home = browser.new_context(offline=True).new_page()
    home.on("request", lambda request: requests.append(request.url))
    home.goto(f"file://{taken}")
    home.wait_for_function("document.querySelector('[data-picture]')?.explorer?.packs.length")
    assert [url for url in requests if url.startswith("http")] == []
    home.context.close()


@pytest.mark.story(16)
def test_partners_of_heads_are_the_best_assignment(visitor: Visitor):
    """Heads have no order: index by index, a permuted copy of the teacher would look like a stranger."""
    visitor.open("/layers?run=cola-all&show=partners")
    matrices = [
        trace
        for trace in visitor.page.evaluate(
            """() => [...document.querySelectorAll('.js-plotly-plot')].flatMap(chart => chart._fullData)
                .filter(trace => trace.type === 'heatmap').map(trace => trace.z.map(row => [...row]))"""
        )
        if len(trace) == 3
    ]
    assert matrices, "the KL of every teacher head against every student head"
    matrix = matrices[0]
    diagonal = sum(matrix[place][place] for place in range(3))
    orders = ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))
    assert diagonal <= min(sum(matrix[row][order[row]] for row in range(3)) for order in orders) + 1e-6


@pytest.mark.story(19)
def test_filters_are_in_the_picture_and_in_the_link(visitor: Visitor):
    """A filter that the link forgets shows the next person another picture."""
    visitor.open("/attention?run=cola-all&preset=negation").picture()
    visitor.page.locator(".kx-menu summary").filter(has_text="Filters").click()
    visitor.page.get_by_label("Hide special tokens").check()
    visitor.params(hide="1")
    assert visitor.picture()["hide"] and not visitor.picture()["renormalise"]
    visitor.page.get_by_label("Let the rest sum to 1 again").check()
    visitor.until(lambda: visitor.picture()["renormalise"], "rows that sum to 1 again")
    visitor.open(visitor.page.url.removeprefix(visitor.url))
    assert visitor.picture()["hide"]


@pytest.mark.story(20)
@pytest.mark.parametrize("panel", ["bertviz", "bertviz-model"])
def test_bertviz_draws_both_models_offline(visitor: Visitor, panel: str):
    """BertViz asks a CDN for its scripts, and is blank in a lecture room without a network."""
    visitor.open(f"/attention?run=cola-all&preset=negation&show={panel}")
    frames = visitor.page.locator("iframe")
    visitor.until(lambda: frames.count() == 2, "teacher and student")
    for place in range(2):
        drawn = visitor.page.frame_locator("iframe").nth(place).locator("svg line, svg path, svg rect")
        visitor.until(lambda: drawn.count() > 0, "its lines")  # noqa: B023
    visitor.rest()


@pytest.mark.story(21)
def test_runs_laid_over_each_other_differ_by_dash_and_colour(visitor: Visitor):
    """Two lines of one dash are one line for who sees no colour."""
    visitor.open("/layers?run=cola-all&with=cola-soft")
    lines = [
        trace["line"]
        for trace in visitor.page.evaluate(TRACES)
        if trace.get("line", {}).get("color") and "layer" in (trace.get("name") or "")
    ]
    assert len({line["color"] for line in lines}) >= 2
    assert len({line.get("dash", "solid") for line in lines}) >= 2
    visitor.open("/answers?run=cola-all&with=cola-soft&show=runs")
    assert visitor.page.get_by_test_id("stDataFrame").count()
    visitor.open("/layers?run=cola-all&with=mrpc-all")
    assert "mrpc" not in json.dumps([trace.get("name") for trace in visitor.page.evaluate(TRACES)])


@pytest.mark.story(22)
def test_the_tour_goes_on_and_answers_its_question(visitor: Visitor):
    """A tour whose steps do not open what they speak of is a slide show."""
    visitor.open("/learn?lecture=the-paper&at=1")
    seen = set()
    for at in (2, 3):
        visitor.page.get_by_role("button", name="Next", exact=True).click()
        visitor.params(at=str(at))
        seen.add(visitor.page.locator("[data-testid=stMain]").inner_text())
    assert len(seen) == 2
    assert visitor.page.get_by_test_id("stException").count() == 0


@pytest.mark.story(24)
def test_many_windows_stand_and_none_can_harm_anothers_run(visitor: Visitor, browser, server: str):
    """Thirty viewers, here three: each sees its own view, and no one else's run can be stopped or deleted."""
    others = [Visitor(browser, server) for _ in range(2)]
    windows = [visitor, *others]
    for window in windows:
        window.page.goto(server + "/distil")
    for window in windows:
        window.page.get_by_role("button", name="Start", exact=True).wait_for()
        for forbidden in ("Stop", "Resume", "Delete", "Clear cache"):
            assert window.page.get_by_role("button", name=forbidden, exact=True).count() == 0
        assert window.faults == []
    for window in others:
        window.page.context.close()


@pytest.mark.story(25)
def test_a_broken_run_is_one_line_and_the_rest_works(visitor: Visitor, runs: Path):
    """One damaged folder must not take the lecture down."""
    assert (runs / "broken").is_dir()
    visitor.page.goto(visitor.url + "/distil")
    visitor.page.get_by_text("broken cannot be read").first.wait_for()
    visitor.open("/attention?run=cola-all").picture()
    assert visitor.page.get_by_text("sample data, not GLUE").count()


@pytest.mark.story(27)
def test_typing_on_the_first_screen_is_answered_in_the_picture(asked: Visitor):
    """A visitor's first wish is their own sentence, answered by teacher, soft and internal student."""
    asked.open("/?run=tiny-all").picture()
    box = asked.page.get_by_label("Try your own sentence")
    for text in ("the child helps nobody", "the teacher likes a horse"):
        begin = time.monotonic()
        box.fill(text)
        box.press("Enter")
        asked.until(
            lambda: text.split()[-1] in asked.page.locator(".kx-words span").all_inner_texts(),  # noqa: B023
            "its words",
        )
        seconds = time.monotonic() - begin
        asked.rest()
    assert seconds < 1 * PATIENT
    assert sorted(asked.picture()["runs"]) == ["tiny-all", "tiny-soft"]


@pytest.mark.story(30)
def test_the_room_follows_and_may_let_go(asked: Visitor, browser, trained_server: str):
    """Phones that stay behind the presenter are worse than none."""
    presenter = asked.open("/?present=the-paper&at=1")
    presenter.page.get_by_role("button", name="Room").first.click()
    presenter.page.get_by_label("Presenter's code").last.fill("blue")
    presenter.page.get_by_role("button", name="Unlock").click()
    lead = presenter.page.get_by_role("button", name="Lead the room")
    if not lead.is_visible():
        presenter.rest()
        if not lead.is_visible():
            presenter.page.get_by_role("button", name="Room").first.click()
    lead.click()
    phone = Visitor(browser, trained_server, viewport={"width": 390, "height": 844})
    phone.page.goto(trained_server + "/?follow=1")
    phone.page.get_by_text("You see what the presenter shows").wait_for()
    presenter.page.keyboard.press("Escape")
    presenter.open("/?present=the-paper&at=1")

    def title() -> str:
        return phone.page.get_by_role("heading").first.inner_text()

    phone.until(lambda: phone.page.get_by_role("heading").count() > 0, "the step")
    before = title()
    begin = time.monotonic()
    presenter.page.get_by_role("button", name="arrow_forward").or_(
        presenter.page.locator(".st-key-kdviz-bar-next button")
    ).first.click()
    phone.until(lambda: title() != before, "the presenter's next step")
    assert time.monotonic() - begin < 1.5 * PATIENT
    phone.page.get_by_role("button", name="Let go").click()
    phone.page.get_by_text("You look around on your own").wait_for()
    phone.page.context.close()


@pytest.mark.story(32)
def test_a_studys_table_stands_beside_the_papers_numbers(visitor: Visitor):
    """The table is what a claim rests on: it has to be there before anybody has trained anything."""
    visitor.open("/studies")
    assert visitor.page.get_by_test_id("stDataFrame").count()
    words = visitor.page.locator("[data-testid=stMain]").inner_text()
    assert "paper" in words.lower() and "seed" in words.lower()
