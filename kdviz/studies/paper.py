"""The paper's development table, with how sure we are of every number.

Aguilar et al., "Knowledge Distillation from Internal Representations", AAAI 2020, Table 1. The paper's text
is not at hand where kdviz is written, so every number carries a mark; those that are merely recalled are not
kept here and show as empty. F1 is weighted by support there, not GLUE's F1 of the positive class.
"""

from dataclasses import dataclass

MARKS = {
    "C": "read in a public source that reproduces the paper",
    "A": "recalled, and it passes an arithmetic check",
}
TEACHER = "teacher"
SETUP = (
    "BERT-base (12 layers) and a 6-layer BERT student, the whole training sets, 50 epochs, one run each, the "
    "paper's own choice of epoch"
)


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A number of the paper, 0 to 1 (the paper prints hundredths), and its mark."""

    value: float
    mark: str


def _row(**numbers: tuple[float, str]) -> dict[tuple[str, str], Printed]:
    return {
        tuple(name.split("__")): Printed(value=round(value / 100, 4), mark=mark)
        for name, (value, mark) in numbers.items()
    }


TABLE: dict[str, dict[tuple[str, str], Printed]] = {
    TEACHER: _row(
        qqp__accuracy=(91.44, "C"),
        qqp__f1_weighted=(91.45, "C"),
        mrpc__accuracy=(83.09, "A"),
        mrpc__f1_weighted=(82.96, "A"),
        rte__accuracy=(67.51, "A"),
    ),
    "no distillation": _row(
        mrpc__accuracy=(76.23, "A"), mrpc__f1_weighted=(73.72, "A"), rte__accuracy=(59.93, "A")
    ),
    "soft": _row(
        qqp__accuracy=(90.61, "A"),
        qqp__f1_weighted=(90.65, "A"),
        mrpc__accuracy=(77.21, "A"),
        mrpc__f1_weighted=(75.74, "A"),
    ),
    "soft + kl": _row(
        mrpc__accuracy=(83.58, "A"), mrpc__f1_weighted=(82.46, "A"), rte__accuracy=(67.15, "A")
    ),
    "soft + cos": _row(
        mrpc__accuracy=(79.66, "A"), mrpc__f1_weighted=(78.35, "A"), rte__accuracy=(57.76, "A")
    ),
    "soft + kl + cos": _row(
        qqp__accuracy=(91.37, "C"),
        qqp__f1_weighted=(91.38, "C"),
        mrpc__accuracy=(83.09, "A"),
        mrpc__f1_weighted=(81.39, "A"),
        rte__accuracy=(66.43, "A"),
    ),
    "progressive": _row(
        mrpc__accuracy=(81.37, "A"), mrpc__f1_weighted=(79.16, "A"), rte__accuracy=(64.98, "A")
    ),
    "stacked": _row(
        cola__matthews=(46.09, "C"),
        mrpc__accuracy=(82.35, "A"),
        mrpc__f1_weighted=(81.39, "A"),
        rte__accuracy=(64.62, "A"),
    ),
}

ROW_OF = {
    "hard": "no distillation",
    "soft": "soft",
    "all": "soft + kl + cos",
    "pid": "progressive",
    "sid": "stacked",
}
"""The row of each strategy with its default terms."""
METRICS = {"cola": "matthews", "qqp": "accuracy", "mrpc": "accuracy", "rte": "accuracy"}


def printed(row: str | None, task: str, metric: str) -> Printed | None:
    """The paper's number of a row, task and metric; None where there is none that may be shown."""
    return TABLE.get(row or "", {}).get((task, metric))
