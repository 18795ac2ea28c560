"""The command line. Exit status: 0 done, 1 the run failed, 2 the request is wrong, 130 stopped by the
user.
"""

import argparse
import contextlib
import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz import bench
from kdviz.analysis.divergence import divergence
from kdviz.config import Kind, RunConfig
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.paths import runs_folder, user_path
from kdviz.runs.command import flag_of
from kdviz.runs.reader import DEMO_RUNS, Run, Store, Unreadable, check_run_id
from kdviz.studies.command import STUDY_HELP, study_command
from kdviz.studies.command import add_arguments as add_study_arguments
from kdviz.tasks import METRIC_TITLES, TASKS

if TYPE_CHECKING:
    from kdviz.training.request import Request


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors are one line on standard error."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that has no × or λ shows a question mark, and the command goes on.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        asked = _parser().parse_args(arguments)
        return asked.command(asked) or 0
    except RequestError as error:
        return _say(f"kdviz: {error}", 2)
    except RunFailed as error:
        return _say(f"kdviz: {error}", 1)
    except Stopped:
        return _say("kdviz: stopped; 'kdviz resume' continues it", 130)
    except KeyboardInterrupt:
        return _say("kdviz: stopped", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _say(
            f"kdviz: a file could not be read or written: {error.strerror or error}{where}; check the disk "
            "and the folder's permissions, or choose another with --runs-dir",
            1,
        )


class _Parser(argparse.ArgumentParser):
    """argparse whose errors are one line: what was expected, what came."""

    def error(self, message: str) -> None:
        raise RequestError(f"{message}; see '{self.prog} --help'")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="kdviz", description="See what knowledge distillation does inside a model.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def add(
        name: str,
        help: str,
        command: Callable,
        *,
        runs_dir: bool = True,
        run_id: bool = False,
        as_json: bool = False,
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=help, description=help, formatter_class=argparse.ArgumentDefaultsHelpFormatter
        )
        sub.set_defaults(command=command)
        if run_id:
            sub.add_argument("run_id", metavar="RUN_ID")
        if runs_dir:
            sub.add_argument("--runs-dir", type=user_path, default=runs_folder(), help="folder of the runs")
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    run = add("run", "distil a student, or several at once: --strategy all,soft,sid", _run)
    _add_settings(run)
    run.add_argument("--run-id", help="name of the run's folder")
    run.add_argument("--threads", type=int, help="torch threads (default: as many as this process may use)")
    plan = add("plan", "what a run would do, stage by stage, and how long it takes", _plan, as_json=True)
    _add_settings(plan)
    add("list", "the runs", _list, as_json=True)
    add("show", "one run", _show, run_id=True, as_json=True)
    add("resume", "continue a run that was stopped or interrupted", _resume, run_id=True)
    add("stop", "stop a run that another process trains", _stop, run_id=True)
    add("delete", "remove a run's folder", _delete, run_id=True)
    report = add("report", "one run, or several side by side, as one HTML file", _report)
    report.add_argument("run_ids", metavar="RUN_ID", nargs="+")
    report.add_argument("--out", type=user_path, help="file to write (default: RUN_ID.html)")
    add_study_arguments(add("study", STUDY_HELP, study_command))
    tasks = add("tasks", "the tasks, and where their data can be had", _tasks, runs_dir=False, as_json=True)
    tasks.add_argument("--data-dir", help="folder in the GLUE release layout")
    bench.add_arguments(add("bench", "speed figures as JSON", bench.main, runs_dir=False))
    teachers = add(
        "teachers",
        "the teacher checkpoints, and where they can be had",
        _teachers,
        runs_dir=False,
        as_json=True,
    )
    teachers.add_argument("--download", metavar="TEACHER", help="bring this one to this machine, and end")
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every RunConfig field; values are checked by RunConfig, so that its messages are the same
    everywhere.
    """
    for item in fields(RunConfig):
        flag = flag_of(item.name)
        help = item.metadata["help"] + (
            f" One of {', '.join(item.metadata['choices'])}." if item.metadata["choices"] else ""
        )
        kind = RunConfig.kind(item.name)
        if kind.base is bool:
            parser.add_argument(
                flag, dest=item.name, action=argparse.BooleanOptionalAction, default=item.default, help=help
            )
        elif kind.base is tuple:
            default = ",".join(item.default) if item.default else None
            parser.add_argument(flag, dest=item.name, type=_names, default=default, metavar="A,B", help=help)
        else:
            parser.add_argument(
                flag,
                dest=item.name,
                default=item.default,
                metavar=kind.base.__name__.upper(),
                type=_value(kind),
                help=help,
            )


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _value(kind: Kind) -> Callable[[str], object]:
    """Convert a flag's text; "none" is None where the setting can be left open."""

    def convert(text: str) -> object:
        if text.lower() == "none" and kind.may_be_none:
            return None
        try:
            return kind.base(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.words}, got {text[:80]!r}") from None

    return convert


def _config(asked: argparse.Namespace, **changes: object) -> RunConfig:
    return RunConfig(**{item.name: getattr(asked, item.name) for item in fields(RunConfig)} | changes)


def _run(asked: argparse.Namespace) -> int:
    from kdviz.jobs.launch import create_run
    from kdviz.models.registry import readiness
    from kdviz.terminal import downloads
    from kdviz.training.request import resolve_request

    if asked.threads is not None and asked.threads < 1:
        raise RequestError(f"--threads: expected at least 1, got {asked.threads}")
    strategies = _names(asked.strategy)
    config = _config(asked, strategy=strategies[0] if len(strategies) > 1 else asked.strategy)
    if note := readiness(config.teacher):
        print(f"{config.teacher}: {note}", file=sys.stderr)
    request = resolve_request(config, downloads=downloads())
    if request.already_answers:
        print(f"note: {request.already_answers}; --teacher-epochs 0 uses it as it is", file=sys.stderr)
    if len(strategies) > 1:
        return _run_together(request, strategies, asked)
    folder = create_run(request, asked.runs_dir, asked.run_id)
    run = Run(folder)
    print(f"run {run.id}: {run.config['data']['note']}")
    for number, stage in enumerate(run.config["stages"], start=1):
        print(f"  stage {number}: {stage['name']}, {stage['epochs']} epoch{'s' * (stage['epochs'] != 1)}")
    return _carry_out(folder, asked.threads)


def _carry_out(folder: Path, num_threads: int | None = None) -> int:
    """Execute a run with a progress line; the first Ctrl-C stops it in an orderly way."""
    from kdviz.jobs.launch import execute
    from kdviz.terminal import ProgressLine

    stop, line = threading.Event(), ProgressLine(sys.stderr)
    with _stopping_at_interrupt(stop):
        try:
            execute(folder, stop=stop, progress=line.show, num_threads=num_threads)
        finally:
            line.end()
    _print_scores(Run(folder))
    return 0


def _run_together(request: "Request", strategies: tuple[str, ...], asked: argparse.Namespace) -> int:
    """Several students of one teacher in one pass, a run folder each; 0 only where all of them finished."""
    from kdviz.jobs.together import create_together, execute_together
    from kdviz.terminal import ProgressLine, all_together

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
            _print_scores(Run(folder))
        elif not isinstance(error, Stopped):
            _say(f"kdviz: {folder.name}: {error}", 1)
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


def _print_scores(run: Run) -> None:
    first, last = run.evals[0], run.evals[-1]
    print(f"{run.id}: epoch {last['epoch']}, n = {last['n']}")
    for name, value in last["metrics"].items():
        low, high = last["intervals"][name]
        print(
            f"  {METRIC_TITLES[name]}: student {value:.4f} [{low:.4f}, {high:.4f}], before training "
            f"{first['metrics'][name]:.4f}, teacher {last['teacher_metrics'][name]:.4f}"
        )
    if order := run.config.get("teacher_labels"):
        print(f"  {order['message']}")
    print(f"  agreement with the teacher {last['agreement']:.4f}, logit KL {last['logit_kl']:.4f} nats")
    for number, ((student, teacher), kl, distance) in enumerate(
        zip(run.pairs, last["mismatch"]["attention_kl"], last["mismatch"]["cls_distance"])
    ):
        before = first["mismatch"]["attention_kl"][number]
        vectors = "– (two widths)" if distance is None else f"{distance:.5f}"
        print(
            f"  layer {student + 1} against teacher layer {teacher + 1}: attention KL {kl:.4f} nats "
            f"(before training {before:.4f}), CLS distance {vectors}"
        )


def _plan(asked: argparse.Namespace) -> None:
    from kdviz.jobs.limits import in_words
    from kdviz.jobs.plan import plan
    from kdviz.training.request import resolve_request

    request = resolve_request(_config(asked))
    made = plan(request)
    if asked.json:
        print(json.dumps(made.to_dict()))
        return
    print(request.data.note)
    print(
        "matching: "
        + ", ".join(
            f"student layer {student + 1} - teacher layer {teacher + 1}" for student, teacher in made.pairs
        )
    )
    for number, stage in enumerate(made.stages, start=1):
        print(
            f"stage {number}: {stage.name}, {stage.epochs} epoch{'s' * (stage.epochs != 1)}, "
            f"{stage.epochs * made.steps_per_epoch} steps"
        )
    is_kept = request.kept_teacher(asked.runs_dir) is not None
    teacher = (
        "its teacher is ready" if is_kept else f"{made.teacher_seconds:.0f} s before that for the teacher"
    )
    print(f"about {made.seconds:.0f} s; {teacher}")
    if made.teacher:
        print(f"{'warning' if made.teacher.flops else 'teacher'}: {made.teacher.words}")
    print(f"at most {in_words(made.memory_bytes)} of memory and {in_words(made.disk_bytes)} of disk")
    for warning in made.warnings:
        print(f"warning: {warning}")


def _list(asked: argparse.Namespace) -> None:
    rows = [_row(entry) for entry in Store(asked.runs_dir, DEMO_RUNS).list()]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        words = [str(row.get(key, "")) for key in ("id", "state", "task", "strategy", "epoch", "reason")]
        print("  ".join([*words, *(["diverged"] if row.get("diverged") else [])]).rstrip())


def _row(entry: Run | Unreadable) -> dict:
    if isinstance(entry, Unreadable):
        return {"id": entry.id, "state": "unreadable", "reason": entry.reason}
    status = entry.status
    return {
        "id": entry.id,
        "state": entry.state,
        "task": entry.task,
        "strategy": entry.strategy,
        "seed": entry.seed,
        "epoch": status.get("epoch"),
        "created": entry.config.get("created"),
        "error": status.get("error"),
        "diverged": divergence(entry),
    }


def _show(asked: argparse.Namespace) -> None:
    run = Store(asked.runs_dir, DEMO_RUNS).open(asked.run_id)
    if asked.json:
        print(
            json.dumps(
                {
                    "id": run.id,
                    "state": run.state,
                    "diverged": divergence(run),
                    "config": run.config,
                    "status": run.status,
                    "summary": run.summary,
                }
            )
        )
        return
    print(f"{run.id}: {run.state}, {run.task}, {run.strategy}, {run.config['data']['note']}")
    if reason := divergence(run):
        print(f"  diverged: {reason}")
    if run.status.get("error"):
        print(f"  {run.status['error']}")
    if run.evals:
        _print_scores(run)


def _resume(asked: argparse.Namespace) -> int:
    from kdviz.jobs.queue import CAN_BE_TAKEN_UP, existing_run

    folder = existing_run(asked.runs_dir, asked.run_id)
    state = Run(folder).state
    if state not in CAN_BE_TAKEN_UP:
        raise RequestError(
            f"run {asked.run_id!r} is {state}; only a run that is {', '.join(CAN_BE_TAKEN_UP)} can be resumed"
        )
    return _carry_out(folder)


def _stop(asked: argparse.Namespace) -> None:
    from kdviz.jobs.launch import request_stop
    from kdviz.jobs.queue import existing_run

    request_stop(existing_run(asked.runs_dir, asked.run_id))
    print(f"run {asked.run_id} is asked to stop")


def _delete(asked: argparse.Namespace) -> None:
    from kdviz.jobs.queue import delete_run

    delete_run(asked.runs_dir, check_run_id(asked.run_id))
    print(f"run {asked.run_id} is deleted")


def _report(asked: argparse.Namespace) -> None:
    from kdviz.files import write_bytes
    from kdviz.share.report import report

    store = Store(asked.runs_dir, DEMO_RUNS)
    runs = [store.open(run_id) for run_id in dict.fromkeys(asked.run_ids)]
    target = asked.out or Path(f"{'-and-'.join(run.id for run in runs)[:120]}.html")
    content = report(*runs).encode()
    try:
        write_bytes(target, content)
    except OSError as error:
        raise RequestError(f"report: {target} cannot be written: {error.strerror or error}") from None
    print(f"{target}: {len(content) / 1e6:.1f} MB")


def _tasks(asked: argparse.Namespace) -> None:
    from kdviz.data import available

    rows = [
        {
            "task": task.name,
            "title": task.title,
            "question": task.question,
            "metrics": list(task.metrics),
            "sources": available(task.name, asked.data_dir),
        }
        for task in TASKS.values()
    ]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['task']:5s} {row['title']}: {row['question']}")
        for source, origin in row["sources"].items() or [
            ("none here", "give a folder with --data-dir, or ask for it with --source hub")
        ]:
            print(f"      {source}: {origin}")


def _teachers(asked: argparse.Namespace) -> None:
    from kdviz.models.families import known_families
    from kdviz.models.registry import TEACHERS, readiness

    if asked.download is not None:
        _bring(asked.download)
        return
    rows = [
        {
            "teacher": entry.name,
            "title": entry.title,
            "layers": entry.num_layers,
            "heads": entry.num_heads,
            "hidden_size": entry.hidden_size,
            "from": entry.location or "Python packages",
            "note": f"{entry.note} {readiness(entry.name)}".strip(),
        }
        for entry in TEACHERS.values()
    ]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['teacher']:12s} {row['layers']:2d} layers × {row['heads']:2d} heads × "
            f"{row['hidden_size']:3d}, from {row['from']}. {row['note']}".rstrip()
        )
    print(f"any local folder or hub id of a checkpoint of {known_families()}")


def _bring(name: str) -> None:
    """Have a teacher on this machine, checked."""
    from kdviz.models.checkpoint import resolve
    from kdviz.terminal import downloads

    found = resolve(name, downloads=downloads())
    print(
        f"{found.name} is on this machine: {found.num_layers} layers × {found.num_heads} heads × "
        f"{found.hidden_size}, in {found.folder}"
    )


def _say(text: str, status: int) -> int:
    print(" ".join(text.splitlines()), file=sys.stderr)
    return status
