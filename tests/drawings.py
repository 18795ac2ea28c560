"""Every figure once, over arrays of our own, for the tests of figures."""

import numpy as np

from kdviz import analysis as compare
from kdviz import figures

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
