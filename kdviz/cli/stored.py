"""kdviz list, show, stop, delete, report: what looks at run folders."""

import argparse
import json
from pathlib import Path

from kdviz.analysis.divergence import divergence
from kdviz.errors import RequestError
from kdviz.metrics import METRIC_TITLES
from kdviz.runs.reader import DEMO_RUNS, Run, Store, Unreadable, check_run_id
from kdviz.text import printable


def list_runs(asked: argparse.Namespace) -> None:
    """The runs, a line each."""
    rows = [_row(entry) for entry in Store(asked.runs_dir, DEMO_RUNS).list()]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        words = [str(row.get(key, "")) for key in ("id", "state", "task", "strategy", "epoch", "reason")]
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
    print(printable(f"{run.id}: {run.state}, {run.task}, {run.strategy}, {run.config['data']['note']}"))
    if reason := divergence(run):
        print(f"  diverged: {reason}")
    if run.status.get("error"):
        print(printable(f"  {run.status['error']}"))
    if run.evals:
        print_scores(run)


def print_scores(run: Run) -> None:
    """The last evaluation of a run, with what was before training."""
    first, last = run.evals[0], run.evals[-1]
    print(f"{run.id}: epoch {last['epoch']}, n = {last['n']}")
    for name, value in last["metrics"].items():
        low, high = last["intervals"][name]
        print(
            f"  {METRIC_TITLES[name]}: student {value:.4f} [{low:.4f}, {high:.4f}], before training "
            f"{first['metrics'][name]:.4f}, teacher {last['teacher_metrics'][name]:.4f}"
        )
    if order := run.config.get("teacher_labels"):
        print(printable(f"  {order['message']}"))
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


def stop(asked: argparse.Namespace) -> None:
    """Ask another process to stop its run."""
    from kdviz.jobs.launch import request_stop
    from kdviz.jobs.queue import existing_run

    request_stop(existing_run(asked.runs_dir, asked.run_id))
    print(f"run {asked.run_id} is asked to stop")


def delete(asked: argparse.Namespace) -> None:
    """Remove a run's folder."""
    from kdviz.jobs.queue import delete_run

    delete_run(asked.runs_dir, check_run_id(asked.run_id))
    print(f"run {asked.run_id} is deleted")


def report(asked: argparse.Namespace) -> None:
    """One run, or several side by side, as one HTML file."""
    from kdviz.files import write_bytes
    from kdviz.share.report import report as page_of

    store = Store(asked.runs_dir, DEMO_RUNS)
    runs = [store.open(run_id) for run_id in dict.fromkeys(asked.run_ids)]
    target = asked.out or Path(f"{'-and-'.join(run.id for run in runs)[:120]}.html")
    content = page_of(*runs).encode()
    try:
        write_bytes(target, content)
    except OSError as error:
        raise RequestError(f"report: {target} cannot be written: {error.strerror or error}") from None
    print(f"{target}: {len(content) / 1e6:.1f} MB")
