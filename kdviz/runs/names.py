"""What runs are called on screens and in files. The one place: whatever shows several runs asks here."""

from collections.abc import Sequence

from kdviz.palette import named, words_of
from kdviz.runs.reader import Run
from kdviz.text import counted


def short_name(run: Run) -> str:
    """What tells runs of one task apart, in words: stacked (sid), 3 layers, seed 0."""
    return f"{named(run.strategy)}, {counted(run.num_layers, 'layer')}, seed {run.seed}"


def distinct_names(runs: Sequence[Run]) -> list[str]:
    """The shortest names that tell these runs apart, in order: the strategy, and of layers, seed and run id
    as many as that takes, those alone in which they differ. What is said last is what tells them apart.
    """
    names = [words_of(run.strategy) for run in runs]
    for what in (lambda run: counted(run.num_layers, "layer"), lambda run: f"seed {run.seed}", _id_of):
        if len(set(names)) == len(names):
            break
        said = [what(run) for run in runs]
        if len(set(said)) > 1:
            names = [f"{name}, {each}" for name, each in zip(names, said, strict=True)]
    return names


def _id_of(run: Run) -> str:
    return run.id
