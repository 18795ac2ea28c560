"""Figures: their look is one and the same, and nothing in them is cut."""

import itertools
import json
import shutil

import numpy as np
import pytest
from drawings import FIGURES
from plotly.subplots import make_subplots

from kdviz import figures, palette
from kdviz.figures.base import log_axis, numbers, spread, tick_text
from kdviz.figures.panels import Panels, side_by_side
from kdviz.share.view import MAX_OTHERS


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
    for strategies in (["sid", "sid", "soft", "unknown", "all", "sid"], ["all"] * (MAX_OTHERS + 1)):
        styles = palette.run_styles(strategies)
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
    assert tick_text(1.2e-6) == "1.2·10<sup>−6</sup>"
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


@pytest.mark.parametrize("centre", [1e-6, 0.0315, 0.3, 0.45, 0.7, 1.4, 9.9])
@pytest.mark.parametrize("times", [1, 1.2, 2, 10, 1e4])
def test_a_logarithmic_axis_always_has_two_ticks(centre: float, times: float):
    """Where all values were 0.3 no tick fell into the picture: dots without a scale. The same of curves in
    one decade, whose axis had powers of ten alone.
    """
    values = np.array([centre, centre * times])
    curves = figures.RunCurves(
        run_id="a", label="a", strategy="all", epochs=[0, 1], steps=[0, 9], pairs=[(0, 1)],
        attention_kl=values[:, None], cls_distance=values[:, None],
    )  # fmt: skip
    drawn = json.loads(figures.layer_curves([curves]).to_json())["layout"]["yaxis2"]
    for axis in (log_axis(values), drawn):
        low, high = axis["range"]
        assert low < np.log10(centre) and np.log10(centre * times) < high
        seen = [tick for tick in axis["tickvals"] if low <= np.log10(tick) <= high]
        assert 2 <= len(seen) <= 9
        assert len(set(axis["ticktext"])) == len(axis["tickvals"])
