"""Numbers that compare a teacher with its student, from plain numpy arrays. Layers, heads and tokens are
0-based here.

maps.py     row_kl (..., q) · row_terms (what it adds up) · layer_kl · pair_kl (pairs,) ·
            pair_kl_heads (pairs, heads) · head_average · difference ·
            kept_tokens · filter_maps (hide [CLS]/[SEP], renormalise, threshold)
heads.py    head_kl_matrix (teacher heads, student heads) · match_heads -> HeadMatch · head_drift cka.py
linear_cka · cka_matrix (student layers, teacher layers)
answers.py  predictions · agreement · output_kl · inside -> Inside · rank_inside · right_wrong -> RightWrong ·
            right_wrong_by_phenomenon
runs.py     relative_progress · differing_settings
"""

from kdviz.analysis.answers import (
    Farther,
    Inside,
    RightWrong,
    agreement,
    farther,
    inside,
    output_kl,
    predictions,
    rank_inside,
    right_wrong,
    right_wrong_by_phenomenon,
)
from kdviz.analysis.cka import cka_matrix, linear_cka
from kdviz.analysis.heads import HeadMatch, head_drift, head_kl_matrix, match_heads
from kdviz.analysis.maps import (
    difference,
    filter_maps,
    head_average,
    kept_tokens,
    layer_kl,
    pair_kl,
    pair_kl_heads,
    row_kl,
    row_terms,
)
from kdviz.analysis.runs import differing_settings, relative_progress

__all__ = [
    "Farther",
    "farther",
    "HeadMatch",
    "Inside",
    "RightWrong",
    "agreement",
    "cka_matrix",
    "difference",
    "differing_settings",
    "filter_maps",
    "head_average",
    "head_drift",
    "head_kl_matrix",
    "kept_tokens",
    "inside",
    "layer_kl",
    "linear_cka",
    "match_heads",
    "output_kl",
    "pair_kl",
    "pair_kl_heads",
    "predictions",
    "rank_inside",
    "relative_progress",
    "right_wrong",
    "right_wrong_by_phenomenon",
    "row_kl",
    "row_terms",
]
