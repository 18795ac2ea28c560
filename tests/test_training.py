"""Whole runs, tiny ones: the same numbers whenever they are repeated, interrupted and resumed, or run side by side."""

import json
import shutil
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import STRATEGIES, TinyRuns, metrics_lines
from safetensors.torch import load_file
from transformers import get_linear_schedule_with_warmup

from kdviz import losses
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.launch import execute
from kdviz.models import load_classifier
from kdviz.optimise import learning_rate_at, make_optimizer, optimizer_step
from kdviz.runs import Run

SID = dict(strategy="sid", epochs=4)


class StopIn(threading.Event):
    """An event that is set from the `nth` time on that it is looked at inside a function of that name."""

    def __init__(self, function: str, nth: int):
        super().__init__()
        self.function, self.left = function, nth

    def is_set(self) -> bool:
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != self.function:
            frame = frame.f_back
        self.left -= frame is not None
        return self.left <= 0


def stop_in(folder: Path, function: str, nth: int) -> None:
    """Carry the run on until that moment."""
    with pytest.raises(Stopped):
        execute(folder, stop=StopIn(function, nth), num_threads=1)
    assert Run(folder).state == "stopped"


def results(folder: Path) -> dict[str, bytes]:
    """Every file of results: what two runs of the same numbers have in common to the last bit."""
    names = ["predictions.jsonl", "probes.json", "student/model.safetensors", "student/config.json"]
    paths = [folder / name for name in names] + sorted([*folder.glob("evaluations/*"), *folder.glob("snapshots/*"), *folder.glob("checkpoints/epoch_*/student/*")])
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def assert_same_run(one: Path, other: Path) -> None:
    # Whichever run needs a teacher first fine-tunes it; those lines are not the run's own training.
    first, second = ([line for line in metrics_lines(folder) if line["kind"] != "teacher"] for folder in (one, other))
    assert first == second
    first, second = results(one), results(other)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.fixture(scope="module")
def straight(tiny_checkpoint: Path, glue: Path, tiny_runs_dir: Path):
    """Unbroken runs by their settings, each made once."""
    tiny, made = TinyRuns(tiny_checkpoint, glue, tiny_runs_dir), {}

    def run(**settings: object) -> Run:
        key = json.dumps(settings, sort_keys=True, default=str)
        if key not in made:
            made[key] = tiny.run(**settings)
        return made[key]

    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_writes_exactly_its_terms_and_stages(straight, strategy):
    """A term of another strategy in the files would be drawn, compared and believed."""
    run = straight(strategy=strategy, epochs=4)
    assert run.state == "finished"
    expected = {
        "hard": [((), "hard")], "soft": [((), "soft")], "all": [((0, 1), "soft")],
        "pid": [((0,), "none"), ((1,), "none"), ((), "soft")], "sid": [((0,), "none"), ((0, 1), "none"), ((), "soft")],
    }[strategy]
    assert [(tuple(line["stage"]["layers"]), line["stage"]["classification"]) for line in run.stage_lines] == expected
    for line in run.train_lines:
        layers, classification = tuple(line["stage"]["layers"]), line["stage"]["classification"]
        assert (layers, classification) in expected
        names = {"attention_kl", "cls_distance"} if layers else set()
        assert set(line["losses"]) == names | ({classification} if classification != "none" else set())
        assert all(set(line["losses"][name]) == {str(layer) for layer in layers} for name in names)
        assert np.isfinite(line["loss"])
    assert [line["epoch"] for line in run.evals] == [0, 1, 2, 3, 4]
    assert [line["step"] for line in run.evals] == [0, 5, 10, 15, 20]
    assert run.probe_lines[0]["step"] == 0 and run.probe_lines[-1]["step"] == 20


@pytest.mark.parametrize(
    "settings",
    [
        dict(strategy="soft", hard_labels=True, hard_weight=0.5, temperature=3.0),
        dict(strategy="all", terms=("kl",), kl_weight=2.0),
        dict(strategy="all", terms=("cos",), active_pairs=(1,), cos_weight=0.5),
        dict(strategy="sid", epochs=3, soft_throughout=True, hard_labels=True),
        dict(strategy="pid", epochs=3, freeze_finished=True, init="teacher"),
        dict(strategy="sid", epochs=3, classifier_only_last=True, init="random", matching="custom:0,2"),
        dict(strategy="all", matching="last", student_layers=3, cache="off"),
    ],
    ids=lambda settings: "-".join(map(str, settings.values())),
)
def test_every_setting_of_the_method_runs(straight, settings):
    """A combination that fails only in its last stage costs a researcher the night."""
    run = straight(**settings)
    assert run.state == "finished" and len(run.evals) == run.config["epochs"] + 1
    classes = {tuple(line["losses"]) for line in run.train_lines}
    assert classes, "there are train lines"
    if settings.get("terms") == ("kl",):
        assert all("cls_distance" not in names and "attention_kl" in names for names in classes)
    if settings.get("hard_labels"):
        assert all("hard" in names and "soft" in names for names in classes)


@pytest.mark.parametrize("variant", [dict(freeze_finished=True), dict(classifier_only_last=True), dict()], ids=["freeze", "classifier", "plain"])
def test_what_is_frozen_in_the_last_stage_does_not_move(straight, variant):
    """A frozen layer that decays or follows the optimiser's momentum is not frozen."""
    run = straight(strategy="pid", epochs=4, **variant)
    before, after = (load_file(run.folder / "checkpoints" / f"epoch_{epoch:04d}" / "student" / "model.safetensors") for epoch in (2, 4))
    moved = {name.split(".")[0] if name.startswith("classifier") else name.split(".")[1] for name in after if not torch.equal(before[name], after[name])}
    assert moved == ({"classifier", "pooler"} if variant else {"classifier", "pooler", "encoder", "embeddings"})


def test_the_teachers_twin_has_no_mismatch(tiny):
    """With all of the teacher's layers and weights nothing differs: any other number is an error of measurement."""
    run = tiny.run(student_layers=4, init="teacher", epochs=1, eval_size=9)
    start = run.evals[0]
    assert start["mismatch"]["attention_kl"] == [0, 0, 0, 0] and max(start["mismatch"]["cls_distance"]) < 1e-15
    assert np.abs(start["mismatch"]["attention_kl_heads"]).max() == 0
    assert start["agreement"] == 1 and start["logit_kl"] == 0 and start["metrics"] == start["teacher_metrics"]
    assert np.allclose(np.diag(start["cka"]), 1, atol=1e-5)
    probe = run.probe_lines[0]["mismatch"]
    assert np.abs(probe["attention_kl"]).max() < 1e-6 and np.abs(probe["cls_distance"]).max() < 1e-6
    assert run.probe_lines[-1]["mismatch"]["cls_distance"] != [0, 0, 0, 0], "training moves it"


def test_matching_lowers_the_mismatch_on_every_pair(straight):
    """The point of the method; were losses and measurement of different pairs, one would fall and the other not."""
    soft, internal = straight(strategy="soft", epochs=4).evals[-1]["mismatch"], straight(strategy="all", epochs=4).evals[-1]["mismatch"]
    assert all(lower < 0.5 * upper for lower, upper in zip(internal["attention_kl"], soft["attention_kl"]))
    assert all(lower < upper for lower, upper in zip(internal["cls_distance"], soft["cls_distance"]))


def test_the_same_seed_gives_the_same_run_to_the_last_bit(tiny, straight):
    """A run that cannot be repeated proves nothing; a seed that is ignored makes all seeds one."""
    first = straight(**SID)
    assert_same_run(first.folder, tiny.run(**SID).folder)
    other = tiny.run(**SID, seed=1)
    assert other.config["teacher_fingerprint"] == first.config["teacher_fingerprint"], "seeds share the teacher"
    assert other.evals[0]["logit_kl"] != first.evals[0]["logit_kl"] and other.train_lines[0]["loss"] != first.train_lines[0]["loss"]


@pytest.mark.parametrize("settings", [SID, dict(strategy="pid", epochs=4, cosine_threshold=1.9, epochs_per_layer=1), dict(strategy="all", epochs=4)], ids=["sid", "pid", "all"])
def test_a_run_interrupted_in_every_stage_ends_as_an_unbroken_one(tiny, straight, settings):
    """Lost moments, another order of examples or a stage begun anew give another student, and nobody would know."""
    folder = tiny.create(**settings)
    stop_in(folder, "evaluate", 1)  # before the first checkpoint
    stop_in(folder, "train_epoch", 3)  # in the first stage
    assert [line["epoch"] for line in Run(folder).evals] == [0]
    stop_in(folder, "evaluate", 1)  # the epoch is trained but not measured: it is trained again
    stop_in(folder, "train_epoch", 8)  # in the second stage
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1]
    stop_in(folder, "train_epoch", 6)  # at the first step of the last stage
    stop_in(folder, "train_epoch", 9)
    execute(folder, num_threads=1)
    assert Run(folder).state == "finished"
    assert_same_run(folder, straight(**settings).folder)
    execute(folder, num_threads=1)  # carrying out a finished run once more changes nothing
    assert_same_run(folder, straight(**settings).folder)


def test_stopping_in_the_teachers_fine_tuning_changes_nothing(tiny, tmp_path):
    """The teacher is shared by many runs: one that differs after a break would differ in all of them."""
    settings = dict(strategy="soft", epochs=1, teacher_epochs=3)
    whole = tiny.run("whole", runs_dir=tmp_path / "one", **settings)
    folder = tiny.create("broken", runs_dir=tmp_path / "two", **settings)
    stop_in(folder, "_finetune", 3)  # in its first epoch
    stop_in(folder, "_finetune", 8)  # in its second
    stop_in(folder, "_finetune", 8)  # in its third
    execute(folder, num_threads=1)
    teachers = [runs / "teachers" / whole.config["teacher_fingerprint"] / "model.safetensors" for runs in (tmp_path / "one", tmp_path / "two")]
    assert teachers[0].read_bytes() == teachers[1].read_bytes()
    assert_same_run(whole.folder, folder)
    left = [path.name for path in (tmp_path / "two" / "teachers").iterdir() if path.name.endswith((".partial", ".whole"))]
    assert not left, "what the breaks left is cleared away"


def test_stopping_while_outputs_are_computed_changes_nothing(tiny, straight):
    """Half a cache must not become a whole one."""
    settings = dict(strategy="all", epochs=1, train_size=30)
    folder = tiny.create(**settings)
    stop_in(folder, "_compute", 1)
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


def test_a_teacher_that_is_gone_is_made_again_without_touching_finished_epochs(tiny, tmp_path, straight):
    """Somebody clears the teachers to free disk: the epochs that were shown must stay."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create("kept", runs_dir=tmp_path, **settings)
    stop_in(folder, "train_epoch", 13)
    shutil.rmtree(tmp_path / "teachers")
    execute(folder, num_threads=1)
    run = Run(folder)
    assert [line["epoch"] for line in run.evals] == [0, 1, 2, 3, 4]
    reference = straight(**settings)
    assert [line["mismatch"] for line in run.evals] == [line["mismatch"] for line in reference.evals]


def test_a_torn_last_line_is_mended_when_a_run_resumes(tiny, straight):
    """A kill in the middle of a write leaves half a line; glued to the next one, both would be lost."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create(**settings)
    stop_in(folder, "train_epoch", 8)
    with open(folder / "metrics.jsonl", "ab") as file:
        file.write(b'{"kind": "train", "step": 9, "ep')
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


@pytest.mark.parametrize("lost", ["student", "predictions.jsonl", "summary.json", "line"])
def test_a_checkpointed_epoch_is_published_when_the_run_resumes(tiny, straight, lost):
    """A kill between the checkpoint and what is shown of it: the epoch is finished, so it must appear."""
    settings = dict(strategy="all", epochs=4)
    folder = tiny.create(**settings)
    stop_in(folder, "train_epoch", 8)
    if lost == "line":
        content = (folder / "metrics.jsonl").read_bytes()
        (folder / "metrics.jsonl").write_bytes(content[: content.rindex(b'{"kind": "eval"')])
    elif lost == "student":
        shutil.rmtree(folder / "student")
    else:
        (folder / lost).unlink()
    stop_in(folder, "train_epoch", 1)
    assert [line["epoch"] for line in Run(folder).evals] == [0, 1]
    assert (folder / "student" / "model.safetensors").exists() and (folder / "predictions.jsonl").exists() and Run(folder).summary["epoch"] == 1
    execute(folder, num_threads=1)
    assert_same_run(folder, straight(**settings).folder)


def test_two_runs_in_two_threads_equal_each_alone(tiny, straight):
    """Shared random state, recorders or modes would mix two viewers' runs in one process."""
    both = [dict(strategy="all", epochs=4), SID]
    expected = [straight(**settings) for settings in both]
    folders, errors = [tiny.create(**settings) for settings in both], []

    def work(folder: Path) -> None:
        try:
            execute(folder, num_threads=1)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=work, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    for folder, run in zip(folders, expected):
        assert_same_run(folder, run.folder)


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_the_teacher_never_changes_and_never_leaves_eval_mode(tiny, monkeypatch, cache):
    """A teacher in train mode answers with dropout; one that learns follows the student: both make all numbers fall nicely."""
    import kdviz.prepare

    seen, modes = [], []
    original = kdviz.prepare.finetuned_teacher

    def spy(*args, **kwargs):
        teacher = original(*args, **kwargs)
        for module in teacher.modules():
            module.register_forward_pre_hook(lambda module, _: modes.append(module.training))
        seen.append((teacher, {name: tensor.clone() for name, tensor in teacher.state_dict().items()}))
        return teacher

    monkeypatch.setattr(kdviz.prepare, "finetuned_teacher", spy)
    run = tiny.run(strategy="all", epochs=2, cache=cache, train_size=31, init="teacher")
    teacher, before = seen[0]
    assert modes and not any(modes)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())
    stored = load_file(run.folder.parent / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors")
    assert all(torch.equal(tensor, before[name]) for name, tensor in stored.items())


def test_a_second_run_uses_the_teacher_that_is_there(tiny, straight):
    """Fine-tuning anew for every run costs minutes, and gives every run a teacher of its own."""
    run = straight(**SID)
    path = run.folder.parent / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors"
    stamp = path.stat().st_mtime_ns
    other = tiny.run(strategy="soft", epochs=1, student_layers=1)
    assert other.config["teacher_fingerprint"] == run.config["teacher_fingerprint"] and path.stat().st_mtime_ns == stamp
    assert not other.lines("teacher"), "nothing was fine-tuned"
    score = other.lines("teacher_score")[0]
    assert score["metrics"] == other.evals[0]["teacher_metrics"] and score["n"] == 14 and 0 < score["majority"] < 1


@pytest.mark.parametrize("change", [dict(teacher_epochs=1), dict(train_size=35), dict(max_length=31), dict(data_seed=1), dict(teacher_learning_rate=1e-3), dict(task="sst2"), dict(batch_size=9)])
def test_whatever_makes_another_teacher_gives_another_fingerprint(tiny, change):
    """Two teachers under one name: the second run would silently distil from the first one's."""
    names = [json.loads((tiny.create(**settings) / "config.json").read_text())["teacher_fingerprint"] for settings in ({}, change)]
    assert names[0] != names[1]


def test_a_teacher_near_the_majority_class_is_warned_of(tiny, straight):
    """Others distilled from a raw BERT and wondered about the results: the score comes first, with a warning."""
    score = tiny.run(strategy="soft", epochs=1, teacher_epochs=1, teacher_learning_rate=1e-7).lines("teacher_score")[0]
    assert "always answering the most frequent class gives" in score["warning"]


def test_a_threshold_moves_a_run_up_early(tiny, straight):
    """The CLS distance of the newest layer has to reach the schedule; else only the epochs ever count."""
    slow, fast = (tiny.run(strategy="sid", epochs=6, epochs_per_layer=2, terms=("kl",), cosine_threshold=threshold) for threshold in (None, 2.0))
    assert [line["epoch"] for line in slow.stage_lines] == [0, 2, 4]
    assert [line["epoch"] for line in fast.stage_lines] == [0, 1, 2]
    assert all("cls_distance" not in line["losses"] for line in fast.train_lines), "watched, not trained"
    assert len(fast.evals) == len(slow.evals) == 7, "the total of epochs stays"


def test_bfloat16_training_is_finite_and_measured_in_float32(tiny, straight):
    """On a GPU half precision is the default: losses stay in float32, and evaluation is what a stranger can recompute."""
    run = tiny.run(strategy="all", epochs=4, dtype_choice="bfloat16")
    assert run.config["dtype"] == "bfloat16" and run.config["dtype_reason"] == "as asked"
    assert all(np.isfinite(line["loss"]) for line in run.train_lines)
    reference = straight(strategy="all", epochs=4)
    # The student's start is drawn from the same seed: measured in float32 it is the same to the last digit.
    assert run.evals[0]["mismatch"] == reference.evals[0]["mismatch"] and run.evals[0]["logit_kl"] == reference.evals[0]["logit_kl"]
    assert run.train_lines[0]["loss"] != reference.train_lines[0]["loss"] and run.train_lines[0]["loss"] == pytest.approx(reference.train_lines[0]["loss"], rel=0.05)
    assert np.allclose(run.evals[-1]["mismatch"]["attention_kl"], reference.evals[-1]["mismatch"]["attention_kl"], rtol=0.5)
    assert {tensor.dtype for tensor in load_file(run.folder / "student" / "model.safetensors").values()} == {torch.float32}


def test_a_loss_that_is_no_number_ends_the_run_with_one_line(tiny, monkeypatch):
    """Training on after NaN writes hours of holes; the epochs before it must stay usable."""
    original, calls = losses.soft_label_loss, []

    def breaks(*args, **kwargs):
        calls.append(1)
        return original(*args, **kwargs) * (float("nan") if len(calls) > 7 else 1.0)

    monkeypatch.setattr(losses, "soft_label_loss", breaks)
    folder = tiny.create(strategy="soft", epochs=3)
    with pytest.raises(RunFailed, match="the loss became nan at step .* lower learning_rate"):
        execute(folder, num_threads=1)
    run = Run(folder)
    assert run.state == "failed" and "\n" not in run.status["error"] and [line["epoch"] for line in run.evals] == [0, 1]
    assert (folder / "student" / "model.safetensors").exists()


@pytest.mark.parametrize("task", ["cola", "mrpc", "rte", "qqp", "sst2", "mnli", "qnli", "wnli"])
def test_every_task_runs_from_its_folder_without_a_change_to_the_code(tiny, task):
    """Pairs need token types, MNLI three classes and two dev sets: a task that only loads is not a task that runs."""
    from kdviz.tasks import TASKS

    run = tiny.run(task=task, strategy="all", epochs=1, student_layers=1, teacher_epochs=1)
    last = run.evals[-1]
    assert run.state == "finished" and set(last["metrics"]) == set(TASKS[task].metrics) == set(last["intervals"]) and last["n"] == 14
    rows = [json.loads(line) for line in (run.folder / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 14 and all(len(row["student_logits"]) == len(TASKS[task].labels) == len(row["teacher_logits"]) for row in rows)
    if task == "mnli":
        other = last["other_sets"]["mismatched"]
        assert other["n"] == 11 and set(other["metrics"]) == {"accuracy"} and len(other["mismatch"]["attention_kl"]) == 1
        assert {row["label"] for row in rows} == {0, 1, 2}
    else:
        assert "other_sets" not in last


def test_token_types_reach_the_model(tiny_checkpoint, tiny, monkeypatch):
    """Without them a pair is one long sentence; everything runs, only worse."""
    import kdviz.prepare

    seen = []
    original = kdviz.prepare.make_probes
    monkeypatch.setattr(kdviz.prepare, "make_probes", lambda *args: seen.append(args) or original(*args))
    run = tiny.run(task="mrpc", strategy="soft", epochs=1, teacher_epochs=1)
    student = load_classifier(run.folder / "student", 2)
    table = student.bert.embeddings.token_type_embeddings.weight
    before = load_file(tiny_checkpoint / "model.safetensors")["embeddings.token_type_embeddings.weight"]
    assert not torch.equal(table[1], before[1]), "the second type was trained"
    single = tiny.run(task="cola", strategy="soft", epochs=1, teacher_epochs=1, student_layers=1, weight_decay=0.0)
    table = load_classifier(single.folder / "student", 2).bert.embeddings.token_type_embeddings.weight
    assert torch.equal(table[1], before[1]), "single sentences have no second type"


def test_the_learning_rate_is_transformers_linear_schedule():
    """Off by one, or a warm-up of another length, and a comparison with the Trainer compares two schedules."""
    for total, share, warmup in ((200, 0.1, 20), (57, 0.1, 5), (40, 0.0, 0), (9, 0.1, 0), (1, 0.1, 0), (10, 1.0, 10)):
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=3e-4)
        reference = get_linear_schedule_with_warmup(optimizer, warmup, total)
        for step in range(total):
            assert learning_rate_at(step, total_steps=total, peak=3e-4, warmup_share=share) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9), (total, step)
            optimizer.step()
            reference.step()


def test_biases_and_layer_norms_do_not_decay(tiny_checkpoint):
    """BERT's recipe; decaying layer norms lowers every score a little."""
    model = load_classifier(tiny_checkpoint, 2)
    optimizer = make_optimizer(model, learning_rate=1e-3, weight_decay=0.02)
    decays = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in model.named_parameters():
        assert decays[id(parameter)] == (0.0 if name.endswith("bias") or "LayerNorm" in name else 0.02), name
    assert len(decays) == len(list(model.parameters()))


def test_an_optimizer_step_is_clipped_adamw():
    """Clipping after the step, or to another norm, only shows as instability on some seeds."""
    torch.manual_seed(0)
    ours, reference = torch.nn.Linear(5, 4), torch.nn.Linear(5, 4)
    reference.load_state_dict(ours.state_dict())
    optimizer = make_optimizer(ours, learning_rate=1.0, weight_decay=0.1)
    groups = [{"params": [reference.weight], "weight_decay": 0.1}, {"params": [reference.bias], "weight_decay": 0.0}]
    plain = torch.optim.AdamW(groups, lr=1.0, foreach=False, fused=False)
    for step in range(3):
        rate, inputs = 0.01 * (step + 1), 10 * torch.randn(6, 5)
        for model in (ours, reference):
            model(inputs).square().sum().backward()
        total = torch.stack([parameter.grad.norm() for parameter in reference.parameters()]).norm()
        assert total > 0.5
        for parameter in reference.parameters():
            parameter.grad.mul_(0.5 / (total + 1e-6))
        for group in plain.param_groups:
            group["lr"] = rate
        plain.step()
        plain.zero_grad()
        assert optimizer_step(optimizer, ours.parameters(), learning_rate=rate, max_grad_norm=0.5).item() == pytest.approx(total.item(), rel=1e-5)
        assert all(parameter.grad is None for parameter in ours.parameters()), "cleared for the next step"
    assert torch.allclose(ours.weight, reference.weight, atol=1e-6) and torch.allclose(ours.bias, reference.bias, atol=1e-6)


def test_a_damaged_kept_teacher_fails_with_what_to_do(tiny, tmp_path):
    """A stack trace from deep inside a library does not say that removing one folder mends it."""
    run = tiny.run("first", runs_dir=tmp_path, strategy="soft", epochs=1, teacher_epochs=1)
    path = tmp_path / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-500])
    folder = tiny.create("second", runs_dir=tmp_path, strategy="soft", epochs=1, teacher_epochs=1)
    with pytest.raises(RunFailed, match="kept teacher .* is damaged .* remove that folder"):
        execute(folder, num_threads=1)
    shutil.rmtree(path.parent)
    execute(folder, num_threads=1)
    assert Run(folder).state == "finished"


def test_data_or_weights_that_changed_since_the_run_was_made_are_refused(tiny, tmp_path):
    """A queued run would otherwise train on other rows than its fingerprint says, or keep a teacher under a wrong name."""
    glue = Path(shutil.copytree(tiny.glue / "CoLA", tmp_path / "glue" / "CoLA")).parent
    checkpoint = Path(shutil.copytree(tiny.checkpoint, tmp_path / "checkpoint"))
    folder = tiny.create(runs_dir=tmp_path / "runs", data_dir=str(glue), teacher=str(checkpoint))
    train = glue / "CoLA" / "train.tsv"
    content = train.read_text()
    train.write_text(content + "own\t1\t\tA new row.\n")
    with pytest.raises(RequestError, match="the examples changed"):
        execute(folder, num_threads=1)
    train.write_text(content)
    weights = load_file(checkpoint / "model.safetensors")
    from safetensors.torch import save_file

    save_file({name: tensor + 0.001 for name, tensor in weights.items()}, checkpoint / "model.safetensors", {"format": "pt"})
    with pytest.raises(RequestError, match="the weights in .* changed"):
        execute(folder, num_threads=1)
    assert not list((tmp_path / "runs").glob("teachers/*/model.safetensors"))
