"""kdviz study: the command line of studies."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.machine import check_threads
from kdviz.progress import duration_words
from kdviz.studies.spec import SIZES, Study, shipped_studies
from kdviz.text import counted

if TYPE_CHECKING:
    from kdviz.studies.check import Forecast

STUDY_HELP = "a grid of runs from a TOML file; continues where it stopped"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `kdviz study`."""
    parser.add_argument("file", metavar="FILE", help=f"a TOML file, or one of {', '.join(shipped_studies())}")
    parser.add_argument("--size", choices=SIZES, help="which of the file's sizes (default: its smallest)")
    parser.add_argument(
        "--dry-run", action="store_true", help="check every run, say how long and how much disk"
    )
    parser.add_argument("--table", action="store_true", help="print the table as it stands; run nothing")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--csv", action="store_true", help="print the table as CSV")
    parser.add_argument(
        "--store",
        nargs="?",
        const=True,
        metavar="FILE.json",
        help="write the table with its provenance, to be committed (default: among kdviz's own results)",
    )
    parser.add_argument("--on", choices=("here", "ray"), default="here", help="where to run")
    parser.add_argument("--address", help="of the Ray cluster (default: one on this machine)")
    parser.add_argument(
        "--at-once",
        type=int,
        metavar="N",
        help="runs trained at a time here, each in a process of its own (default: as many as the cores and "
        "the memory hold where [resources] says the cpus of one, else 1)",
    )


def study_command(asked: argparse.Namespace) -> int:
    """Carry out, check or print one study; returns the exit status."""
    from kdviz.studies.folder import open_study

    if asked.json and asked.csv:
        raise RequestError("study: expected --json or --csv, got both; choose one")
    if asked.address and asked.on != "ray":
        raise RequestError("study: --address is that of a Ray cluster; give --on ray too", field="address")
    if asked.at_once is not None and asked.on == "ray":
        raise RequestError(
            "study: --at-once is for runs on this machine; a cluster takes what it has room for"
        )
    if asked.at_once is not None and asked.at_once < 1:
        raise RequestError(f"study: expected 1 run at a time or more in --at-once, got {asked.at_once}")
    study = open_study(asked.file, asked.size, asked.runs_dir)
    if asked.on == "here" and not (asked.table or asked.store):
        check_threads(study.resources.cpus, "study: cpus in [resources]")
    if asked.table:
        print(_table_text(study, asked), end="")
    if asked.store:
        _store(study, asked)
    if asked.table or asked.store:
        return 0
    return _dry_run(study, asked) if asked.dry_run else _carry_out(study, asked)


def _carry_out(study: Study, asked: argparse.Namespace) -> int:
    from kdviz.studies.check import warnings_of
    from kdviz.studies.folder import StudyFolder

    def say(text: str) -> None:
        print(text, file=sys.stderr if asked.json or asked.csv else sys.stdout, flush=True)

    forecast = _check(study, asked)
    say(_summary(study, forecast))
    for warning, count in warnings_of(forecast.open).items():
        say(f"warning, {counted(count, 'run')}: {warning}")
    if asked.on == "ray":
        from kdviz.studies.on_ray import run_on_ray

        failed = run_on_ray(study, forecast, asked.runs_dir, address=asked.address, say=say)
    else:
        from kdviz.studies.runner import run_here

        failed = run_here(study, forecast, asked.runs_dir, say=say)
    print(_table_text(study, asked), end="")
    say(f"also in {StudyFolder(asked.runs_dir, study.id).folder}")
    for run_id, reason in failed.items():
        print(f"kdviz: {run_id} failed: {' '.join(reason.split())}", file=sys.stderr)
    return 1 if failed else 0


def _check(study: Study, asked: argparse.Namespace) -> "Forecast":
    from kdviz.studies.check import check_study

    at_once = asked.at_once if asked.on == "here" else 1
    return check_study(study, asked.runs_dir, num_threads=study.resources.cpus, at_once=at_once)


def _table_text(study: Study, asked: argparse.Namespace) -> str:
    from kdviz.studies.render import as_csv, as_json, markdown
    from kdviz.studies.table import make_table

    table = make_table(study, asked.runs_dir)
    return as_json(table) + "\n" if asked.json else as_csv(table) if asked.csv else markdown(table)


def _dry_run(study: Study, asked: argparse.Namespace) -> int:
    from kdviz.studies.check import warnings_of

    forecast = _check(study, asked)
    if asked.json:
        print(json.dumps({"study": study.id, **forecast.to_dict()}))
        return 0
    for checked in forecast.teachers.values():
        config = checked.cell.config
        print(
            f"teacher for {config.task}: {config.teacher}, {counted(config.teacher_epochs, 'epoch')}, about "
            f"{duration_words(checked.teacher_seconds)}, {size_words(checked.teacher_bytes)}"
        )
    for checked in forecast.cells:
        cost = (
            ""
            if checked.state == "finished"
            else f", about {duration_words(checked.seconds)}, {size_words(checked.disk_bytes)}"
        )
        print(f"{checked.cell.run_id}: {checked.state}{cost}")
    for warning, count in warnings_of(forecast.open).items():
        print(f"warning, {counted(count, 'run')}: {warning}")
    print(_summary(study, forecast))
    return 0


def _summary(study: Study, forecast: "Forecast") -> str:
    from kdviz.studies.progress import all_finished

    left, teachers = len(forecast.open), len(forecast.teachers)
    if not left:
        return f"{study.id}: {all_finished(len(forecast.cells))}"
    together = f" ({forecast.at_once} at a time)" if forecast.at_once > 1 else ""
    return (
        f"{study.id}: {left} of {len(forecast.cells)} runs to do{together} and "
        f"{counted(teachers, 'teacher')} to fine-tune, about {duration_words(forecast.seconds)} on this "
        f"machine, at most {size_words(forecast.memory_bytes)} of memory and "
        f"{size_words(forecast.disk_bytes)} of disk"
    )


def _store(study: Study, asked: argparse.Namespace) -> None:
    from kdviz.studies.results import store_results

    path = store_results(study, asked.runs_dir, None if asked.store is True else Path(asked.store))
    said = f"{path}: {size_words(path.stat().st_size)}"
    print(said, file=sys.stderr if asked.table else sys.stdout)
