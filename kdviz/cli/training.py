"""kdviz run, plan, resume: what trains."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.cli.settings import config_of, names
from kdviz.cli.stored import print_scores, run_meant
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.machine import check_threads
from kdviz.runs.reader import Run
from kdviz.runs.store import existing_run
from kdviz.text import counted

if TYPE_CHECKING:
    from kdviz.config import RunConfig
    from kdviz.jobs.plan import Plan
    from kdviz.training.request import Request


def run(asked: argparse.Namespace) -> int:
    """Distil a student, or several at once."""
    from kdviz.jobs.create import create_run
    from kdviz.models.registry import readiness
    from kdviz.terminal import downloads
    from kdviz.training.request import resolve_request

    check_threads(asked.threads, "--threads")
    config, strategies = _asked_for(asked)
    if note := readiness(config.teacher):
        print(f"{config.teacher}: {note}", file=sys.stderr)
    request = resolve_request(config, downloads=downloads())
    if request.already_answers:
        print(f"note: {request.already_answers}; --teacher-epochs 0 uses it as it is", file=sys.stderr)
    for warning in request.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    if len(strategies) > 1:
        return _run_together(request, strategies, asked)
    folder = create_run(request, asked.runs_dir, asked.run_id)
    made = Run(folder)
    print(f"run {made.id}: {made.config['data']['note']}")
    for number, stage in enumerate(made.config["stages"], start=1):
        print(f"  stage {number}: {stage['name']}, {counted(stage['epochs'], 'epoch')}")
    return _carry_out(folder, asked.threads)


def _asked_for(asked: argparse.Namespace) -> "tuple[RunConfig, tuple[str, ...]]":
    """The settings asked for, with the first strategy, and all strategies. RequestError where one of several
    is named twice.
    """
    strategies = names(asked.strategy)
    if len(strategies) > 1:
        from kdviz.jobs.together import check_different

        check_different(strategies)
    return config_of(asked, strategy=strategies[0] if len(strategies) > 1 else asked.strategy), strategies


def _carry_out(folder: Path, num_threads: int | None = None) -> int:
    """Execute a run with a progress line; the first Ctrl-C stops it in an orderly way."""
    from kdviz.jobs.execute import execute
    from kdviz.terminal import ProgressLine

    stop, line = threading.Event(), ProgressLine(sys.stderr)
    with _stopping_at_interrupt(stop):
        try:
            execute(folder, stop=stop, progress=line.show, num_threads=num_threads)
        finally:
            line.end()
    print_scores(Run(folder))
    return 0


def _run_together(request: "Request", strategies: tuple[str, ...], asked: argparse.Namespace) -> int:
    """Several students of one teacher in one pass, a run folder each; 0 only where all of them finished."""
    from kdviz.jobs.together import create_together, execute_together
    from kdviz.terminal import ProgressLine, all_together, complain

    folders = create_together(request, strategies, asked.runs_dir, asked.run_id)
    print(f"{Run(folders[0]).config['data']['note']}")
    for folder in folders:
        print(f"run {folder.name}: {'; then '.join(stage['name'] for stage in Run(folder).config['stages'])}")
    stops = {folder.name: threading.Event() for folder in folders}
    line, statuses = ProgressLine(sys.stderr), {}

    def show(run_id: str, status: dict) -> None:
        statuses[run_id] = status
        line.show(all_together(statuses.values()))

    with _stopping_at_interrupt(*stops.values()):
        try:
            ends = execute_together(folders, stops=stops, progress=show, num_threads=asked.threads)
        finally:
            line.end()
    for folder in folders:
        if (error := ends[folder.name]) is None:
            print_scores(Run(folder))
        elif not isinstance(error, Stopped):
            complain(f"kdviz: {folder.name}: {error}")
    failed = [error for error in ends.values() if isinstance(error, (RunFailed, RequestError))]
    if not failed and any(ends.values()):
        raise Stopped
    return 1 if failed else 0


@contextlib.contextmanager
def _stopping_at_interrupt(*stops: threading.Event) -> Iterator[None]:
    """The first Ctrl-C stops in an orderly way."""
    is_main = threading.current_thread() is threading.main_thread()
    previous = signal.signal(signal.SIGINT, lambda *_: [stop.set() for stop in stops]) if is_main else None
    try:
        yield
    finally:
        if previous is not None:
            signal.signal(signal.SIGINT, previous)


def plan(asked: argparse.Namespace) -> None:
    """What a run would do and take, or each of several strategies by itself; trains nothing."""
    from kdviz.jobs.plan import plan as plan_of
    from kdviz.training.request import resolve_request

    config, strategies = _asked_for(asked)
    request = resolve_request(config)
    if len(strategies) < 2:
        made = plan_of(request)
        if asked.json:
            print(json.dumps(made.to_dict()))
        else:
            print(request.data.note)
            _print_plan(request, made, asked.runs_dir)
        return
    plans = [(one, plan_of(one)) for one in map(request.with_strategy, strategies)]
    if asked.json:
        print(json.dumps([{"strategy": one.config.strategy, **made.to_dict()} for one, made in plans]))
        return
    print(request.data.note)
    for one, made in plans:
        print(f"\n{one.config.strategy}")
        _print_plan(one, made, asked.runs_dir)


def _print_plan(request: "Request", made: "Plan", runs_dir: Path) -> None:
    from kdviz.jobs.limits import in_words

    print(
        "matching: "
        + ", ".join(
            f"student layer {student + 1} - teacher layer {teacher + 1}" for student, teacher in made.pairs
        )
    )
    for number, stage in enumerate(made.stages, start=1):
        print(
            f"stage {number}: {stage.name}, {counted(stage.epochs, 'epoch')}, "
            f"{counted(stage.epochs * made.steps_per_epoch, 'step')}"
        )
    is_kept = request.kept_teacher(runs_dir) is not None
    teacher = (
        "its teacher is ready" if is_kept else f"{made.teacher_seconds:.0f} s before that for the teacher"
    )
    print(f"about {made.seconds:.0f} s; {teacher}")
    if made.teacher:
        print(f"{'warning' if made.teacher.is_too_weak else 'teacher'}: {made.teacher.words}")
    print(f"at most {in_words(made.memory_bytes)} of memory and {in_words(made.disk_bytes)} of disk")
    for warning in made.warnings:
        print(f"warning: {warning}")


def resume(asked: argparse.Namespace) -> int:
    """Continue a run where it stopped."""
    from kdviz.jobs.queue import CAN_BE_TAKEN_UP

    folder = existing_run(asked.runs_dir, run_meant(asked.run_id, asked.runs_dir))
    state = Run(folder).state
    if state not in CAN_BE_TAKEN_UP:
        raise RequestError(
            f"run {folder.name!r} is {state}; only a run that is {', '.join(CAN_BE_TAKEN_UP)} can be resumed"
        )
    return _carry_out(folder)
