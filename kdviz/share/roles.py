"""A place in the app as a lecture writes it: a page and a link's parameters, where `@…` names a role instead
of a value.

`run` and `with` take a strategy of the demo (`@soft`, `@internal`, `@mrpc-sid`) instead of a run id;
`step` takes `@first`, `@half`, `@last`; `layer` takes `@bottom`, `@top`. So a lecture is written once and
holds for whatever demo the installed version has, and for the reader's own run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from kdviz.analysis.comparable import comparable
from kdviz.method.stages import STRATEGIES
from kdviz.runs.reader import Run
from kdviz.share.view import LINK_NAMES, View, step_of_epoch
from kdviz.tasks import TASKS

PAGES = ("start", "attention", "layers", "answers", "distil", "studies")
INTERNAL = ("all", "sid", "pid")
STEPS, LAYERS = ("@first", "@half", "@last"), ("@bottom", "@top")
ANY = "*"
_RUN_ROLE = re.compile(r"@(?:([a-z0-9]+)-)?([a-z]+)")


@dataclass(frozen=True, kw_only=True)
class Place:
    """A page and what of it is looked at: `params` are a link's query parameters."""

    page: str = "start"
    params: Mapping[str, str] = field(default_factory=dict)


def check_place(link: str, *, is_condition: bool = False) -> Place:
    """The place that `link` ("layers?run=@soft&layer=2") means. ValueError where anything in it is unknown.

    A condition may leave out the page, and may ask for any value (`head=*`).
    """
    page, _, query = link.strip().lstrip("/").partition("?")
    if is_condition and "=" in page and not query:
        page, query = "", page
    if page not in PAGES and not (is_condition and page == ""):
        raise ValueError(f"expected a page ({', '.join(PAGES)}), got {page[:40]!r}")
    params: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in LINK_NAMES or name in params:
            why = "given twice" if name in params else "not a part of a link"
            raise ValueError(f"{name[:40]!r} is {why}; expected {', '.join(LINK_NAMES)}")
        _check_value(name, value, is_condition)
        params[name] = value
    if query and not params:
        raise ValueError(f"expected name=value&name=value after the page, got {query[:60]!r}")
    return Place(page=page, params=params)


def _check_value(name: str, value: str, is_condition: bool) -> None:
    if is_condition and value == ANY:
        return
    if not value.startswith("@"):
        _, notices = View.from_params({name: value})
        if notices and not (name == "text2"):
            raise ValueError(notices[0].replace("The link's ", "").replace(" was ignored", ""))
        return
    if name in ("run", "with"):
        for role in value.split(","):
            _run_role(role)
    elif value not in {"step": STEPS, "layer": LAYERS}.get(name, ()):
        raise ValueError(f"`{name}`: no role {value[:40]!r}; roles are @STRATEGY for run and with, "
                         f"{', '.join(STEPS)} for step, {', '.join(LAYERS)} for layer")  # fmt: skip


def _run_role(role: str) -> tuple[str | None, str]:
    """(task or None, strategy) of `@soft` or `@mrpc-soft`."""
    match = _RUN_ROLE.fullmatch(role)
    task, strategy = match.groups() if match else (None, "")
    known = (*STRATEGIES, "internal")
    if strategy not in known or (task is not None and task not in TASKS):
        raise ValueError(
            f"no role {role[:40]!r}; expected @STRATEGY or @TASK-STRATEGY with one of {', '.join(known)}"
        )
    return task, strategy


def resolve(
    place: Place,
    runs: Sequence[Run],
    *,
    task: str = "cola",
    own: Run | None = None,
    seen: Run | None = None,
) -> tuple[Place, list[str]]:
    """`place` with every role replaced by what there is, and a notice for each role that nothing fills.

    Runs are looked for beside `own` (the reader's run) where its task fits, else in the demo. Moments and
    layers are those of the place's run; where it names none, those of `seen`.
    """
    params, notices = dict(place.params), []
    for name in ("run", "with"):
        if name not in params:
            continue
        found = []
        for role in params.pop(name).split(","):
            if not role.startswith("@"):
                found.append(role)
                continue
            wanted, strategy = _run_role(role)
            run = find_run(runs, wanted or task, strategy, own)
            if run is None:
                notices.append(f"There is no run here for {role}; another one is shown.")
            elif run.id not in found:
                found.append(run.id)
        if name == "with":
            found = [each for each in found if each != params.get("run")]
        if found:
            params[name] = ",".join(found)
    run = next((run for run in runs if run.id == params.get("run")), seen)
    for name in ("step", "layer"):
        if params.get(name, "").startswith("@"):
            value = _value(run, params.pop(name))
            if value is not None:
                params[name] = value
    return Place(page=place.page, params=params), notices


def _value(run: Run | None, role: str) -> str | None:
    if run is None or not run.moments:
        return None
    last = run.moments[-1]
    steps = {"@first": run.moments[0].step, "@half": step_of_epoch(run, last.epoch / 2), "@last": last.step}
    return str(steps.get(role, {"@bottom": 1, "@top": len(run.pairs)}.get(role)))


def find_run(runs: Sequence[Run], task: str, strategy: str, own: Run | None = None) -> Run | None:
    """The run of that task and strategy: beside `own` (alike in all but strategy), else the demo's.

    The demo's is taken from its fullest family (most strategies; then the deeper teacher and student; then
    the lowest seed), so that two roles of one lecture are runs that may be compared.
    """
    order = INTERNAL if strategy == "internal" else (strategy,)
    families = []
    if own is not None and own.task == task:
        alike = comparable(own, runs, apart_from=("strategy",))
        families.append([own, *(run for run in alike if run.id != own.id)])
    families.append(demo_family(runs, task))
    for family in families:
        for wanted in order:
            found = next((run for run in family if run.strategy == wanted and run.moments), None)
            if found:
                return found
    return None


def demo_family(runs: Sequence[Run], task: str) -> list[Run]:
    """The runs of the demo that a lecture on `task` is about: alike in all but strategy."""
    left, families = [run for run in runs if run.is_demo and run.task == task and run.moments], []
    while left:
        families.append(comparable(left[0], left, apart_from=("strategy",)) or left[:1])
        left = [run for run in left[1:] if run not in families[-1]]
    return max(families, key=_rank, default=[])


def _rank(family: list[Run]) -> tuple:
    run = family[0]
    has_maps = any(moment.has_maps for moment in run.moments)
    depth = int(run.config.get("teacher_num_layers", 0))
    return (len({each.strategy for each in family}), has_maps, depth, run.num_layers, -run.seed)


def completed(view: View, run: Run) -> View:
    """`view` with the natural choices written out: a link made of it means the same when the run has gone on,
    and a condition can be checked on it.
    """
    moments, probes = run.moments, run.probes
    changes: dict[str, object] = {"run": run.id}
    if view.step is None and moments:
        changes["step"] = moments[-1].step
    if view.pair is None and run.pairs:
        changes["pair"] = len(run.pairs) - 1
    if view.probe is None and probes and view.text_a is None and view.row is None:
        changes["probe"] = probes[0].id
    return view.but(**changes)


def fulfils(place: Place, page: str, view: View) -> bool:
    """Whether what is looked at (`view` completed) meets the condition `place`, its roles resolved."""
    params = view.to_params()
    return (not place.page or place.page == page) and all(
        name in params if wanted == ANY else params.get(name) == wanted
        for name, wanted in place.params.items()
    )
