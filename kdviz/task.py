"""What a task is: its columns, what its labels mean, what it is judged by, and the sentences to look at."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A sentence or pair of our own, with the reason to look at it: a probe of every run.

    `label` is the expected class id; `look_for` says what to look for in the maps.
    """

    id: str
    title: str
    reason: str
    text_a: str
    text_b: str | None = None
    label: int
    look_for: str


@dataclass(frozen=True, kw_only=True)
class Task:
    """One classification task in the manner of GLUE.

    `labels` are in the order of the hub's class ids. `metrics` name entries of `kdviz.metrics.METRICS`; the
    first is the primary one. `folder_columns` are header names in the GLUE release's files, or column numbers
    where a file has no header. `hub_columns` are the text columns of `nyu-mll/glue`. `dev_splits` maps our
    names to (file, hub split). `label_names` are the texts of the labels in the release's files ("0"/"1"
    unless the files spell them out). `damage` names what is wrong with rows of the release itself, which
    every loader skips: "broken off" (too few columns: a line end within a question) and "unlabelled" (label
    "-": no agreement). `synonyms`: what else checkpoints of this task call each class. `presets`, in the
    order in which they are shown, are the probes of every run.
    """

    name: str
    title: str
    question: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    folder: str
    folder_columns: tuple[str | int, ...]
    label_column: str | int
    hub_columns: tuple[str, ...]
    presets: tuple[Preset, ...]
    label_names: tuple[str, ...] = ("0", "1")
    num_columns: int | None = None
    damage: tuple[str, ...] = ()
    dev_splits: tuple[tuple[str, str, str], ...] = (("dev", "dev.tsv", "validation"),)
    synonyms: tuple[tuple[str, ...], ...] = ()

    @property
    def all_names(self) -> tuple[tuple[str, ...], ...]:
        """Every name of each class that says more than a number: label, text in the files, synonyms."""
        extra = self.synonyms or ((),) * self.num_labels
        names = zip(self.labels, self.label_names, extra, strict=True)
        return tuple((label, *(() if text.isdigit() else (text,)), *others) for label, text, others in names)

    @property
    def is_pair(self) -> bool:
        return len(self.hub_columns) == 2

    @property
    def primary_metric(self) -> str:
        return self.metrics[0]

    @property
    def num_labels(self) -> int:
        return len(self.labels)
