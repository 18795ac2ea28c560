"""Sample data: generated examples in the format of GLUE tasks, for when there is no GLUE at hand.

Not GLUE, and not to be reported as GLUE. Sentences come from the project's own grammar and word lists, in
small groups that share their words and differ in structure and label, so that counting words does not help
much. Words and templates are held out between train and dev. The file of a task has its name.
"""

from importlib import import_module
from itertools import islice
from pkgutil import iter_modules

from kdviz import tasks
from kdviz.data.examples import Example
from kdviz.data.sample.engine import Draw, Phenomenon, stream

_PHENOMENA: dict[str, tuple[Phenomenon, ...]] = {
    module.name: import_module(f"{__name__}.{module.name}").PHENOMENA
    for module in iter_modules(__path__)
    if module.name in tasks.TASKS
}
TASKS: tuple[str, ...] = tuple(name for name in tasks.TASKS if name in _PHENOMENA)
MAX_EXAMPLES = {"train": 20_000, "dev": 2_000}
DEFAULT_EXAMPLES = {"train": 8_000, "dev": 1_000}


def generate(task: str, split: str, size: int | None = None, seed: int = 0) -> list[Example]:
    """`size` distinct examples of `task`, the same on every machine; a smaller size is a prefix of a larger
    one.

    Without `size`: 8,000 for train and 1,000 for dev. Every prefix is nearly balanced over labels and
    phenomena. ValueError for a task without sample data, another split than train and dev, and a size out of
    range.
    """
    if task not in _PHENOMENA:
        raise ValueError(
            f"sample data exists for {', '.join(TASKS)}; got {task!r}. "
            "Choose one of these, or give the GLUE folder or a network for the other tasks."
        )
    if split not in MAX_EXAMPLES:
        raise ValueError(f"sample data has the splits train and dev; got {split!r}.")
    size = DEFAULT_EXAMPLES[split] if size is None else size
    if not 0 <= size <= MAX_EXAMPLES[split]:
        raise ValueError(
            f"sample data has 0 to {MAX_EXAMPLES[split]:,} {split} examples; got {size:,}. Ask for fewer."
        )
    draw = Draw(split, f"kdviz sample data, {task}, {split}, {seed}")
    return [
        Example(index=index, text_a=text_a, text_b=text_b, label=label, phenomenon=phenomenon)
        for index, ((text_a, text_b, label), phenomenon) in enumerate(
            islice(stream(_PHENOMENA[task], draw), size)
        )
    ]


def phenomena(task: str) -> tuple[str, ...]:
    """The names of the phenomena in the sample data of `task`."""
    return tuple(phenomenon.name for phenomenon in _PHENOMENA[task])
