"""Run folders as somebody who means harm, a crash or another program leaves them: see test_hostile_pages."""

import gzip
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args, get_type_hints, is_typeddict

import numpy as np
from folders import make_run
from safetensors.numpy import load, save

from kdviz.runs.records import LINES, Config, ProbeRow, Status, Summary

ELSEWHERE = "elsewhere.example"
MARKUP = (
    f"![x](http://{ELSEWHERE}/a.png) :material/home: :smile: :streamlit: "
    f"<a href='http://{ELSEWHERE}/b'>y</a> <img src=http://{ELSEWHERE}/c.png> www.{ELSEWHERE} a@{ELSEWHERE} "
    f":red[z] [l](http://{ELSEWHERE}/d) $x^2$ `c` **b** https://{ELSEWHERE}/e | cell"
)
"""Everything that Markdown, HTML or plotly would act upon."""


def edit(path: Path, change: Callable[[object], object]) -> None:
    """Write what `change` makes of the JSON value in a file; a value it returns as None was changed in
    place.
    """
    value = json.loads(path.read_text())
    changed = change(value)
    path.write_text(json.dumps(value if changed is None else changed))


def put(name: str, **values: object) -> Callable[[Path], None]:
    """A damage: some keys of a JSON file replaced."""
    return lambda run: edit(run / name, lambda value: {**value, **values})


def lines(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """A damage: every line of metrics.jsonl changed in place."""

    def damage(run: Path) -> None:
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for record in records:
            change(record)
        (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))

    return damage


def instead(name: str, content: bytes) -> Callable[[Path], None]:
    """A damage: a file with another content."""

    def damage(run: Path) -> None:
        path = run / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return damage


def changed(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """A damage: a file with what `change` makes of its content."""

    def damage(run: Path) -> None:
        (run / name).write_bytes(change((run / name).read_bytes()))

    return damage


def loop(name: str) -> Callable[[Path], None]:
    """A damage: a link to itself in a file's place."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(name)

    return damage


def fifo(name: str) -> Callable[[Path], None]:
    """A damage: a pipe nobody writes to in a file's place."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)

    return damage


def device(name: str) -> Callable[[Path], None]:
    """A damage: a link to a device without an end in a file's place."""

    def damage(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to("/dev/zero")

    return damage


def every(pattern: str, change: Callable[[bytes], tuple[str, bytes]]) -> Callable[[Path], None]:
    """A damage: every file of a pattern replaced by (ending, content)."""

    def damage(run: Path) -> None:
        for path in list(run.glob(pattern)):
            ending, content = change(path.read_bytes())
            path.unlink()
            path.with_name(path.name + ending).write_bytes(content)

    return damage


def arrays(pattern: str, change: Callable[[str, np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """A damage: every array of floats in every file of a pattern changed."""

    def damage(run: Path) -> None:
        for path in run.glob(pattern):
            if path.name != "teacher.safetensors":
                found = load(path.read_bytes())
                floats = {name: change(name, each) for name, each in found.items() if each.dtype.kind == "f"}
                path.write_bytes(save({**found, **{n: np.ascontiguousarray(a) for n, a in floats.items()}}))

    return damage


def bare(record: type, value: object, *, outside: bool = True) -> None:
    """Take from a value of a run's file, in place, all that a record of this type need not have; with
    `outside` false from what is inside of it alone.
    """
    for name, hint in get_type_hints(record).items():
        if name not in value:
            continue
        if outside and name not in record.__required_keys__:
            del value[name]
        elif is_typeddict(hint):
            bare(hint, value[name])
        elif is_typeddict(inner := (get_args(hint) or (None,))[-1]):
            for each in value[name].values() if isinstance(value[name], dict) else value[name]:
                bare(inner, each)


def _bare_lines(kind: str) -> Callable[[Path], None]:
    return lines(lambda line: line["kind"] == kind and bare(LINES[kind], line))


def _bare_file(name: str, record: type, *, outside: bool = True) -> Callable[[Path], None]:
    return lambda run: edit(run / name, lambda value: bare(record, value, outside=outside))


DEEP = b"[" * 100_000
ZEROS = gzip.compress(bytes(64 << 20))
SNAPSHOTS, EVALUATIONS = "snapshots/*.safetensors", "evaluations/*.safetensors"


def _append(name: str, content: bytes) -> Callable[[Path], None]:
    def damage(run: Path) -> None:
        with open(run / name, "ab") as file:
            file.write(content)

    return damage


DAMAGES: dict[str, Callable[[Path], None]] = {
    # metrics.jsonl
    "deep-line": _append("metrics.jsonl", DEEP + b"\n"),
    "deep-eval": _append("metrics.jsonl", b'{"kind": "eval", "metrics": ' + DEEP + b"\n"),
    "no-step": lines(lambda line: line["kind"] == "probe" and line.pop("step")),
    "text-step": lines(lambda line: line.update(step="later")),
    "huge-step": lines(lambda line: line.update(step=10**40)),
    "negative-step": lines(lambda line: line.update(step=-3)),
    "no-metrics": lines(lambda line: line.pop("metrics", None)),
    "metrics-list": lines(lambda line: line.update(metrics=[1, 2])),
    "metrics-null": lines(lambda line: "metrics" in line and line.update(metrics={"matthews": None})),
    "metrics-empty": lines(lambda line: line.update(metrics={})),
    "mismatch-short": lines(lambda line: "mismatch" in line and line["mismatch"].update(attention_kl=[0.1])),
    "mismatch-nan": lines(
        lambda line: "mismatch" in line and line["mismatch"].update(attention_kl=[None, None])
    ),
    "heads-wrong": lines(
        lambda line: "mismatch" in line and line["mismatch"].update(attention_kl_heads=[[1.0], "x"])
    ),
    "term-wrong": lines(
        lambda line: "mismatch" in line and line["mismatch"].update(value_relation=["x", {}])
    ),
    "cka-wrong": lines(lambda line: line.update(cka=[[1.0]])),
    "intervals-wrong": lines(lambda line: line.update(intervals={"matthews": [0.1]})),
    "probes-text": lines(lambda line: line.update(probes="none")),
    "probes-empty": lines(lambda line: line.update(probes={})),
    "probes-numbers": lines(lambda line: line["kind"] == "probe" and line.update(probes={"agreement": 3})),
    "probes-logits": lines(
        lambda line: [each.update(student_logits=[1.0]) for each in line.get("probes", {}).values()]
    ),
    "probes-nan": lines(
        lambda line: [each.update(student_logits=[None, 1.0]) for each in line.get("probes", {}).values()]
    ),
    "stage-number": lines(lambda line: line.update(stage=7)),
    "stage-layers": lines(lambda line: line.update(stage={"layers": [99], "classification": "soft"})),
    "losses-text": lines(lambda line: line.update(losses={"attention_kl": {"nine": 1.0}, "soft": "x"})),
    "n-text": lines(lambda line: line.update(n="many", agreement="all")),
    "n-missing": lines(lambda line: line.pop("n", None)),
    "teacher-missing": lines(lambda line: (line.pop("teacher_metrics", None), line.pop("intervals", None))),
    "teacher-null": lines(
        lambda line: line.get("metrics") and line.update(teacher_metrics=dict.fromkeys(line["metrics"]))
    ),
    "scores-null": lines(
        lambda line: line.get("metrics") and line.update(metrics=dict.fromkeys(line["metrics"]))
    ),
    "scores-other": lines(lambda line: "metrics" in line and line.update(metrics={"bleu": 0.3})),
    "metrics-marked": changed("metrics.jsonl", lambda content: b"\xef\xbb\xbf" + content),
    "metrics-loop": loop("metrics.jsonl"),
    "metrics-fifo": fifo("metrics.jsonl"),
    "metrics-device": device("metrics.jsonl"),
    "metrics-binary": instead("metrics.jsonl", bytes(range(256)) * 20),
    "metrics-gone": lambda run: (run / "metrics.jsonl").unlink(),
    # probes.json
    "probes-extra": lambda run: edit(run / "probes.json", lambda rows: [{**row, "more": 1} for row in rows]),
    "probes-lacking": lambda run: edit(run / "probes.json", lambda rows: [rows[0], {"id": "x"}]),
    "probes-label": lambda run: edit(run / "probes.json", lambda rows: [{**row, "label": 9} for row in rows]),
    "probes-tokens": lambda run: edit(
        run / "probes.json", lambda rows: [{**row, "tokens": row["tokens"][:2]} for row in rows]
    ),
    "probes-many": lambda run: edit(
        run / "probes.json", lambda rows: [{**rows[0], "id": f"n{number}"} for number in range(20_000)]
    ),
    "probes-deep": instead("probes.json", DEEP),
    "probes-object": instead("probes.json", b'{"a": 1}'),
    "probes-fifo": fifo("probes.json"),
    # arrays
    "snapshots-torn": every(SNAPSHOTS, lambda content: ("", content[:70])),
    "snapshots-short": every(SNAPSHOTS, lambda content: ("", content[:-9])),
    "snapshots-gz-torn": every(SNAPSHOTS, lambda content: (".gz", gzip.compress(content)[:-30])),
    "snapshots-gz-noise": every(SNAPSHOTS, lambda content: (".gz", b"\x1f\x8b" + bytes(range(200)))),
    "snapshots-gz-zeros": every(SNAPSHOTS, lambda content: (".gz", ZEROS)),
    "snapshots-xz-torn": every(SNAPSHOTS, lambda content: (".xz", lzma.compress(content)[:-30])),
    "snapshots-xz-noise": every(SNAPSHOTS, lambda content: (".xz", b"noise")),
    "evaluations-torn": every(EVALUATIONS, lambda content: ("", content[:70])),
    "evaluations-zeros": every(EVALUATIONS, lambda content: (".gz", ZEROS)),
    "evaluations-other": lambda run: [
        path.write_bytes(next(run.glob(SNAPSHOTS)).read_bytes()) for path in run.glob(EVALUATIONS)
    ],
    "evaluations-nan": arrays(EVALUATIONS, lambda name, array: array * np.nan),
    "evaluations-huge": arrays(EVALUATIONS, lambda name, array: np.sign(array) * np.float32(3e38)),
    "snapshots-nan": arrays(SNAPSHOTS, lambda name, array: array * np.nan),
    "snapshots-other-shape": arrays(SNAPSHOTS, lambda name, array: array[:, :, 1:]),
    "snapshots-bool": arrays(SNAPSHOTS, lambda name, array: array > 0.5),
    "evaluations-named": lambda run: (run / "evaluations" / "epoch_x.safetensors").write_bytes(b""),
    "teacher-fifo": fifo("snapshots/teacher.safetensors"),
    # other files
    "status-list": instead("status.json", b"[1]"),
    "status-deep": instead("status.json", DEEP),
    "status-types": put(
        "status.json", state=3, step="x", total_steps=[], phase={}, error=[1], seconds_left="soon"
    ),
    "status-running": put("status.json", state="running", steps_per_second="x", total_steps=-1),
    "status-fifo": fifo("status.json"),
    "waiting-fifo": lambda run: (put("status.json", state="queued")(run), fifo("waiting.lock")(run)),
    "lock-fifo": lambda run: (put("status.json", state="running")(run), fifo("lock")(run)),
    "summary-list": instead("summary.json", b"[1]"),
    "summary-types": put("summary.json", cost=[1], seconds=3, best_epoch="x", metrics=None),
    "summary-costs": put("summary.json", cost={"student_parameters": "many", "teacher_parameters": [1]}),
    "summary-fifo": fifo("summary.json"),
    "phenomena-list": instead("phenomena.json", b"[1]"),
    "phenomena-types": instead("phenomena.json", b'{"x": 1, "3": [1]}'),
    "config-marked": changed("config.json", lambda content: b"\xef\xbb\xbf" + content),
    "config-more-labels": put("config.json", labels=["one", "two", "three"]),
    "config-labels": put("config.json", labels=[]),
    "config-few-labels": put("config.json", labels=["one"]),
    "config-data": put("config.json", data={}),
    "config-nulls": put("config.json", data=None, labels=None, stages=None, planned=None, teacher=None),
    "config-task": put("config.json", task="other", labels=None),
    # what no file need say
    **{f"bare-{kind}": _bare_lines(kind) for kind in LINES},
    "bare-config": _bare_file("config.json", Config),
    "bare-inside-config": _bare_file("config.json", Config, outside=False),
    "bare-status": _bare_file("status.json", Status),
    "bare-summary": _bare_file("summary.json", Summary),
    "bare-probes": lambda run: edit(
        run / "probes.json", lambda rows: [bare(ProbeRow, row) for row in rows] and rows
    ),
}
"""What is wrong with a run of that name that can still be opened."""

UNREADABLE: dict[str, Callable[[Path], None]] = {
    "bad-deep": instead("config.json", b'{"format_version": 1, "x": ' + DEEP),
    "bad-nested": put("config.json", format_version=1, more=json.loads("[" * 60 + "]" * 60)),
    "bad-pairs": put("config.json", pairs=[[0, 99]]),
    "bad-no-pairs": put("config.json", pairs=[]),
    "bad-stages": put("config.json", stages=[3]),
    "bad-many-stages": put("config.json", stages=[{"layers": [0], "classification": "soft"}] * 5000),
    "bad-many-labels": put("config.json", labels=["one"] * 5000),
    "bad-heads": put("config.json", num_heads=10**9),
    "bad-labels": put("config.json", labels=[1, 2]),
    "bad-data": put("config.json", data={"num_train": "all"}),
    "bad-strategy": put("config.json", strategy=MARKUP),
    "bad-task": put("config.json", task=MARKUP),
    "bad-teacher": put("config.json", teacher=["x"]),
    "bad-fingerprint": put("config.json", teacher_fingerprint="../../outside"),
    "bad-version": put("config.json", format_version=MARKUP),
    "bad-fifo": fifo("config.json"),
    "bad-device": device("config.json"),
    "bad-empty": instead("config.json", b""),
}
"""What makes a folder one that cannot be opened as a run."""


def make_damaged(runs: Path, name: str) -> Path:
    """A run with the damage of that name."""
    run = make_run(runs, name, num_eval=6, epochs=1)
    {**DAMAGES, **UNREADABLE}[name](run)
    return run


def make_marked_up(runs: Path) -> Path:
    """A run in which every text of every file is markup, and folders whose names and reasons are."""
    run = make_run(runs, "marked-up", num_eval=6, epochs=2, strategy="sid")
    data = {"note": f"{MARKUP} ({MARKUP})", "origin": MARKUP, "fingerprint": MARKUP}
    data |= {"skipped": {"train": {MARKUP: 3}}, "warnings": [MARKUP], "source": "folder"}

    def config(value: dict) -> None:
        value["data"].update(data)
        value.update(teacher=MARKUP, labels=[f"no {MARKUP}", f"yes {MARKUP}"], created=MARKUP, owner=MARKUP)
        value.update(versions={MARKUP: MARKUP}, dtype=MARKUP, dtype_reason=MARKUP, device=MARKUP)
        value.update(data_dir=MARKUP, matching=MARKUP, init=MARKUP, terms=[MARKUP], planned={MARKUP: MARKUP})
        value.update({MARKUP: MARKUP})
        for stage in value["stages"]:
            stage["name"] = MARKUP

    edit(run / "config.json", config)
    texts = ("title", "reason", "look_for", "text_a")
    edit(
        run / "probes.json",
        lambda rows: [
            row | dict.fromkeys(texts, MARKUP) | {"tokens": [MARKUP, *row["tokens"][1:]]} for row in rows
        ],
    )
    put(
        "status.json",
        state="failed",
        error=MARKUP,
        waiting=MARKUP,
        phase=MARKUP,
        teacher_outputs=MARKUP,
        updated=MARKUP,
    )(run)
    edit(run / "phenomena.json", lambda value: dict.fromkeys(value, MARKUP))
    put("summary.json", primary_metric=MARKUP)(run)
    with open(run / "metrics.jsonl", "a") as file:
        score = {"kind": "teacher_score", "metrics": {"matthews": 0.1}, "warning": MARKUP, "majority": 0.6}
        stage = {"layers": [0], "classification": "none", "name": MARKUP}
        for line in (
            score,
            {"kind": "stage", "step": 0, "epoch": 0, "stage": stage},
            {"kind": "stage", "step": 8, "epoch": 1, "stage": {**stage, "layers": []}},
            {"kind": MARKUP},
            {"kind": "eval", "metrics": {MARKUP: 1}},
        ):
            file.write(json.dumps(line) + "\n")
    (runs / MARKUP.replace("/", "∕")[:120]).mkdir()
    for name in ("bad-strategy", "bad-version", "bad-task"):
        make_damaged(runs, name)
    return run
