"""Figures: pure functions from numpy arrays and plain lists to a plotly Figure. No Run, no torch, no
streamlit.

Every function takes `dark: bool = False`, draws on a transparent background and is meant for
`st.plotly_chart(..., theme=None)`. Layers, heads, pairs and tokens come in 0-based and are written 1-based.
`pairs` is always (student layer, teacher layer). Where a click means something, the points carry
`customdata`, given in brackets.

curves.py    layer_curves([RunCurves], *, over)   attention KL and CLS distance by pair [run id, pair, step]
             score_curves([ScoreCurve], *, score_name, num_examples, teacher_score)
loss_curves.py  loss_curves(train_lines, pairs, *, strategy)
heads.py     heads_overview(kl, pairs, *, over, chosen) [pair, head]
             head_matching(matrix, match, *, pair, over) [teacher head, student head]
             head_drift_chart(epochs, changed, matched_kl, same_index_kl, *, num_heads, strategy)
answers.py   inside_scatter([(label, strategy, Inside)], *, chosen) [run number, example index]
mistakes.py  right_wrong_table([(label, strategy, RightWrong)], *, chosen) [run number, teacher wrong, student
             wrong] phenomenon_dots(phenomena, num_examples, teacher_accuracy, [(label, strategy,
             accuracies)]) [phenomenon]
scores.py    scores_with_intervals([Score], *, score_name, num_examples) · score_against_parameters([Score],
*, …)
diagram.py   matching_diagram(num_teacher_layers, num_student_layers, pairs, *, chosen, active,
             classification, values, strategy) [pair]
             stage_film(num_teacher_layers, num_student_layers, pairs, stages, *, strategy)   frames, one a
             stage
cka.py       cka_film(matrices, epochs, pairs, *, over)   frames
studies.py   a study's curves · together.py  curves of students trained together
panels.py    Panels: how all of them are put together · base.py   what they share
"""

from kdviz.figures.answers import inside_scatter
from kdviz.figures.cka import cka_film
from kdviz.figures.curves import RunCurves, ScoreCurve, layer_curves, pair_name, score_curves
from kdviz.figures.diagram import matching_diagram, stage_film
from kdviz.figures.heads import head_drift_chart, head_matching, heads_overview
from kdviz.figures.loss_curves import loss_curves
from kdviz.figures.mistakes import phenomenon_dots, right_wrong_table
from kdviz.figures.scores import Score, score_against_parameters, scores_with_intervals

__all__ = [
    "RunCurves",
    "Score",
    "ScoreCurve",
    "cka_film",
    "head_drift_chart",
    "head_matching",
    "heads_overview",
    "inside_scatter",
    "layer_curves",
    "loss_curves",
    "matching_diagram",
    "pair_name",
    "phenomenon_dots",
    "right_wrong_table",
    "score_against_parameters",
    "score_curves",
    "scores_with_intervals",
    "stage_film",
]
