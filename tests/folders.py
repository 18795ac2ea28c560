"""Tiny run folders made with NumPy alone: every number in them follows from their own arrays, so pages and
readers can be checked.

The student's maps move from noise towards the matched teacher layers as training goes on; `closeness` says
how near they get at the end (0 not at all, 1 identical). Nothing here is a result: it is the shape of a run
folder, for tests.
"""

import json
from pathlib import Path

import numpy as np

from kdviz.files import json_line, write_arrays, write_json

SENTENCES = (
    ("agreement", "Agreement", "the verb is far from its noun", "the keys to the cabinet are here", None, 1),
    ("negation", "Negation", "one word turns the meaning", "nobody has ever seen it", None, 1),
    ("reflexive", "Reflexive", "himself needs a man", "the girl hurt himself", None, 0),
    ("word-order", "Word order", "the same words, shuffled", "cat the sleeps", None, 0),
)
PAIRS = (
    ("role-swap", "Role swap", "who chased whom", "the dog chased the cat", "the cat chased the dog", 0),
    (
        "passive",
        "Passive",
        "same fact, other voice",
        "the dog chased the cat",
        "the cat was chased by the dog",
        1,
    ),
    ("negated", "Negation", "one word turns the meaning", "it was seen", "it was not seen", 0),
    ("synonym", "Synonym", "other word, same fact", "the car is fast", "the auto is fast", 1),
)
LABELS = {
    "cola": ["unacceptable", "acceptable"],
    "mrpc": ["not a paraphrase", "paraphrase"],
    "rte": ["entailment", "not entailment"],
}
PHENOMENA = ("agreement", "negation", "reflexives")
CLOSENESS = {"hard": 0.2, "soft": 0.4, "all": 0.95, "pid": 0.8, "sid": 0.85}


def make_run(
    runs_dir: Path,
    run_id: str,
    *,
    task: str = "cola",
    strategy: str = "all",
    source: str = "sample",
    student_layers: int = 2,
    teacher_layers: int = 4,
    num_heads: int = 3,
    epochs: int = 3,
    moments_per_epoch: int = 2,
    num_eval: int = 24,
    seed: int = 0,
    state: str = "finished",
    closeness: float | None = None,
    probes: tuple | None = None,
    created: str = "2026-01-02T03:04:05Z",
) -> Path:
    """Write one run folder under `runs_dir` and return it."""
    folder, draw = Path(runs_dir) / run_id, np.random.default_rng(seed)
    closeness = CLOSENESS[strategy] if closeness is None else closeness
    per_layer = teacher_layers // student_layers
    pairs = [[layer, (layer + 1) * per_layer - 1] for layer in range(student_layers)]
    rows = probes or (SENTENCES if task in ("cola", "sst2") else PAIRS)
    steps_per_epoch, labels = 4 * moments_per_epoch, LABELS[task]
    probe_rows = [_probe(row, draw) for row in rows]
    teacher = {row["id"]: _maps(draw, teacher_layers, num_heads, len(row["tokens"])) for row in probe_rows}
    noise = {row["id"]: _maps(draw, student_layers, num_heads, len(row["tokens"])) for row in probe_rows}
    label = draw.integers(0, len(labels), num_eval)
    teacher_logits = _logits(draw, label, 0.9)
    start_logits, start_kl = (
        draw.normal(0, 0.1, (num_eval, len(labels))),
        draw.gamma(4, 0.2, (num_eval, student_layers)),
    )
    start_cls = draw.gamma(2, 0.01, (num_eval, student_layers))

    config = _config(
        task,
        strategy,
        source,
        student_layers,
        teacher_layers,
        num_heads,
        epochs,
        num_eval,
        seed,
        pairs,
        labels,
        created,
    )
    config["stages"] = _stages(strategy, student_layers, epochs)
    write_json(folder / "config.json", config)
    write_json(folder / "probes.json", probe_rows)
    write_arrays(folder / "snapshots" / "teacher.safetensors", teacher)
    if source == "sample":
        write_json(folder / "phenomena.json", {str(3 * row): PHENOMENA[row % 3] for row in range(num_eval)})

    lines, evaluation = _teacher_lines(task, teacher_logits, label), {}
    total = epochs * steps_per_epoch
    begins = np.cumsum([0, *(stage["epochs"] for stage in config["stages"][:-1])])
    for step in range(0, total + 1, steps_per_epoch // moments_per_epoch):
        near, epoch = closeness * step / total, step / steps_per_epoch
        maps = {name: _near(noise[name], teacher[name], pairs, near) for name in teacher}
        write_arrays(folder / "snapshots" / f"step_{step:06d}.safetensors", maps)
        for index, stage in enumerate(config["stages"]):
            if epoch == begins[index]:
                lines.append({"kind": "stage", "step": step, "epoch": epoch, "index": index, "stage": stage})
        if step and step % steps_per_epoch == steps_per_epoch // moments_per_epoch:
            lines.append(_train(step, int(epoch), config["stages"], near))
        lines.append(_probe_line(step, epoch, maps, teacher, pairs, near))
        if step % steps_per_epoch == 0:
            evaluation = {
                "index": np.arange(num_eval, dtype=np.int32) * 3,
                "label": label.astype(np.int32),
                "teacher_logits": teacher_logits.astype(np.float32),
                "student_logits": ((1 - near) * start_logits + near * teacher_logits).astype(np.float32),
                "attention_kl": (start_kl * (1 - near)).astype(np.float32),
                "cls_distance": (start_cls * (1 - near)).astype(np.float32),
            }
            write_arrays(folder / "evaluations" / f"epoch_{int(epoch):04d}.safetensors", evaluation)
            lines.append(_eval_line(step, int(epoch), task, evaluation, num_heads, teacher_layers, near))
    (folder / "metrics.jsonl").write_text("".join(json_line(line) for line in lines), encoding="utf-8")
    names = ("index", "label", "teacher_logits", "student_logits")
    predictions = [
        json_line({name: evaluation[name][row].tolist() for name in names}) for row in range(num_eval)
    ]
    (folder / "predictions.jsonl").write_text("".join(predictions), encoding="utf-8")
    write_json(folder / "summary.json", _summary(lines[-1], student_layers, teacher_layers, epochs))
    write_json(
        folder / "status.json",
        {
            "state": state,
            "phase": "done",
            "step": total,
            "total_steps": total,
            "epoch": epochs,
            "error": None,
            "created": created,
        },
    )
    return folder


def cut_off(folder: Path, step: int) -> Path:
    """Make the run of `folder` one that ended after `step`, and return its folder."""
    path = folder / "metrics.jsonl"
    kept = [line for line in path.read_text().splitlines() if json.loads(line).get("step", 0) <= step]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
    return folder


def make_runs(runs_dir: Path) -> None:
    """A small collection: CoLA with all five strategies, one MRPC run, one broken folder."""
    for place, strategy in enumerate(("hard", "soft", "all", "pid", "sid")):
        make_run(runs_dir, f"cola-{strategy}", strategy=strategy, created=f"2026-01-02T03:0{place}:00Z")
    make_run(runs_dir, "mrpc-all", task="mrpc", created="2026-01-01T00:00:00Z")
    (Path(runs_dir) / "broken").mkdir(parents=True)
    (Path(runs_dir) / "broken" / "config.json").write_text("{not json", encoding="utf-8")


def attention_kl(teacher: np.ndarray, student: np.ndarray) -> float:
    """KL(teacher || student) of maps (heads, query, key), mean over heads and query rows, in nats."""
    return float((teacher * np.log(teacher / student)).sum(-1).mean())


def _probe(row: tuple, draw: np.random.Generator) -> dict:
    name, title, reason, text_a, text_b, label = row
    tokens = ["[CLS]", *text_a.split(), "[SEP]"] + ([*text_b.split(), "[SEP]"] if text_b else [])
    return {
        "id": name,
        "title": title,
        "reason": reason,
        "look_for": f"Look at {text_a.split()[0]}.",
        "text_a": text_a,
        "text_b": text_b,
        "label": label,
        "tokens": tokens,
        "teacher_logits": draw.normal(0, 1, 2).round(4).tolist(),
    }


def _maps(draw: np.random.Generator, layers: int, heads: int, length: int) -> np.ndarray:
    return draw.dirichlet(np.full(length, 0.6), (layers, heads, length)).clip(1e-6).astype(np.float32)


def _near(noise: np.ndarray, teacher: np.ndarray, pairs: list, near: float) -> np.ndarray:
    mixed = (1 - near) * noise + near * teacher[[layer for _, layer in pairs]]
    return (mixed / mixed.sum(-1, keepdims=True)).astype(np.float32)


def _logits(draw: np.random.Generator, label: np.ndarray, accuracy: float) -> np.ndarray:
    shown = np.where(draw.random(len(label)) < accuracy, label, 1 - label)
    margin = draw.gamma(3, 0.5, len(label))
    return np.stack([np.where(shown == 0, margin, -margin), np.where(shown == 1, margin, -margin)], axis=1)


def _stages(strategy: str, layers: int, epochs: int) -> list[dict]:
    every, last = (
        list(range(layers)),
        {"name": "labels", "layers": [], "classification": "soft", "epochs": max(epochs - layers, 1)},
    )
    if strategy in ("hard", "soft"):
        return [{"name": "labels", "layers": [], "classification": strategy, "epochs": epochs}]
    if strategy == "all":
        return [{"name": "all layers", "layers": every, "classification": "soft", "epochs": epochs}]
    chosen = [[layer] if strategy == "pid" else every[: layer + 1] for layer in every]
    return [
        {"name": f"layer {up[-1] + 1}", "layers": up, "classification": "none", "epochs": 1} for up in chosen
    ] + [last]


def _config(
    task, strategy, source, layers, teacher_layers, heads, epochs, num_eval, seed, pairs, labels, created
) -> dict:
    note = "sample data, not GLUE" if source == "sample" else "GLUE"
    return {
        "format_version": 1,
        "task": task,
        "source": source,
        "strategy": strategy,
        "teacher": "minilm-l6",
        "student_layers": layers,
        "epochs": epochs,
        "epochs_per_layer": 1,
        "terms": ["kl", "cos"],
        "temperature": 1.0,
        "matching": "uniform",
        "init": "pretrained",
        "batch_size": 32,
        "learning_rate": 5e-5,
        "max_length": 64,
        "train_size": 128,
        "eval_size": num_eval,
        "seed": seed,
        "teacher_num_layers": teacher_layers,
        "num_heads": heads,
        "hidden_size": 12,
        "teacher_fingerprint": "0123456789abcdef",
        "pairs": pairs,
        "labels": labels,
        "created": created,
        "data": {
            "source": source,
            "fingerprint": "f00d",
            "num_train": 128,
            "num_eval": num_eval,
            "train_total": 512,
            "eval_total": 3 * num_eval,
            "note": note,
        },
    }


def _probe_line(step, epoch, maps, teacher, pairs, near) -> dict:
    kl = {name: [attention_kl(teacher[name][up], maps[name][low]) for low, up in pairs] for name in maps}
    distance = [0.02 * (low + 1) * (1 - near) for low, _ in pairs]
    probes = {
        name: {"student_logits": [0.5 - near, near - 0.5], "attention_kl": kl[name], "cls_distance": distance}
        for name in maps
    }
    mean = np.mean(list(kl.values()), axis=0).tolist()
    return {
        "kind": "probe",
        "step": step,
        "epoch": epoch,
        "mismatch": {"attention_kl": mean, "cls_distance": distance},
        "probes": probes,
    }


def _teacher_lines(task: str, logits: np.ndarray, label: np.ndarray) -> list[dict]:
    """Two steps of the teacher's fine-tuning, and its score."""
    scores = _scores(task, label, logits.argmax(1))
    steps = [
        {"kind": "teacher", "step": step, "total_steps": 2, "epoch": step / 2, "loss": loss, "seconds": 0.1}
        for step, loss in ((1, 0.7), (2, 0.5))
    ]
    score = {
        "kind": "teacher_score",
        "step": 0,
        "epoch": 0,
        "metrics": scores,
        "intervals": {name: [max(value - 0.1, -1), min(value + 0.1, 1)] for name, value in scores.items()},
        "n": len(label),
        "accuracy": scores["accuracy"],
        "majority": float(np.bincount(label).max() / len(label)),
    }
    return [*steps, score]


def _train(step, epoch, stages, near) -> dict:
    spent, active = 0, stages[-1]
    for stage in stages:
        if epoch < spent + stage["epochs"]:
            active = stage
            break
        spent += stage["epochs"]
    losses = (
        {"attention_kl": {str(layer): 1 - near for layer in active["layers"]}} if active["layers"] else {}
    )
    if active["classification"] != "none":
        losses["soft"] = 0.7 - 0.4 * near
    stage = {"layers": active["layers"], "classification": active["classification"]}
    return {
        "kind": "train",
        "step": step,
        "epoch": epoch,
        "stage": stage,
        "loss": 1.5 - near,
        "losses": losses,
        "learning_rate": 5e-5,
        "seconds": 0.1,
    }


def _eval_line(step, epoch, task, evaluation, heads, teacher_layers, near) -> dict:
    label, guess = evaluation["label"], evaluation["student_logits"].argmax(1)
    teacher_guess = evaluation["teacher_logits"].argmax(1)
    kl, distance = evaluation["attention_kl"].mean(0), evaluation["cls_distance"].mean(0)
    spread = np.linspace(-0.05, 0.05, heads)
    scores, teacher_scores = _scores(task, label, guess), _scores(task, label, teacher_guess)
    log_t, log_s = _log_softmax(evaluation["teacher_logits"]), _log_softmax(evaluation["student_logits"])
    cka = (0.3 + 0.6 * near * np.eye(len(kl), teacher_layers, k=1)).tolist()
    return {
        "kind": "eval",
        "step": step,
        "epoch": epoch,
        "metrics": scores,
        "n": len(label),
        "seconds": 0.2,
        "cka": cka,
        "intervals": {name: [max(value - 0.1, -1), min(value + 0.1, 1)] for name, value in scores.items()},
        "teacher_metrics": teacher_scores,
        "agreement": float((guess == teacher_guess).mean()),
        "logit_kl": float((np.exp(log_t) * (log_t - log_s)).sum(1).mean()),
        "mismatch": {
            "attention_kl": kl.tolist(),
            "cls_distance": distance.tolist(),
            "attention_kl_heads": [(value * (1 + spread)).tolist() for value in kl],
        },
    }


def _scores(task: str, label: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    accuracy = float((label == guess).mean())
    true, both = [[float(((label == a) & (guess == b)).sum()) for b in (0, 1)] for a in (0, 1)]
    if task == "cola":
        under = np.sqrt((both[1] + both[0]) * (both[1] + true[1]) * (true[0] + true[1]) * (true[0] + both[0]))
        return {
            "matthews": (both[1] * true[0] - true[1] * both[0]) / under if under else 0.0,
            "accuracy": accuracy,
        }
    if task == "rte":
        return {"accuracy": accuracy}
    f1 = [2 * hit / (2 * hit + true[1] + both[0]) if hit else 0.0 for hit in (true[0], both[1])]
    return {
        "accuracy": accuracy,
        "f1": f1[1],
        "f1_weighted": float(np.average(f1, weights=[sum(true), sum(both)])),
    }


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def _summary(line: dict, student_layers: int, teacher_layers: int, epochs: int) -> dict:
    cost = {
        "student_parameters": 1_234_567 * student_layers,
        "teacher_parameters": 1_234_567 * teacher_layers,
        "student_bytes": 4_000 * student_layers,
        "teacher_bytes": 4_000 * teacher_layers,
        "student_ms_per_sentence": 1.0 * student_layers,
        "teacher_ms_per_sentence": 1.0 * teacher_layers,
    }
    return {
        "best_epoch": epochs,
        "metrics": line["metrics"],
        "agreement": line["agreement"],
        "mismatch": line["mismatch"],
        "cost": cost,
    }
