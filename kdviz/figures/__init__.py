"""Figures: pure functions from numpy arrays and plain lists to a plotly Figure. No Run, no torch, no streamlit.

Every function takes `dark: bool = False`, draws on a transparent background and is meant for `st.plotly_chart(..., theme=None)`.
Layers, heads, pairs and tokens come in 0-based and are written 1-based. `pairs` is always (student layer, teacher layer).
Where a click means something, the points carry `customdata`, given in brackets.

maps.py      attention_maps(teacher_map, student_map, tokens, *, teacher_title, student_title, row_kl)   three maps + KL a row [query, key]
             attention_map(attention, tokens, *, title, strategy=None, zmax=None) · difference_map(teacher_map, student_map, tokens, *, title)
             map_title(layer, num_layers, head) -> "layer 2 of 6 · head 3"
training.py  training_film(teacher_map, student_maps, tokens, *, epochs, steps, row_kl, attention_kl, pairs, scores, …)   frames, slider, play
curves.py    layer_curves([RunCurves], *, over)   attention KL and CLS distance by pair [run id, pair, step]
             score_curves([ScoreCurve], *, score_name, num_examples, teacher_score) · loss_curves(train_lines, pairs, *, strategy)
"""

from kdviz.figures.curves import RunCurves, ScoreCurve, layer_curves, loss_curves, pair_name, score_curves
from kdviz.figures.maps import attention_map, attention_maps, difference_map, map_title
from kdviz.figures.training import training_film

__all__ = [
    "RunCurves", "ScoreCurve", "attention_map", "attention_maps", "difference_map", "layer_curves", "loss_curves", "map_title", "pair_name",
    "score_curves", "training_film",
]
