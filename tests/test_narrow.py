"""Figures on a phone: taken apart and narrowed without losing anything."""


def test_a_figure_taken_apart_keeps_everything():
    """Without it a phone would be shown curves without their stage lines, or lines without a name."""
    import numpy as np

    from kdviz.figures import RunCurves, layer_curves
    from kdviz.ui.frame.narrow import panels_of

    values = np.array([[0.5, 0.4], [0.2, 0.3]])
    run = RunCurves(
        run_id="a",
        label="a",
        strategy="sid",
        epochs=[0, 1],
        steps=[0, 9],
        pairs=((0, 1), (1, 3)),
        attention_kl=values,
        cls_distance=values / 9,
        stages=[(0.0, "1"), (1.0, "labels")],
    )
    whole = layer_curves([run], over="9 examples", shown_epoch=0.5)
    panels = panels_of(whole)
    assert len(panels) == 2
    assert sum(len(panel.data) for panel in panels) == len(whole.data)
    assert sum(len(panel.layout.shapes) for panel in panels) == len(whole.layout.shapes)
    assert [list(trace.y) for panel in panels for trace in panel.data] == [
        list(trace.y) for axis in ("x", "x2") for trace in whole.data if (trace.xaxis or "x") == axis
    ]
    assert all(panel.layout.xaxis.domain == (0, 1) and panel.layout.yaxis.title.text for panel in panels)
    assert all(
        {trace.name for trace in panel.data if trace.showlegend} == {trace.name for trace in panel.data}
        for panel in panels
    )


def test_large_letters_break_into_lines_of_a_phone():
    """A presenter's letters are larger than those that headings were broken for: half of them stood outside
    of a phone, with the names of the axes and the headings beside names of rows.
    """
    import re

    from kdviz.figures import Score, scores_with_intervals
    from kdviz.ui.frame.narrow import HEADING_PIXELS, for_phone
    from kdviz.ui.present.large import enlarged

    scores = [Score(label="all layers at once", strategy="all", value=0.5, low=0.4, high=0.6)]
    drawn = scores_with_intervals(scores, score_name="Matthews correlation", num_examples=1043)
    phone = for_phone(enlarged(drawn))
    [heading] = phone.layout.annotations
    size = heading.font.size
    longest = max(len(re.sub("<.*?>", "", line)) for line in heading.text.split("<br>"))
    assert size >= 20 and 0.5 * size * longest <= HEADING_PIXELS
    name = phone.layout.xaxis.title
    beside = 0.42 * 20 * len("all layers at once")
    assert all(0.5 * 20 * len(line) <= HEADING_PIXELS - beside for line in name.text.split("<br>")), name.text
    assert heading.xshift < -beside / 2, "it begins at the edge, left of the names of the rows"
    assert phone.layout.margin.b > enlarged(drawn).layout.margin.b


def test_headings_break_on_a_phone():
    """Without it half the sentence that a figure is about would stand outside a phone's screen."""
    from kdviz.figures import cka_film
    from kdviz.ui.frame.narrow import broken, for_phone

    film = cka_film(
        [[[0.1, 0.9]], [[0.2, 0.8]]],
        [0, 1],
        [(0, 1)],
        over="1,043 evaluation examples of a task with a long name",
    )
    phone = for_phone(film)
    headings = [note.text for note in phone.layout.annotations]
    assert [heading.replace("<br>", " ") for heading in headings] == [
        note.text for note in film.layout.annotations
    ]
    assert headings[0].count("<br>") == 1 and phone.layout.margin.t > film.layout.margin.t
    assert (
        phone.layout.height - phone.layout.margin.t - phone.layout.margin.b
        == film.layout.height - film.layout.margin.t - film.layout.margin.b
    )
    assert [note.text for note in phone.frames[1].layout.annotations] == headings
    assert (
        phone.layout.sliders[0].len == 1
        and phone.layout.sliders[0].pad.t > phone.layout.updatemenus[0].pad.t + 40
    )
    assert for_phone(phone) is phone
    assert broken("<b>one two</b> three", 7) == "<b>one two</b><br>three"
    assert broken("uninterrupted", 5) == "uninterrupted"
