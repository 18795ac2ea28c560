"""The registry of tasks: every module here defines one `TASK`. A new task is one new file.

Loaders, metrics, probes, settings (`--task`) and words follow from it. What it needs is in `kdviz.task`;
sample data of its own, where it has any, is the file of the same name in `kdviz.data.sample`.
"""

from importlib import import_module
from pkgutil import iter_modules

from kdviz.errors import RequestError
from kdviz.task import Task

_ORDER = ("cola", "qqp", "mrpc", "rte", "sst2", "mnli", "qnli", "wnli")  # on screens; others follow
_found: dict[str, Task] = {
    task.name: task
    for task in (import_module(f"{__name__}.{module.name}").TASK for module in iter_modules(__path__))
}
TASKS: dict[str, Task] = {name: _found[name] for name in dict.fromkeys((*_ORDER, *sorted(_found)))}


def task_named(name: str) -> Task:
    """The task of that name; RequestError naming the tasks there are."""
    if name not in TASKS:
        raise RequestError(
            f"task: expected one of {', '.join(TASKS)}, got {name!r}; choose one of them", field="task"
        )
    return TASKS[name]
