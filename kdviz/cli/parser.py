"""The commands and their flags."""

import argparse
from collections.abc import Callable
from pathlib import Path

from kdviz import bench
from kdviz.cli import catalogue, stored, training
from kdviz.cli.settings import add_settings
from kdviz.errors import RequestError
from kdviz.paths import RUNS_VARIABLE, user_path
from kdviz.studies.command import STUDY_HELP, study_command
from kdviz.studies.command import add_arguments as add_study_arguments


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line: what was expected, what came."""

    def error(self, message: str) -> None:
        plain = message.replace("invalid int value:", "expected a whole number, got")
        raise RequestError(f"{plain}; see '{self.prog} --help'")


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Tells the default of a flag that has one, where its help does not say it."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or "(default" in (action.help or ""):
            return action.help
        return super()._get_help_string(action)


def _path(text: str) -> Path:
    try:
        return user_path(text)
    except RequestError as error:
        raise argparse.ArgumentTypeError(str(error).partition(": ")[2]) from None


def make_parser() -> argparse.ArgumentParser:
    """Every command and its flags; `command` of what it parses carries it out."""
    parser = Parser(prog="kdviz", description="See what knowledge distillation does inside a model.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Parser)

    def add(
        name: str,
        help: str,
        command: Callable,
        *,
        runs_dir: bool = True,
        run_id: bool = False,
        as_json: bool = False,
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, formatter_class=_Help)
        sub.set_defaults(command=command)
        if run_id:
            sub.add_argument("run_id", metavar="RUN_ID")
        if runs_dir:
            sub.add_argument(
                "--runs-dir", type=_path, help=f"folder of the runs (default: {RUNS_VARIABLE}, else runs/)"
            )
        if as_json:
            sub.add_argument("--json", action="store_true", help="print JSON")
        return sub

    run = add("run", "distil a student, or several at once: --strategy all,soft,sid", training.run)
    add_settings(run)
    run.add_argument("--run-id", help="name of the run's folder")
    run.add_argument("--threads", type=int, help="torch threads (default: as many as this process may use)")
    plan = add(
        "plan", "what a run would do, stage by stage, and how long it takes", training.plan, as_json=True
    )
    add_settings(plan)
    add("list", "the runs", stored.list_runs, as_json=True)
    add("show", "one run", stored.show, run_id=True, as_json=True)
    add("resume", "continue a run that was stopped or interrupted", training.resume, run_id=True)
    add("stop", "stop a run that another process trains", stored.stop, run_id=True)
    add("delete", "remove a run's folder", stored.delete, run_id=True)
    report = add("report", "one run, or several side by side, as one HTML file", stored.report)
    report.add_argument("run_ids", metavar="RUN_ID", nargs="+")
    report.add_argument("--out", type=_path, help="file to write (default: RUN_ID.html)")
    add_study_arguments(add("study", STUDY_HELP, study_command))
    tasks = add(
        "tasks", "the tasks, and where their data can be had", catalogue.tasks, runs_dir=False, as_json=True
    )
    tasks.add_argument("--data-dir", type=_path, help="folder in the GLUE release layout")
    bench.add_arguments(add("bench", "speed figures as JSON", bench.main, runs_dir=False))
    teachers = add(
        "teachers",
        "the teacher checkpoints, and where they can be had",
        catalogue.teachers,
        runs_dir=False,
        as_json=True,
    )
    teachers.add_argument("--download", metavar="TEACHER", help="bring this one to this machine, and end")
    return parser
