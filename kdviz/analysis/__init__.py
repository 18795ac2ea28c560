"""Numbers that compare a teacher with its student, and runs with each other. Layers, heads and tokens are
0-based here. The first four take plain numpy arrays, the others runs.

maps.py     row_kl (..., q) · row_terms (what it adds up) · pair_kl (pairs,) · pair_kl_heads (pairs, heads) ·
            kept_tokens · filter_maps (hide [CLS]/[SEP], renormalise, threshold)
heads.py    head_kl_matrix (teacher heads, student heads) · match_heads -> HeadMatch · head_drift
cka.py      RunningCka -> matrix (student layers, teacher layers)
answers.py  predictions · output_kl · inside -> Inside · rank_inside · right_wrong -> RightWrong ·
            right_wrong_by_phenomenon
settings.py  differing_settings (of several runs)
comparable.py  which runs may be compared · divergence.py  whether one is a result at all
cautions.py what is to be said beside a run's numbers
apart.py    whose inside is farther from the teacher, with its interval · gap.py  whose score is higher
"""

from kdviz.analysis.answers import (
    Farther,
    Inside,
    RightWrong,
    farther,
    inside,
    output_kl,
    predictions,
    rank_inside,
    right_wrong,
    right_wrong_by_phenomenon,
)
from kdviz.analysis.cka import RunningCka
from kdviz.analysis.heads import HeadMatch, head_drift, head_kl_matrix, match_heads
from kdviz.analysis.maps import (
    filter_maps,
    kept_tokens,
    pair_kl,
    pair_kl_heads,
    row_kl,
    row_terms,
)
from kdviz.analysis.settings import differing_settings

__all__ = [
    "Farther",
    "farther",
    "HeadMatch",
    "Inside",
    "RightWrong",
    "RunningCka",
    "differing_settings",
    "filter_maps",
    "head_drift",
    "head_kl_matrix",
    "kept_tokens",
    "inside",
    "match_heads",
    "output_kl",
    "pair_kl",
    "pair_kl_heads",
    "predictions",
    "rank_inside",
    "right_wrong",
    "right_wrong_by_phenomenon",
    "row_kl",
    "row_terms",
]
