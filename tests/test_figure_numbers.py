"""Figures: their numbers are the arrays', their labels complete and harmless."""

import itertools

import numpy as np
import pytest
from drawings import CKA, PAIRS, STAGES, TRAIN_LINES, head_figure, insides, run_curves, tables

from kdviz import figures, palette
from kdviz.analysis import Inside
from kdviz.figures.answers import MOST_DOTS
from kdviz.figures.base import safe


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


def test_the_teachers_line_strikes_out_no_score():
    """A student as good as its teacher had its number crossed through by the line it is held against."""
    scores = [
        figures.Score(label=label, strategy=strategy, value=value, low=value - 0.1, high=value + 0.1)
        for label, strategy, value in (
            ("teacher", "teacher", 0.75), ("same", "all", 0.75), ("below", "soft", 0.74), ("far", "sid", 0.4)
        )
    ]  # fmt: skip
    drawn = figures.scores_with_intervals(scores, score_name="accuracy", num_examples=30).data
    assert [trace.textposition for trace in drawn] == ["top right", "top right", "top left", "top center"]


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


def test_of_many_examples_a_sample_is_drawn_and_said_and_every_number_is_over_all():
    """40,430 dots a run made a report of 17 MB that no mail server takes; a median over the dots alone would
    be another number under the same name.
    """
    draw, n = np.random.default_rng(0), 40_430
    runs = [
        (
            name,
            name,
            Inside(
                index=3 * np.arange(n),
                output_kl=draw.gamma(1, 0.1, n),
                attention_kl=draw.gamma(3, scale, n),
                agrees=draw.random(n) < 0.8,
            ),
        )
        for name, scale in (("soft", 0.3), ("all", 0.1))
    ]
    figure = figures.inside_scatter(runs)
    dots = [trace for trace in figure.data if trace.customdata is not None]
    drawn = [[index for _, index in trace.customdata] for trace in dots]
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == MOST_DOTS
    for trace, (_, _, run) in zip(dots, runs, strict=True):
        places = np.searchsorted(run.index, drawn[0])
        assert np.allclose(trace.y, run.attention_kl[places], rtol=1e-5) and trace.text is None
        assert [symbol.endswith("-open") for symbol in trace.marker.symbol] == (~run.agrees[places]).tolist()
    text = " ".join(note.text or "" for note in figure.layout.annotations)
    both = runs[0][2].agrees & runs[1][2].agrees
    assert f"{both.sum():,} of 40,430 examples" in text and f"a random {MOST_DOTS:,} of all" in text
    assert all(f"{np.median(run.attention_kl[both]):.3f} nats" in text for _, _, run in runs)
    assert len(figure.to_json()) < 1_000_000
    assert figure.to_json() == figures.inside_scatter(runs).to_json()


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


def test_cka_marks_no_layer_where_a_student_diverged():
    """The largest of numbers that are none is the first: a dot on a blank cell says that it is alike."""
    diverged = CKA.copy()
    diverged[1:] = np.nan
    figure = figures.cka_film([diverged, CKA], [0, 1], PAIRS, over="30 examples", active=0)
    assert list(figure.data[1].x) == [CKA[0].argmax(), *[None] * (len(CKA) - 1)]
    assert list(figure.frames[1].data[1].x) == CKA.argmax(axis=1).tolist()


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
    assert [trace.name for trace in figure.data if trace not in drawn] == ["all", "sid", "all, run 2"]
    assert [note.text for note in figure.layout.annotations][:3] == ["layers:", "<b>1</b>", "<b>2</b>"]


def test_second_runs_of_two_strategies_at_two_sizes_have_a_style_each():
    """With styles handed out size by size both took the first spare one, and the legend named the last."""
    scores = [
        figures.Score(label=f"{strategy}, {seed}", strategy=strategy, value=0.5, parameters=size)
        for strategy, size in (("all", 10_000_000), ("soft", 12_000_000))
        for seed in (0, 1)
    ]
    figure = figures.score_against_parameters(scores, score_name="accuracy", num_examples=30)
    drawn, legend = (
        [t for t in figure.data if (t.showlegend is False) == is_dot] for is_dot in (True, False)
    )
    worn = {trace.name: (trace.marker.color, trace.marker.symbol) for trace in drawn}
    assert len(set(worn.values())) == 4
    told = {trace.name: (trace.marker.color, trace.marker.symbol) for trace in legend}
    assert told == {
        "all": worn["all, 0"],
        "all, 1": worn["all, 1"],
        "soft": worn["soft, 0"],
        "soft, 1": worn["soft, 1"],
    }
