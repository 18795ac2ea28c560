"""The layer-matching diagram: teacher on the left, student on the right, layer 1 at the bottom, as in the
paper's figure.
"""

from collections.abc import Collection, Mapping, Sequence

import plotly.graph_objects as go

from kdviz.figures.base import CLEAR, FONT_SIZE, SMALL, heading_text, play_controls, safe, scatter
from kdviz.figures.panels import Panels
from kdviz.method.stages import LABEL_WORDS
from kdviz.palette import TEACHER_COLOUR, ink, strategy_style, theme
from kdviz.text import counted, decimals

LAYER_PIXELS = 38
ANSWER_GAP = 1.2
"""How far above its top layer a model's classifier is drawn, in layers."""


def matching_diagram(
    num_teacher_layers: int,
    num_student_layers: int,
    pairs: Sequence[tuple[int, int]],
    *,
    chosen: int | None = None,
    active: Collection[int] | None = None,
    classification: str | None = None,
    values: Sequence[float] | None = None,
    strategy: str = "all",
    dark: bool = False,
) -> go.Figure:
    """Lines between matched pairs. `chosen` (place in `pairs`) is drawn strong; `active` student layers are
    coloured, None means all.

    `classification` ("none", "soft", "hard", "soft+hard") adds the classifiers on top, joined when that term
    is active; None leaves them out. `values` (one a pair) are written on the lines, attention KL in nats. A
    click on a layer or line returns customdata [pair].
    """
    heights = _student_heights(num_teacher_layers, num_student_layers, pairs)
    active = set(range(num_student_layers)) if active is None else set(active)
    traces = _traces(
        num_teacher_layers,
        heights,
        pairs,
        active=active,
        strategy=strategy,
        classification=classification,
        chosen=chosen,
        values=values,
        dark=dark,
    )
    panels, pixels = _panels(traces, num_teacher_layers, classification is not None, dark)
    panels.notes = _names(strategy, dark)
    return panels.figure(height=pixels + 50, margin={"l": 10, "r": 10, "t": 40, "b": 10}, showlegend=False)


def stage_film(
    num_teacher_layers: int,
    num_student_layers: int,
    pairs: Sequence[tuple[int, int]],
    stages: Sequence[Mapping],
    *,
    strategy: str,
    active: int = 0,
    dark: bool = False,
) -> go.Figure:
    """The stages of a strategy as a moving picture: a frame a stage.

    `stages` as in a run's config.json: {"name", "layers": [student layers], "classification", "epochs"}.
    """
    heights = _student_heights(num_teacher_layers, num_student_layers, pairs)
    active = min(max(active, 0), len(stages) - 1)

    def traces(stage: Mapping) -> list[dict]:
        return _traces(
            num_teacher_layers,
            heights,
            pairs,
            active=set(stage["layers"]),
            strategy=strategy,
            classification=stage["classification"],
            dark=dark,
        )

    def words(place: int) -> list[dict]:
        stage = stages[place]
        length = f" · {counted(stage['epochs'], 'epoch')}" if stage.get("epochs") is not None else ""
        text = f"<b>Stage {place + 1} of {len(stages)}</b> · {safe(_stage_words(stage))}{length}"
        return [
            *_names(strategy, dark),
            heading_text(text, x=0.5, dark=dark, shift=34, anchor="center"),
        ]

    panels, pixels = _panels(traces(stages[active]), num_teacher_layers, True, dark)
    panels.notes = words(active)
    frames = [
        {
            "name": str(place),
            "data": traces(stage),
            "traces": list(range(len(panels.traces))),
            "layout": {"annotations": words(place)},
        }
        for place, stage in enumerate(stages)
    ]
    controls = play_controls(
        [str(place + 1) for place in range(len(stages))],
        active=active,
        dark=dark,
        prefix="stage ",
        milliseconds=1400,
        top=-10 / pixels,
        left=0.36,
    )
    return panels.figure(
        height=pixels + 190,
        margin={"l": 10, "r": 10, "t": 70, "b": 120},
        showlegend=False,
        frames=frames,
        **controls,
    )


def _panels(
    traces: Sequence[dict], num_teacher: int, has_classifiers: bool, dark: bool
) -> tuple[Panels, int]:
    """The drawing without its words, and the pixels it is high."""
    panels = Panels(dark=dark)
    for trace in traces:
        panels.add(trace)
    top = num_teacher - 1 + ANSWER_GAP * has_classifiers
    nothing = {"visible": False, "fixedrange": True, "showgrid": False}
    panels.x_axis(range=[-0.45, 1.45], **nothing)
    panels.y_axis(range=[-0.6, top + 0.6], **nothing)
    return panels, int(20 + (top + 1) * LAYER_PIXELS)


def _traces(
    num_teacher: int,
    heights: Sequence[float],
    pairs: Sequence[tuple[int, int]],
    *,
    active: set[int],
    strategy: str,
    classification: str | None,
    chosen: int | None = None,
    values: Sequence[float] | None = None,
    dark: bool,
) -> list[dict]:
    """The pairs as lines, both models as columns, and between them what the classifiers learn: see
    `matching_diagram`.
    """
    look, style = theme(dark), strategy_style(strategy)
    traces = []
    for place, (student, teacher) in enumerate(pairs):
        live, strong = student in active, place == chosen
        label = "" if values is None else decimals(values[place], 2)
        middle = (teacher + heights[student]) / 2
        traces.append(
            scatter(
                x=[0.17, 0.5, 0.83],
                y=[teacher, middle, heights[student]],
                mode="lines+markers+text",
                customdata=[[place]] * 3,
                name="pair",
                line={
                    "color": (look.text if strong else style.colour) if live else look.grid,
                    "width": 5 if strong else 2.5,
                    "dash": "solid" if live else "dot",
                },
                marker={"size": 8, "opacity": 0},
                text=["", f"<b>{label}</b>" if strong else label, ""],
                textposition="top center",
                textfont={"size": SMALL, "color": look.text},
                hovertemplate=f"student layer {student + 1} ↔ teacher layer {teacher + 1}"
                + (f"<br>attention KL {label} nats" if label else "")
                + "<extra></extra>",
            )
        )
    partner = {teacher: place for place, (_, teacher) in enumerate(pairs)}
    own = {student: place for place, (student, _) in enumerate(pairs)}
    live_teachers = {teacher for student, teacher in pairs if student in active}
    traces.append(
        _column(
            "teacher",
            0.0,
            list(range(num_teacher)),
            pair_of=partner,
            live=live_teachers,
            colour=TEACHER_COLOUR,
            chosen=chosen,
            dark=dark,
        )
    )
    traces.append(
        _column(
            "student",
            1.0,
            list(heights),
            pair_of=own,
            live=active & set(own),
            colour=style.colour,
            chosen=chosen,
            dark=dark,
        )
    )
    if classification is not None:
        traces.append(_classifiers(num_teacher - 1 + ANSWER_GAP, classification, dark))
    return traces


def _column(
    who: str,
    x: float,
    heights: list[float],
    *,
    pair_of: Mapping[int, int],
    live: Collection[int],
    colour: str,
    chosen: int | None,
    dark: bool,
) -> dict:
    """The layers of one model as wide boxes: filled where matched and active, hollow elsewhere."""
    look = theme(dark)
    layers = range(len(heights))
    picked = [layer in pair_of and pair_of[layer] == chosen for layer in layers]
    return scatter(
        x=[x] * len(heights),
        y=heights,
        mode="markers+text",
        name=who,
        customdata=[[pair_of.get(layer, -1)] for layer in layers],
        marker={
            "symbol": "square",
            "size": 30,
            "color": [colour if layer in live else look.secondary for layer in layers],
            "line": {
                "color": [
                    look.text if picked[layer] else colour if layer in pair_of else look.grid
                    for layer in layers
                ],
                "width": [4 if picked[layer] else 1.5 for layer in layers],
            },
        },
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
        text=[f"<b>{layer + 1}</b>" for layer in layers],
        textposition="middle center",
        textfont={
            "size": 14,
            "color": [
                ink(colour) if layer in live else look.text if layer in pair_of else look.muted
                for layer in layers
            ],
        },
        hovertemplate=[
            f"{who} layer {layer + 1}" + ("" if layer in pair_of else ", not matched") + "<extra></extra>"
            for layer in layers
        ],
    )


def _classifiers(height: float, classification: str, dark: bool) -> dict:
    """Both classifiers, joined by a line naming the term when one is active."""
    look = theme(dark)
    live = classification != "none"
    words = LABEL_WORDS.get(classification, safe(classification))
    return scatter(
        x=[0.0, 0.5, 1.0],
        y=[height] * 3,
        mode="lines+markers+text",
        name="classifiers",
        customdata=[[-1]] * 3,
        line={
            "color": look.text if live else look.grid,
            "width": 2.5 if live else 1.5,
            "dash": "solid" if live else "dot",
        },
        marker={
            "opacity": 1,
            "symbol": ["hexagon", "circle", "hexagon"],
            "size": [26, 0.1, 26],
            "color": [look.text if live else look.secondary, CLEAR, look.text if live else look.secondary],
            "line": {"color": look.muted, "width": [1.5, 0, 1.5]},
        },
        text=["", words, ""],
        textposition="top center",
        textfont={"size": FONT_SIZE, "color": look.text},
        hovertemplate="classifier"
        + (f": {words}" if words else ", not trained in this stage")
        + "<extra></extra>",
    )


def _student_heights(num_teacher: int, num_student: int, pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Where the student's layers stand: beside their partner when the matching climbs, evenly spread
    otherwise.
    """
    partners = dict(pairs)
    beside = [partners.get(layer) for layer in range(num_student)]
    if None not in beside and all(low < high for low, high in zip(beside, beside[1:], strict=False)):
        return [float(height) for height in beside]
    step = (num_teacher - 1) / max(1, num_student - 1)
    return [layer * step for layer in range(num_student)]


def _stage_words(stage: Mapping) -> str:
    layers = [str(layer + 1) for layer in stage["layers"]]
    inner = f"student layer{'s' * (len(layers) > 1)} {', '.join(layers)}" if layers else ""
    outer = LABEL_WORDS.get(stage["classification"], "")
    return " and ".join(part for part in (inner, outer) if part) or "nothing"


def _names(strategy: str, dark: bool) -> list[dict]:
    return [
        _column_name("<b>Teacher</b>", 0, TEACHER_COLOUR, dark),
        _column_name("<b>Student</b>", 1, strategy_style(strategy).colour, dark),
    ]


def _column_name(text: str, x: float, colour: str, dark: bool) -> dict:
    return {
        "text": f"<span style='color:{colour}'>■</span> {text}",
        "x": x,
        "xref": "x",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
        "font": {"size": 14, "color": theme(dark).text},
    }
