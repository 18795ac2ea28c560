"""kdviz list, show, stop, delete, report: what looks at run folders."""

import argparse
import json
import os
from pathlib import Path

from kdviz.analysis.cautions import cautions
from kdviz.analysis.divergence import divergence
from kdviz.errors import RequestError
from kdviz.files import size_words
from kdviz.method.terms import recorded_terms
from kdviz.metrics import METRIC_TITLES
from kdviz.paths import user_path
from kdviz.runs.parts import interval_of
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.runs.store import Store, Unreadable, check_run_id, check_runs_folder, existing_run
from kdviz.share.live import label_message
from kdviz.terminal import complain
from kdviz.text import printable


def run_meant(text: str, runs_dir: Path) -> str:
    """The run id in `text`, where that is the path of a run's folder in `runs_dir`, as a shell completes it.
    RequestError where that run lies elsewhere.
    """
    if os.sep not in text:
        return text.strip()
    path = user_path(text, field="run_id")
    if os.path.realpath(path.parent) == os.path.realpath(runs_dir):
        return path.name
    if os.path.isdir(path):
        raise RequestError(
            f"run id: expected the name of a run in {runs_dir}, got the folder {path}; give {path.name} "
            f"--runs-dir {path.parent}",
            field="run_id",
        )
    return text


def list_runs(asked: argparse.Namespace) -> None:
    """The runs, a line each."""
    check_runs_folder(asked.runs_dir)
    rows = [_row(entry) for entry in Store(asked.runs_dir, DEMO_RUNS).list()]
    if asked.json:
        print(json.dumps(rows))
        return
    if not asked.runs_dir.exists():
        complain(f"kdviz: there is no folder {asked.runs_dir} yet; these are the runs of the stored demo")
    for row in rows:
        words = [
            " ".join(str(row.get(key, "")).split())
            for key in ("id", "state", "task", "strategy", "epoch", "reason")
        ]
        print(printable("  ".join([*words, *(["diverged"] if row.get("diverged") else [])]).rstrip()))


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


def show(asked: argparse.Namespace) -> None:
    """One run."""
    run = Store(asked.runs_dir, DEMO_RUNS).open(run_meant(asked.run_id, asked.runs_dir))
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
    note = run.config.get("data", {}).get("note", "data unknown")
    print(printable(f"{run.id}: {run.state}, {run.task}, {run.strategy}, {note}"))
    if reason := divergence(run):
        print(f"  diverged: {reason}")
    if run.status.get("error"):
        print(printable(f"  {run.status['error']}"))
    if run.evals:
        print_scores(run)
    for name, reason in run.faults.items():
        print(printable(f"  {name} cannot be used as a whole: {reason}"))


def print_scores(run: Run) -> None:
    """The last evaluation of a run, with what was before training."""
    first, last = run.before_training, run.evals[-1]
    print(
        f"{run.id}: epoch {last['epoch']}, n = {last.get('n', 'unknown')}; brackets: 95 % interval over the "
        "examples"
    )
    teacher = last.get("teacher_metrics", {})
    for name, value in last["metrics"].items():
        low, high = interval_of(last, name)
        print(
            f"  {METRIC_TITLES.get(name, name)}: student {_number(value)} [{_number(low)}, {_number(high)}], "
            f"before training {_number(first and first['metrics'].get(name))}, teacher "
            f"{_number(teacher.get(name))}"
        )
    if message := label_message(run):
        print(printable(f"  {message}"))
    agreement, logit_kl = _number(last["agreement"]), _number(last["logit_kl"])
    print(f"  agreement with the teacher {agreement}, logit KL {logit_kl} nats")
    for caution in cautions(run, last["epoch"]):
        print(printable(f"  {caution}"))
    further = recorded_terms([last])
    for number, ((student, teacher), kl, distance) in enumerate(
        zip(run.pairs, last["mismatch"]["attention_kl"], last["mismatch"]["cls_distance"])
    ):
        before = first and first["mismatch"]["attention_kl"][number]
        vectors = "–" if distance is None else f"{distance:.5f}"
        if distance is None and first and first["mismatch"]["cls_distance"][number] is None:
            vectors += " (two widths)"  # else it was finite before training: this one diverged
        said = "".join(
            f", {term.title} {_number(last['mismatch'][term.key][number])} ({term.unit})" for term in further
        )
        print(
            f"  layer {student + 1} against teacher layer {teacher + 1}: attention KL {_number(kl)} nats "
            f"(before training {_number(before)}), CLS distance {vectors}{said}"
        )


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def stop(asked: argparse.Namespace) -> None:
    """Ask another process to stop its run."""
    from kdviz.jobs.stop import request_stop

    folder = existing_run(asked.runs_dir, run_meant(asked.run_id, asked.runs_dir))
    request_stop(folder)
    print(f"run {folder.name} is asked to stop")


def delete(asked: argparse.Namespace) -> None:
    """Remove a run's folder."""
    from kdviz.jobs.delete import delete_run

    run_id = check_run_id(run_meant(asked.run_id, asked.runs_dir))
    delete_run(asked.runs_dir, run_id)
    print(f"run {run_id} is deleted")


def report(asked: argparse.Namespace) -> None:
    """One run, or several side by side, as one HTML file."""
    from kdviz.files import write_output
    from kdviz.share.report import BEGINNING
    from kdviz.share.report import report as page_of

    store = Store(asked.runs_dir, DEMO_RUNS)
    runs = [
        store.open(name) for name in dict.fromkeys(run_meant(text, asked.runs_dir) for text in asked.run_ids)
    ]
    target = asked.out or Path(f"{'-and-'.join(run.id for run in runs)[:120]}.html")
    content = page_of(*runs).encode()
    try:
        write_output(target, content, beginning=BEGINNING.encode())
    except OSError as error:
        raise RequestError(
            f"report: {target} cannot be written: {error.strerror or error}; choose another --out"
        ) from None
    print(f"{target}: {size_words(len(content))}")
