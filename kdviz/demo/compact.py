"""A finished run as the stored demo keeps it: the same format, without weights, with fewer digits and no
texts of GLUE.
"""

import gzip
import json
import lzma
import shutil
from collections.abc import Collection
from pathlib import Path

import numpy as np

from kdviz.files import finite, read_json, write_bytes, write_json
from kdviz.runs.arrays import ROOT_STEPS
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run

TRAIN_LINES = 40
DIGITS = 5
EVALUATED_ROWS = 12_000  # of all epochs together; with more, the first and the last epoch's are kept


def store_run(
    run: Run, target: Path, *, epochs_between_maps: float | None, answers_at_ends: bool = False
) -> int:
    """Write the compact form of `run` to `target` (replaced as a whole); returns its size in bytes.

    Maps are stored before training and then about every `epochs_between_maps` epochs. None: only scores and
    the last evaluation are kept. `answers_at_ends`: results by example before training and after it alone.
    """
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    moments = _moments_kept(run, epochs_between_maps) if epochs_between_maps else []
    write_json(RunFiles(temporary).config, _config(run))
    write_json(
        RunFiles(temporary).status,
        {key: value for key, value in run.status.items() if key not in ("teacher_outputs", "waiting")},
    )
    write_json(RunFiles(temporary).summary, run.summary)
    write_bytes(RunFiles(temporary).metrics, _metrics(run, moments).encode())
    write_bytes(
        RunFiles(temporary).probes,
        json.dumps(_short(read_json(run.files.probes)), ensure_ascii=False).encode(),
    )
    for epoch in _epochs_kept(run, answers_at_ends) if moments else run.evaluated_epochs[-1:]:
        _store_evaluation(run, epoch, _packed(RunFiles(temporary).evaluation(epoch)))
    _store_predictions(run, _packed(RunFiles(temporary).predictions, ".gz"))
    for step in moments:
        _store_maps(
            {probe.id: run.student_maps(step, probe.id) for probe in run.probes},
            _packed(RunFiles(temporary).snapshot(step)),
        )
    if moments:
        shared = _packed(RunFiles(target).teacher_probes(run.config["teacher_fingerprint"]))
        _store_maps({probe.id: run.teacher_maps(probe.id) for probe in run.probes}, shared)
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _packed(path: Path, ending: str = ".xz") -> Path:
    return path.with_name(path.name + ending)


def _config(run: Run) -> dict:
    """config.json without this machine's folders; QQP says when it is not GLUE's split."""
    config = dict(run.config)
    data = {**config["data"], "origin": f"GLUE folder, {run.task}"}
    counts = f"{data['train_total']:,} train, {data['eval_total']:,} dev examples"
    is_part = run.task == "qqp" and data["train_total"] < 300_000
    data["note"] = f"real data: {counts}" + (
        " (genuine Quora pairs, a part of them and not GLUE's split: not to be compared with published "
        "numbers)"
        if is_part
        else ""
    )
    return {**config, "data_dir": None, "data": data}


def _metrics(run: Run, moments: Collection[int]) -> str:
    """The lines of metrics.jsonl: every evaluation, the moments whose maps are kept, a part of the others."""
    lines = [json.loads(line) for line in run.files.metrics.read_text(encoding="utf-8").splitlines()]
    num_train = sum(line["kind"] == "train" for line in lines)
    every, seen, kept = max(1, num_train // TRAIN_LINES), 0, []
    for line in lines:
        seen += line["kind"] == "train"
        if (line["kind"] != "train" or seen % every == 0) and (
            line["kind"] != "probe" or line["step"] in moments
        ):
            kept.append(json.dumps(_short(line), ensure_ascii=False))
    return "\n".join(kept) + "\n"


def _moments_kept(run: Run, epochs_between: float) -> list[int]:
    """Steps whose maps are stored."""
    recorded = [moment for moment in run.moments if moment.has_maps]
    last = recorded[-1].epoch
    wanted = [*np.arange(0, last, epochs_between), last]
    return sorted({min(recorded, key=lambda moment: abs(moment.epoch - epoch)).step for epoch in wanted})


def _epochs_kept(run: Run, at_ends: bool) -> list[int]:
    """Epochs whose per-example results are stored."""
    epochs = run.evaluated_epochs
    rows = len(epochs) * run.config["data"]["num_eval"]
    return sorted({epochs[0], epochs[-1]}) if at_ends or rows > EVALUATED_ROWS else epochs


def _store_evaluation(run: Run, epoch: int, path: Path) -> None:
    from safetensors.numpy import save

    evaluation = run.evaluation(epoch)
    halves = {
        name: getattr(evaluation, name).astype(np.float16)
        for name in ("teacher_logits", "student_logits", "attention_kl", "cls_distance")
    }
    arrays = {
        "index": evaluation.index.astype(np.int32),
        "label": evaluation.label.astype(np.uint8),
        **halves,
    }
    write_bytes(path, lzma.compress(save(arrays)))


def _store_predictions(run: Run, path: Path) -> None:
    lines = run.files.predictions.read_text(encoding="utf-8").splitlines()
    content = "".join(json.dumps(_short(json.loads(line), 4)) + "\n" for line in lines)
    write_bytes(path, gzip.compress(content.encode(), 9, mtime=0))


def _store_maps(maps: dict[str, np.ndarray], path: Path) -> None:
    """Square roots of the probabilities in `ROOT_STEPS`; reading squares them and makes the rows sum to 1
    again.

    Measured on a run's probes: a layer's KL from these maps is within 0.7 % of that from the full ones.
    """
    from safetensors.numpy import save

    roots = {name: np.round(np.sqrt(array) * ROOT_STEPS).astype(np.uint8) for name, array in maps.items()}
    write_bytes(path, lzma.compress(save(roots)))


def _short(value: object, digits: int = DIGITS) -> object:
    """`value` with every float rounded to so many significant digits."""
    value = finite(value)
    if isinstance(value, dict):
        return {key: _short(item, digits) for key, item in value.items()}
    if isinstance(value, list):
        return [_short(item, digits) for item in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
