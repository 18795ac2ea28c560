"""What the runs of one table have to have in common though no setting tells it: the examples, and the weights
in the folders of their checkpoints.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kdviz.runs.reader import Run
from kdviz.studies.spec import Cell

_CALLED = {
    "data_dir": "examples",
    "teacher": "teacher's weights",
    "student_checkpoint": "student checkpoint's weights",
}
_SUMS = {"teacher": "teacher_weights_sha256", "student_checkpoint": "student_weights_sha256"}


@dataclass(frozen=True, kw_only=True)
class Other:
    """What a run was made from where that is not what the others were made from. `setting` names it."""

    setting: str
    now: str
    then: str

    def words(self, others: str) -> str:
        return f"its {_CALLED[self.setting]} are others ({self.now}) than those of {others} ({self.then})"


class Sources:
    """What the first of the runs found for a study's cells was made from, by task and checkpoint: the other
    runs are held against it.
    """

    def __init__(self, found: Iterable[tuple[Cell, Run]]):
        self._first: dict[tuple, tuple[str, ...]] = {}
        self.notes: dict[str, str] = {}
        for cell, run in found:
            self.notes.setdefault(run.task, str(run.config.get("data", {}).get("note")))
            for key, made_from in _made_from(cell, run.config).items():
                self._first.setdefault(key, made_from)

    def is_sample(self, task: str) -> bool:
        return self._first.get(("data_dir", task), ("",))[0] == "sample"

    def other(self, cell: Cell, record: Mapping) -> Other | None:
        """What is other in the config.json of a run of the cell; None where nothing is."""
        for key, made_from in _made_from(cell, record).items():
            for now, then in zip(made_from, self._first.get(key, made_from), strict=True):
                if now != then:
                    return Other(setting=key[0], now=now[:12], then=then[:12])
        return None


def _made_from(cell: Cell, record: Mapping) -> dict[tuple, tuple[str, ...]]:
    """By setting, task and what the cell asks for: the source of the examples and what they are, and the sums
    of weights, which a run of an older version may lack.
    """
    task, data = cell.config.task, record.get("data", {})
    found = {("data_dir", task): (str(data.get("source")), str(data.get("fingerprint")))}
    for setting, name in _SUMS.items():
        if record.get(name):
            found[setting, task, getattr(cell.config, setting)] = (str(record[name]),)
    return found
