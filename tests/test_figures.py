"""Figures: their numbers are the arrays', their labels complete and harmless, their look one and the same."""

import itertools
import json
import shutil

import numpy as np
import pytest
from plotly.subplots import make_subplots

from kdviz import analysis as compare
from kdviz import figures, palette
from kdviz.figures.base import log_axis, numbers, safe, spread, tick_text
from kdviz.figures.panels import Panels, side_by_side

TOKENS = ["[CLS]", "the", "dog", "saw", "the", "dog", ".", "[SEP]"]
LONG = ["[CLS]", *["the", "##ing", "<b>bold</b>", "&amp;", "שלום", "🙂", "a" * 40] * 9][:63] + ["[SEP]"]
PAIRS = [(0, 1), (1, 3), (2, 5)]
STAGES = [
    {"name": "pair 1", "layers": [0], "classification": "none", "epochs": 1},
    {"name": "pairs 1-2", "layers": [0, 1], "classification": "none", "epochs": 1},
    {"name": "answers", "layers": [], "classification": "soft", "epochs": 2},
]


def attention(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(shape[-1], 0.4), shape[:-1])


def run_curves(strategy: str, num_moments: int = 5, stages=()) -> figures.RunCurves:
    random = np.random.default_rng(len(strategy))
    return figures.RunCurves(
        run_id=f"run-{strategy}",
        label=f"{strategy}, seed 0",
        strategy=strategy,
        epochs=np.linspace(0, 3, num_moments),
        steps=np.arange(num_moments) * 10,
        pairs=PAIRS,
        attention_kl=random.random((num_moments, 3)),
        cls_distance=np.zeros((num_moments, 3)),
        stages=stages,
    )


def logits(seed: int, num: int = 30) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(num, 2))


def insides():
    teacher = logits(0)
    kl = np.random.default_rng(9).random((30, 3))
    kl[0] = 0
    return [
        ("soft labels", "soft", compare.inside(range(30), teacher, logits(1), kl)),
        ("stacked", "sid", compare.inside(range(30), teacher, teacher, kl / 9)),
    ]


def tables():
    label = np.arange(30) % 2
    return [
        ("soft", "soft", compare.right_wrong(label, logits(0), logits(1))),
        ("sid", "sid", compare.right_wrong(label, logits(0), logits(0))),
    ]


def head_figure(dark: bool):
    matrix = compare.head_kl_matrix([attention(4, 6, 6)], [attention(4, 6, 6)[[2, 0, 1, 3]]])
    return figures.head_matching(matrix, compare.match_heads(matrix), pair=(0, 1), over="1 preset", dark=dark)


SCORES = [
    figures.Score(
        label="teacher",
        strategy="teacher",
        value=0.9,
        low=0.85,
        high=0.95,
        parameters=22_000_000,
        milliseconds=3.2,
    ),
    figures.Score(label="sid, seed 0", strategy="sid", value=0.8, low=0.7, high=0.88, parameters=17_000_000),
    figures.Score(label="majority class", strategy="baseline", value=0.5),
]
TRAIN_LINES = [
    {"epoch": 0.0, "step": 0, "losses": {"attention_kl": {"0": 0.5}, "cls_distance": {"0": 0.01}}},
    {"epoch": 1.0, "step": 5, "losses": {"soft": 0.3}},
]
CKA = np.random.default_rng(0).random((3, 6))

FIGURES = {
    "layer_curves": lambda dark: figures.layer_curves(
        [run_curves("sid", stages=[(0, "pair 1"), (1, "pair 2")]), run_curves("soft")],
        over="30 examples",
        dark=dark,
    ),
    "layer_curves_one_moment": lambda dark: figures.layer_curves(
        [run_curves("sid", 1)], over="30 examples", axis="progress", dark=dark
    ),
    "score_curves": lambda dark: figures.score_curves(
        [
            figures.ScoreCurve(
                label="sid", strategy="sid", epochs=[0, 1], values=[0.5, 0.8], low=[0.4, 0.7], high=[0.6, 0.9]
            )
        ],
        score_name="accuracy",
        num_examples=30,
        teacher_score=0.9,
        dark=dark,
    ),
    "loss_curves": lambda dark: figures.loss_curves(
        TRAIN_LINES, PAIRS, strategy="sid", stages=[(1.0, "answers")], dark=dark
    ),
    "loss_curves_empty": lambda dark: figures.loss_curves([], PAIRS, strategy="sid", dark=dark),
    "heads_overview": lambda dark: figures.heads_overview(
        np.random.default_rng(0).random((3, 12)), PAIRS, over="30 examples", chosen=(1, 4), dark=dark
    ),
    "heads_overview_phone": lambda dark: figures.heads_overview(
        np.random.default_rng(0).random((3, 12)),
        PAIRS,
        over="30 examples",
        chosen=(1, 4),
        narrow=True,
        dark=dark,
    ),
    "head_matching": head_figure,
    "head_drift_chart": lambda dark: figures.head_drift_chart(
        [0, 1, 2], [0, 2, 1], [1, 0.5, 0.4], [2, 1, 0.6], num_heads=12, strategy="pid", dark=dark
    ),
    "inside_scatter": lambda dark: figures.inside_scatter(insides(), chosen=3, dark=dark),
    "inside_scatter_one": lambda dark: figures.inside_scatter(insides()[:1], dark=dark),
    "right_wrong_table": lambda dark: figures.right_wrong_table(tables(), chosen=(1, 0, 1), dark=dark),
    "phenomenon_dots": lambda dark: figures.phenomenon_dots(
        ["negation", "<role> swap"], [10, 20], [0.9, 0.8], [("sid", "sid", [0.8, 0.85])], dark=dark
    ),
    "scores_with_intervals": lambda dark: figures.scores_with_intervals(
        SCORES, score_name="accuracy", num_examples=30, dark=dark
    ),
    "score_against_parameters": lambda dark: figures.score_against_parameters(
        SCORES, score_name="accuracy", num_examples=30, dark=dark
    ),
    "matching_diagram": lambda dark: figures.matching_diagram(
        6, 3, PAIRS, chosen=1, values=[0.1, 0.2, 0.3], classification="soft", dark=dark
    ),
    "matching_diagram_crossed": lambda dark: figures.matching_diagram(
        6, 3, [(0, 4), (1, 2)], active=[0], dark=dark
    ),
    "stage_film": lambda dark: figures.stage_film(6, 3, PAIRS, STAGES, strategy="sid", active=1, dark=dark),
    "cka_film": lambda dark: figures.cka_film([CKA, CKA / 2], [0, 1], PAIRS, over="30 examples", dark=dark),
}


def font_sizes(node) -> list[float]:
    if isinstance(node, dict):
        own = (
            [node["size"]]
            if "size" in node
            and ("family" in node or "color" in node)
            and isinstance(node["size"], (int, float))
            and "symbol" not in node
            else []
        )
        return own + list(itertools.chain.from_iterable(font_sizes(value) for value in node.values()))
    return (
        list(itertools.chain.from_iterable(font_sizes(value) for value in node))
        if isinstance(node, list)
        else []
    )


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_wears_the_common_look(name):
    """A figure with its own background is a white box on a dark page; small type cannot be read from the back
    row.
    """
    light, dark = json.loads(FIGURES[name](False).to_json()), json.loads(FIGURES[name](True).to_json())
    for drawn, look in ((light, palette.LIGHT), (dark, palette.DARK)):
        layout = drawn["layout"]
        assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
        assert layout["font"]["color"] == look.text and layout["height"] >= 150
        assert min(font_sizes(layout), default=12) >= 12
        assert drawn["data"] or "no step yet" in layout["annotations"][0]["text"]
    assert len(json.dumps(light)) < 2_000_000


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_changes_when_drawn_twice(name):
    """A figure that differs between reruns loses the viewer's selection."""
    assert FIGURES[name](False).to_json() == FIGURES[name](False).to_json()


def test_panels_stand_where_plotly_would_put_them():
    """Our own grid spares the time of plotly's, but must not shift a picture."""
    theirs = make_subplots(
        1, 4, column_widths=[0.3, 0.3, 0.3, 0.1], shared_yaxes=True, horizontal_spacing=0.022
    )
    panels = Panels(side_by_side([0.3, 0.3, 0.3, 0.1], spacing=0.022), shared_y=True, dark=False)
    panels.x_axis(2, title={"text": "tokens"})
    panels.add({"type": "scatter", "x": [1], "y": [1]}, 4)
    for panel in (3, 4):
        panels.vertical_line(1.5, line={"width": 1}, panel=panel)
    ours = panels.figure(height=300)
    for name in ("xaxis", "xaxis2", "xaxis3", "xaxis4", "yaxis", "yaxis2", "yaxis3", "yaxis4"):
        assert (
            ours.layout[name].domain == pytest.approx(theirs.layout[name].domain)
            and ours.layout[name].anchor == theirs.layout[name].anchor
        )
        assert (
            ours.layout[name].matches == theirs.layout[name].matches
            and ours.layout[name].showticklabels == theirs.layout[name].showticklabels
        )
    theirs.add_scatter(x=[1], y=[1], row=1, col=4)
    theirs.add_vline(x=1.5, line={"width": 1}, row=1, col="all")
    assert ours.layout.shapes == theirs.layout.shapes and len(ours.layout.shapes) == 1
    assert (
        ours.layout.xaxis2.title.text == "tokens"
        and ours.layout.xaxis2.title.font == ours.layout.xaxis.title.font
    )


def test_hostile_tokens_are_shown_as_text():
    """plotly reads tags in labels: a token could draw a link."""
    assert safe("  ") == "␣" and safe("a\nb") == "a b" and "<" not in safe("<b>bold</b>")


def test_heads_stand_for_themselves_on_a_phone_too():
    """Turned round, a click must still name the pair first and the head second."""
    kl = np.random.default_rng(0).random((3, 12))
    figure = figures.heads_overview(kl, PAIRS, over="30 examples", chosen=(1, 4), narrow=True)
    assert np.allclose(np.array(figure.data[0].z, float), kl.T, atol=1e-5)
    clicks = next(trace for trace in figure.data if trace.name == "heads")
    assert [[x, y] for x, y in zip(clicks.x, clicks.y, strict=True)] == [
        list(cell) for cell in clicks.customdata
    ]
    frame = figure.layout.shapes[0]
    assert (frame.x0 + frame.x1, frame.y0 + frame.y1) == pytest.approx((2, 8))
    assert list(figure.layout.yaxis.range) == [11.5, -0.5]


def test_layer_curves_lead_back_to_their_points():
    """A click has to name run, pair and step, and a distance of 0 must not vanish from a logarithmic axis."""
    first, second = run_curves("sid", stages=[(0, "pair 1"), (1.5, "pair 2")]), run_curves("soft")
    figure = figures.layer_curves([first, second], over="30 examples")
    lines = [trace for trace in figure.data if trace.customdata is not None]
    assert len(lines) == 2 * 2 * 3
    assert list(lines[0].customdata[2]) == ["run-sid", 0, 20] and np.allclose(
        lines[0].y, first.attention_kl[:, 0], atol=1e-6
    )
    assert all(value > 0 for trace in figure.data if trace.yaxis == "y2" for value in trace.y)
    assert {trace.line.dash for trace in lines} == {"longdash", "dot"}
    assert sum(trace.showlegend for trace in lines) == 6
    assert [note.text for note in figure.layout.annotations].count("pair 2") == 2
    shares = figures.layer_curves([first], over="", axis="progress").data[0].x
    assert shares[0] == 0 and shares[-1] == 1
    assert figures.layer_curves([first], over="", axis="step").data[0].x[-1] == 40


def test_an_absent_loss_term_breaks_its_line():
    """A term that is not active is absent, not 0: drawing 0 would claim a perfect layer."""
    figure = figures.loss_curves(TRAIN_LINES, PAIRS, strategy="sid")
    drawn = {trace.name: list(trace.y) for trace in figure.data if trace.xaxis != "x3"}
    assert drawn["soft labels (T²·KL, nats)"] == [None, 0.3] and drawn[
        "student layer 1 ↔ teacher layer 2"
    ] == [0.5, None]
    assert len(drawn) == 2


def test_head_matching_reorders_the_student():
    """With the best partners on the diagonal a permuted copy has to show a diagonal of zeros."""
    figure = head_figure(False)
    assert np.allclose(np.diag(np.array(figure.data[0].z, float)), 0)
    assert list(figure.layout.xaxis.ticktext) == ["2", "3", "1", "4"]
    assert list(figure.data[1].customdata[0]) == [0, 1]


def test_the_inside_figure_states_its_own_claim():
    """The sentence on top is a number: the ratio of the medians over the examples on which both agree with
    the teacher.
    """
    runs = insides()
    shared = np.intersect1d(*(run.index[run.agrees] for _, _, run in runs))
    ratio = np.median(runs[0][2].attention_kl[shared]) / np.median(runs[1][2].attention_kl[shared])
    text = " ".join(note.text or "" for note in figures.inside_scatter(runs).layout.annotations)
    assert f"{ratio:.1f} times as far" in text and f"{len(shared)} of 30" in text
    points = [trace for trace in figures.inside_scatter(runs).data if trace.customdata is not None]
    assert [len(trace.x) for trace in points] == [30, 30] and min(points[0].y) > 0
    assert list(points[1].customdata[4]) == [1, 4]


def test_the_table_shows_counts_and_shares():
    """Counts add to n; the shares below are the paper's Table 3."""
    figure = figures.right_wrong_table(tables())
    for trace, (_, _, table) in zip(
        (trace for trace in figure.data if trace.type == "heatmap"), tables(), strict=True
    ):
        assert np.sum(np.array(trace.z, float)) == pytest.approx(1, abs=1e-4)
        assert f"<b>{table.counts[0, 0]}</b>" in trace.text[0][0]
    assert any(note.text.startswith("keeps <b>100.0%</b>") for note in figure.layout.annotations)


def test_the_diagram_stands_partners_side_by_side():
    """Layer 1 is at the bottom and a matched pair is level, as in the paper's figure."""
    figure = figures.matching_diagram(6, 3, PAIRS, chosen=2)
    student = next(trace for trace in figure.data if trace.name == "student")
    assert list(student.y) == [1, 3, 5] and [list(item) for item in student.customdata] == [[0], [1], [2]]
    crossed = next(
        trace for trace in figures.matching_diagram(6, 3, [(0, 4), (1, 2)]).data if trace.name == "student"
    )
    assert list(crossed.y) == [0, 2.5, 5]


def test_the_stage_film_lights_the_layers_of_each_stage():
    """The moving picture teaches what PID and SID do: a wrong layer would teach it wrongly."""
    figure = figures.stage_film(6, 3, PAIRS, STAGES, strategy="pid")
    for frame, stage in zip(figure.frames, STAGES, strict=True):
        student = next(trace for trace in frame.data if trace.name == "student")
        lit = [
            layer
            for layer, colour in enumerate(student.marker.color)
            if colour == palette.STRATEGY_STYLES["pid"].colour
        ]
        assert lit == stage["layers"]
        classifiers = next(trace for trace in frame.data if trace.name == "classifiers")
        assert (classifiers.text[1] == "soft labels") == (stage["classification"] == "soft")


def test_cka_marks_the_most_similar_layer():
    """Where a layer sits is the row's maximum."""
    figure = figures.cka_film([CKA, CKA[:, ::-1]], [0, 1], PAIRS, over="30 examples", active=0)
    assert list(figure.data[1].x) == CKA.argmax(axis=1).tolist()
    assert list(figure.frames[1].data[1].x) == (5 - CKA.argmax(axis=1)).tolist()


def test_the_palette_is_even_and_tells_runs_apart():
    """A scale with a jump draws an edge where there is none; two runs in one dash cannot be told apart in
    print.
    """
    for look in (palette.LIGHT, palette.DARK):
        steps = np.diff([lightness(colour) for colour in look.sequential])
        assert (np.sign(steps) == np.sign(steps[0])).all() and np.ptp(np.abs(steps)) < 0.02
        sides = [lightness(colour) for colour in look.diverging]
        assert np.allclose(
            np.abs(np.array(sides[:5]) - sides[5]), np.abs(np.array(sides[:5:-1]) - sides[5]), atol=0.1
        )
        assert look.diverging[5] == look.sequential[0] == look.background
    styles = palette.run_styles(["sid", "sid", "soft", "unknown", "all", "sid"])
    assert (
        len({style.dash for style in styles})
        == len({style.colour for style in styles})
        == len({style.symbol for style in styles})
        == 6
    )


@pytest.mark.parametrize("dark", [False, True])
def test_numbers_in_cells_stand_out_from_their_cell(dark):
    """plotly's own choice of ink is grey on mid-tones: not to be read from the back row."""
    look = palette.theme(dark)
    for share in np.linspace(0, 1, 101):
        cell = palette.colour_at(look.sequential, share)
        assert palette.contrast(palette.ink(cell), cell) >= 4.5
        assert palette.contrast(look.text, palette.colour_at(look.sequential[:4], share)) >= 4.5
    figure = figures.heads_overview(
        np.array([[0.0, 0.5, np.nan, 1.0]]), [(0, 1)], over="1 example", dark=dark
    )
    written = next(trace for trace in figure.data if trace.name == "numbers")
    assert list(written.text) == ["0.00", "0.50", "", "1.00"]
    assert written.textfont.color[0] == palette.ink(look.sequential[0]) and written.textfont.color[
        -1
    ] == palette.ink(look.sequential[-1])
    assert palette.contrast("#FFFFFF", "#000000") == pytest.approx(21)


def lightness(colour: str) -> float:
    """OKLab lightness of `#RRGGBB`."""
    channels = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    cones = np.cbrt(
        np.array(
            [
                [0.41222147, 0.53633254, 0.05144599],
                [0.2119035, 0.6806995, 0.1073970],
                [0.0883025, 0.2817188, 0.6299787],
            ]
        )
        @ linear
    )
    return float(cones @ [0.2104542553, 0.7936177850, -0.0040720468])


def test_score_against_size_wears_one_style_a_strategy():
    """Labels at the points lay over each other where sizes are equal; another marker for another depth reads
    as another strategy.
    """
    depths = {1: 10_000_000, 2: 12_000_000}
    scores = [
        figures.Score(
            label=f"{strategy}, {depth} layers",
            strategy=strategy,
            value=0.5,
            parameters=size,
            num_layers=depth,
        )
        for depth, size in depths.items()
        for strategy in ("all", "sid", "all")
    ]
    figure = figures.score_against_parameters(scores, score_name="accuracy", num_examples=30)
    drawn = [trace for trace in figure.data if not trace.showlegend and trace.showlegend is not None]
    assert [trace.name for trace in drawn] == [score.label for score in scores] and not any(
        trace.text for trace in drawn
    )
    # At its own size each: models of one size once stood spread over a million parameters.
    assert [trace.x[0] for trace in drawn] == [score.parameters / 1e6 for score in scores]
    assert all(
        above.marker.size < below.marker.size
        for below, above in itertools.pairwise(drawn)
        if above.x[0] == below.x[0]
    ), "equal scores of one size would hide each other"
    first, second = drawn[:3], drawn[3:]
    assert [trace.marker.symbol for trace in first] == [trace.marker.symbol for trace in second] and len(
        {trace.marker.symbol for trace in first}
    ) == 3
    assert [trace.name for trace in figure.data if trace not in drawn] == ["all", "sid", "all, 2 layers"]
    assert [note.text for note in figure.layout.annotations][:3] == ["layers:", "<b>1</b>", "<b>2</b>"]


def test_small_helpers():
    """Blank for what is not a number, ticks inside the range, labels that never swap places."""
    assert numbers([[1 / 3, np.nan], [np.inf, -0.0]], 3) == [[0.333, None], [None, 0.0]]
    axis = log_axis(np.array([0.05, 0.9]))
    assert 0.1 in axis["tickvals"] and axis["range"][0] < np.log10(0.05)
    assert [tick_text(tick) for tick in (5.0, 0.001, 1e-4, 2e-5)] == [
        "5",
        "0.001",
        "10<sup>−4</sup>",
        "2·10<sup>−5</sup>",
    ]
    assert spread([0.3, 0.1, 0.11], 0.1) == pytest.approx([0.3, 0.1, 0.2])


@pytest.mark.slow
def test_nothing_is_cut_in_a_browser(tmp_path):
    """Labels are measured by the browser's font, not by our guess: text outside the picture is lost for the
    reader.
    """
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on the PATH")
    from plotly.offline import get_plotlyjs

    file = tmp_path / "figures.html"
    file.write_text(
        "<meta charset='utf-8'><body style='margin:0'><div "
        f"id='place'></div><script>{get_plotlyjs()}</script>",
        encoding="utf-8",
    )
    draw = (
        "([figure]) => Plotly.newPlot('place', figure.data, figure.layout, {responsive: true}).then(() => 0)"
    )
    outside = """() => {
        const frame = document.querySelector('.main-svg').getBoundingClientRect();
        return [...document.querySelectorAll('.main-svg text')]
            .filter(node => node.textContent.trim()
                && node.getBoundingClientRect().width > 0).filter(node => {
            const box = node.getBoundingClientRect();
            return box.left < frame.left - 1 || box.right > frame.right + 1
                || box.top < frame.top - 1 || box.bottom > frame.bottom + 1;
        }).map(node => node.textContent);
    }"""
    with playwright.sync_playwright() as context:
        browser = context.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.set_default_timeout(60_000)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(file.as_uri())
        cut = {}
        for name, build in FIGURES.items():
            page.evaluate(draw, [json.loads(build(name.endswith("film")).to_json())])
            if texts := page.evaluate(outside):
                cut[name] = texts
        browser.close()
    assert errors == [] and cut == {}
