"""A place in the app as a lecture writes it: a page and a link's parameters, where `@…` names a role instead
of a value.

`run` takes a strategy of the demo (`@soft`, `@internal`, `@mrpc-sid`) instead of a run id, and `with` up to
five; `step` takes `@first`, `@half`, `@last`; `layer` takes `@bottom`, `@top`. So a lecture is written once
and holds for whatever demo the installed version has, and for the reader's own run.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from kdviz.analysis.comparable import comparable
from kdviz.method.strategies import INTERNAL, STRATEGIES
from kdviz.pages import PAGES
from kdviz.runs.reader import Run
from kdviz.share.view import LINK_NAMES, MAX_OTHERS, View, step_of_epoch
from kdviz.tasks import TASKS
from kdviz.text import counted

SHOWN = tuple(page for page in PAGES if page != "learn")  # learn shows lectures itself
STEPS, LAYERS = ("@first", "@half", "@last"), ("@bottom", "@top")
ANY = "*"
FIRST = {"text": "-"}
"""A first sentence: a second one is read beside one alone."""
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
    if page not in SHOWN and not (is_condition and page == ""):
        raise ValueError(f"expected a page ({', '.join(SHOWN)}), got {page[:40]!r}")
    params: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in LINK_NAMES or name in params:
            why = "given twice" if name in params else "not a part of a link"
            raise ValueError(f"{name[:40]!r} is {why}; expected {', '.join(LINK_NAMES)}")
        _check_value(name, value, is_condition)
        params[name] = value
    if query and not params:
        raise ValueError(f"expected name=value&name=value after the page, got {query[:60]!r}")
    if "text2" in params and not ("text" in params or is_condition):
        raise ValueError("expected a first sentence, `text`, beside `text2`, got none")
    return Place(page=page, params=params)


def _check_value(name: str, value: str, is_condition: bool) -> None:
    if is_condition and value == ANY:
        return
    if not value.startswith("@"):
        _, notices = View.from_params(FIRST | {name: value})
        if notices:
            raise ValueError(notices[0].replace("The link's ", "").replace(" was ignored", ""))
        return
    if name in ("run", "with"):
        roles, most = dict.fromkeys(value.split(",")), {"run": 1, "with": MAX_OTHERS}[name]
        for role in roles:
            _run_role(role)
        if len(roles) > most:
            raise ValueError(f"`{name}`: expected at most {counted(most, 'run')}, got {len(roles)}")
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


def _in_words(role: str, task: str) -> str:
    """`@pid` (layer by layer, CoLA)."""
    wanted, strategy = _run_role(role)
    words = "a strategy that copies the inside" if strategy == "internal" else STRATEGIES[strategy].title
    return f"`{role}` ({words}, {TASKS[wanted or task].title})"


def resolve(
    place: Place,
    runs: Sequence[Run],
    *,
    task: str = "cola",
    own: Run | None = None,
    seen: Run | None = None,
    natural: Run | None = None,
) -> tuple[Place, list[str]]:
    """`place` with every role replaced by what there is, and a notice for each role that nothing fills.

    Runs are looked for by `find_runs`: all of one place at once. Moments and layers are those of the place's
    run; where there is none, those of `seen`, else of `natural`, the run that will be shown instead.
    """
    params, notices = dict(place.params), []
    roles = {role: _run_role(role) for role in _asked_roles(place)}
    filled: dict[str, Run | None] = {}
    for about in dict.fromkeys(wanted or task for wanted, _ in roles.values()):
        of_task = [
            (role, strategy) for role, (wanted, strategy) in roles.items() if (wanted or task) == about
        ]
        runs_found = find_runs(runs, about, [strategy for _, strategy in of_task], own=own, seen=seen)
        filled |= {role: run for (role, _), run in zip(of_task, runs_found, strict=True)}
    for name, instead in (("run", "another one is shown"), ("with", "nothing is laid over for it")):
        asked = params.pop(name, "").split(",")
        missing = [role for role in dict.fromkeys(asked) if role in filled and filled[role] is None]
        notices += [f"There is no run here for {_in_words(role, task)}: {instead}." for role in missing]
        ids = [filled[role].id if filled.get(role) else role for role in asked if role]
        ids = [each for each in dict.fromkeys(ids) if not each.startswith("@")]
        if name == "with":
            ids = [each for each in ids if each != params.get("run")]
        if ids:
            params[name] = ",".join(ids)
        elif name == "with" and any(asked):  # left out, the page would choose other runs by itself
            params[name] = "none"
    run = next((run for run in runs if run.id == params.get("run")), seen or natural)
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


def _asked_roles(place: Place) -> list[str]:
    """The roles of runs that a place names, each once."""
    asked = [role for name in ("run", "with") for role in place.params.get(name, "").split(",")]
    return [role for role in dict.fromkeys(asked) if role.startswith("@")]


def find_runs(
    runs: Sequence[Run],
    task: str,
    strategies: Sequence[str],
    *,
    own: Run | None = None,
    seen: Run | None = None,
) -> list[Run | None]:
    """A run of `task` for each of `strategies`, None where there is none.

    All are taken from one family (alike in all but strategy), so that they may be compared: the first that
    has the most of them, of the reader's `own` run, the run that is `seen`, and the demo's, the clearest
    first. So a step shows the best teacher there is, and another one only where the best one's family lacks
    what the step compares.
    """
    near = [run for run in (own, seen) if run is not None and run.task == task]
    families = [[run, *comparable(run, runs, apart_from=("strategy",))] for run in near]
    found = [
        [_of_strategy(family, strategy) for strategy in strategies]
        for family in (*families, *demo_families(runs, task))
    ]
    return max(
        found, key=lambda chosen: sum(run is not None for run in chosen), default=[None] * len(strategies)
    )


def _of_strategy(family: Sequence[Run], strategy: str) -> Run | None:
    order = INTERNAL if strategy == "internal" else (strategy,)
    return next((run for wanted in order for run in family if run.strategy == wanted and run.moments), None)


def demo_families(runs: Sequence[Run], task: str) -> list[list[Run]]:
    """The runs of the demo on `task`, those alike in all but strategy together; the clearest family first."""
    left, families = [run for run in runs if run.is_demo and run.task == task and run.moments], []
    while left:
        families.append(comparable(left[0], left, apart_from=("strategy",)) or left[:1])
        left = [run for run in left[1:] if run not in families[-1]]
    return sorted(families, key=_clearness, reverse=True)


def _clearness(family: list[Run]) -> tuple:
    """What makes a family worth showing: maps, then a teacher worth copying (its score), then a student of
    half its depth as in the paper, then how much there is to compare, then the lowest seed.
    """
    run = family[0]
    has_maps = any(moment.has_maps for moment in run.moments)
    scores = run.evals[-1].get("teacher_metrics", {}) if run.evals else {}
    score = scores.get(TASKS[run.task].primary_metric) or 0.0
    from_half = abs(2 * run.num_layers - int(run.config.get("teacher_num_layers") or 0))
    return (has_maps, round(score, 2), -from_half, len({each.strategy for each in family}), -run.seed)


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
    """Whether what is looked at (`view` completed) meets the condition `place`, its roles resolved. Values
    are compared as they are read: a link leaves out those that are the default, and `02` is layer 2.
    """
    shown = view.to_params()
    return (not place.page or place.page == page) and all(
        name in shown if wanted == ANY else _as_read(name, shown.get(name)) == _as_read(name, wanted)
        for name, wanted in place.params.items()
    )


def _as_read(name: str, value: str | None) -> str | set[str] | None:
    """A link's value in its one way of writing; None for the default. Runs laid over have no order."""
    if value is None:
        return None
    written = View.from_params(FIRST | {name: value})[0].to_params().get(name)
    return set(written.split(",")) if written and name == "with" else written
