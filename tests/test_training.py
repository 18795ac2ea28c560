"""Whole runs, tiny ones: every strategy, setting and task, what they write, and the teacher behind them."""

import gc
import json
import shutil
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from conftest import STRATEGIES
from safetensors.torch import load_file

from kdviz.errors import RunFailed
from kdviz.jobs.execute import execute
from kdviz.locks import exclusive
from kdviz.models.build import load_classifier
from kdviz.runs.reader import Run

SID = dict(strategy="sid", epochs=4)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_writes_exactly_its_terms_and_stages(straight, strategy):
    """A term of another strategy in the files would be drawn, compared and believed."""
    run = straight(strategy=strategy, epochs=4)
    assert run.state == "finished"
    expected = {
        "hard": [((), "hard")],
        "soft": [((), "soft")],
        "all": [((0, 1), "soft")],
        "pid": [((0,), "none"), ((1,), "none"), ((), "soft")],
        "sid": [((0,), "none"), ((0, 1), "none"), ((), "soft")],
    }[strategy]
    assert [
        (tuple(line["stage"]["layers"]), line["stage"]["classification"]) for line in run.stage_lines
    ] == expected
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


@pytest.mark.parametrize(
    "variant",
    [dict(freeze_finished=True), dict(classifier_only_last=True), dict()],
    ids=["freeze", "classifier", "plain"],
)
def test_what_is_frozen_in_the_last_stage_does_not_move(straight, variant):
    """A frozen layer that decays or follows the optimiser's momentum is not frozen."""
    run = straight(strategy="pid", epochs=4, **variant)
    before, after = (
        load_file(run.folder / "checkpoints" / f"epoch_{epoch:04d}" / "student" / "model.safetensors")
        for epoch in (2, 4)
    )
    moved = {
        name.split(".")[0] if name.startswith("classifier") else name.split(".")[1]
        for name in after
        if not torch.equal(before[name], after[name])
    }
    assert moved == (
        {"classifier", "pooler"} if variant else {"classifier", "pooler", "encoder", "embeddings"}
    )


def test_the_teachers_twin_has_no_mismatch(tiny):
    """With all of the teacher's layers and weights nothing differs: any other number is an error of
    measurement.
    """
    run = tiny.run(student_layers=4, init="teacher", epochs=1, eval_size=9)
    start = run.evals[0]
    assert (
        start["mismatch"]["attention_kl"] == [0, 0, 0, 0] and max(start["mismatch"]["cls_distance"]) < 1e-15
    )
    assert np.abs(start["mismatch"]["attention_kl_heads"]).max() == 0
    assert start["agreement"] == 1 and start["logit_kl"] == 0 and start["metrics"] == start["teacher_metrics"]
    assert np.allclose(np.diag(start["cka"]), 1, atol=1e-5)
    probe = run.probe_lines[0]["mismatch"]
    assert np.abs(probe["attention_kl"]).max() < 1e-6 and np.abs(probe["cls_distance"]).max() < 1e-6
    assert run.probe_lines[-1]["mismatch"]["cls_distance"] != [0, 0, 0, 0], "training moves it"


def test_matching_lowers_the_mismatch_on_every_pair(straight):
    """The point of the method; were losses and measurement of different pairs, one would fall and the other
    not.
    """
    soft, internal = (
        straight(strategy="soft", epochs=4).evals[-1]["mismatch"],
        straight(strategy="all", epochs=4).evals[-1]["mismatch"],
    )
    assert all(lower < 0.5 * upper for lower, upper in zip(internal["attention_kl"], soft["attention_kl"]))
    assert all(lower < upper for lower, upper in zip(internal["cls_distance"], soft["cls_distance"]))


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_the_teacher_never_changes_and_never_leaves_eval_mode(tiny, monkeypatch, cache):
    """A teacher in train mode answers with dropout; one that learns follows the student: both make all
    numbers fall nicely.
    """
    import kdviz.training.prepare

    seen, modes = [], []
    original = kdviz.training.prepare.finetuned_teacher

    def spy(*args, **kwargs):
        teacher = original(*args, **kwargs)
        for module in teacher.modules():
            module.register_forward_pre_hook(lambda module, _: modes.append(module.training))
        seen.append((teacher, {name: tensor.clone() for name, tensor in teacher.state_dict().items()}))
        return teacher

    monkeypatch.setattr(kdviz.training.prepare, "finetuned_teacher", spy)
    run = tiny.run(strategy="all", epochs=2, cache=cache, train_size=31, init="teacher")
    teacher, before = seen[0]
    assert modes and not any(modes)
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in teacher.parameters())
    stored = load_file(
        run.folder.parent / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors"
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in stored.items())


def test_what_was_waited_for_is_not_said_of_what_is_done_now(tiny, tmp_path, monkeypatch):
    """A run whose teacher another run began, and left, was "waiting for another run" all the while it
    fine-tuned that teacher itself.
    """
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folder = tiny.create(runs_dir=tmp_path, epochs=1)
    seen, teacher = [], Run(folder).config["teacher_fingerprint"]
    with ExitStack() as other:
        other.enter_context(exclusive(tmp_path / "teachers" / f".{teacher}.lock"))

        def look(status: dict) -> None:
            seen.append((status["phase"], status.get("phase_progress"), status.get("waiting")))
            if status.get("waiting"):
                other.close()

        execute(folder, progress=look, num_threads=1)
    said = [place for place, (_, _, waiting) in enumerate(seen) if waiting]
    assert said and seen[said[0]][2] == "waiting for another run that is fine-tuning this teacher"
    later = seen[said[-1] + 1 :]
    assert any(phase == "teacher" and share for phase, share, _ in later)
    assert not any(waiting for phase, share, waiting in seen if phase == "teacher" and share)


def test_the_first_figures_do_not_wait_for_the_outputs_for_training(tiny, tmp_path, monkeypatch):
    """At the paper's size they take minutes, in which a room would look at an empty page."""
    monkeypatch.setattr("kdviz.runs.writer.STATUS_INTERVAL_SECONDS", 0.0)
    folder = tiny.create(runs_dir=tmp_path, strategy="all", epochs=1)
    shown: list[int] = []

    def look(status: dict) -> None:
        if status["phase"] == "teacher_outputs" and "stage" in status:
            shown.append(len(Run(folder).evals))

    execute(folder, progress=look, num_threads=1)
    assert shown and set(shown) == {1}


def test_a_second_run_uses_the_teacher_that_is_there(tiny, straight):
    """Fine-tuning anew for every run costs minutes, and gives every run a teacher of its own."""
    run = straight(**SID)
    path = run.folder.parent / "teachers" / run.config["teacher_fingerprint"] / "model.safetensors"
    stamp = path.stat().st_mtime_ns
    other = tiny.run(strategy="soft", epochs=1, student_layers=1)
    assert (
        other.config["teacher_fingerprint"] == run.config["teacher_fingerprint"]
        and path.stat().st_mtime_ns == stamp
    )
    assert not other.lines("teacher"), "nothing was fine-tuned"
    score = other.lines("teacher_score")[0]
    assert (
        score["metrics"] == other.evals[0]["teacher_metrics"]
        and score["n"] == 14
        and 0 < score["majority"] < 1
    )


@pytest.mark.parametrize(
    "change",
    [
        dict(teacher_epochs=1),
        dict(train_size=35),
        dict(max_length=31),
        dict(data_seed=1),
        dict(teacher_learning_rate=1e-3),
        dict(task="sst2"),
        dict(batch_size=9),
    ],
)
def test_whatever_makes_another_teacher_gives_another_fingerprint(tiny, change):
    """Two teachers under one name: the second run would silently distil from the first one's."""
    names = [
        json.loads((tiny.create(**settings) / "config.json").read_text())["teacher_fingerprint"]
        for settings in ({}, change)
    ]
    assert names[0] != names[1]


def test_a_teacher_near_the_majority_class_is_warned_of(tiny, straight):
    """Others distilled from a raw BERT and wondered about the results: the score comes first, with a
    warning.
    """
    score = tiny.run(strategy="soft", epochs=1, teacher_epochs=1, teacher_learning_rate=1e-7).lines(
        "teacher_score"
    )[0]
    assert "always answering the most frequent class gives" in score["warning"]


def test_a_threshold_moves_a_run_up_early(tiny, straight):
    """The CLS distance of the newest layer has to reach the schedule; else only the epochs ever count."""
    slow, fast = (
        tiny.run(strategy="sid", epochs=6, epochs_per_layer=2, terms=("kl",), cosine_threshold=threshold)
        for threshold in (None, 2.0)
    )
    assert [line["epoch"] for line in slow.stage_lines] == [0, 2, 4]
    assert [line["epoch"] for line in fast.stage_lines] == [0, 1, 2]
    assert all("cls_distance" not in line["losses"] for line in fast.train_lines), "watched, not trained"
    assert len(fast.evals) == len(slow.evals) == 7, "the total of epochs stays"


def test_bfloat16_training_is_finite_and_measured_in_float32(tiny, straight):
    """On a GPU half precision is the default: losses stay in float32, and evaluation is what a stranger can
    recompute.
    """
    tuned = straight(strategy="all", epochs=4)
    teacher = tuned.folder.parent / "teachers" / tuned.config["teacher_fingerprint"]
    # One teacher for both: fine-tuned anew in half precision it would be another one.
    as_it_is = dict(strategy="all", epochs=4, teacher=str(teacher), teacher_epochs=0)
    run, reference = tiny.run(**as_it_is, dtype_choice="bfloat16"), tiny.run(**as_it_is)
    assert run.config["teacher_fingerprint"] != reference.config["teacher_fingerprint"]
    assert run.config["dtype"] == "bfloat16" and run.config["dtype_reason"] == "as asked"
    assert all(np.isfinite(line["loss"]) for line in run.train_lines)
    # The student's start is drawn from the same seed: measured in float32 it is the same to the last digit.
    assert (
        run.evals[0]["mismatch"] == reference.evals[0]["mismatch"]
        and run.evals[0]["logit_kl"] == reference.evals[0]["logit_kl"]
    )
    assert run.train_lines[0]["loss"] != reference.train_lines[0]["loss"] and run.train_lines[0][
        "loss"
    ] == pytest.approx(reference.train_lines[0]["loss"], rel=0.05)
    assert np.allclose(
        run.evals[-1]["mismatch"]["attention_kl"], reference.evals[-1]["mismatch"]["attention_kl"], rtol=0.5
    )
    assert {tensor.dtype for tensor in load_file(run.folder / "student" / "model.safetensors").values()} == {
        torch.float32
    }


@pytest.mark.parametrize("task", ["cola", "mrpc", "rte", "qqp", "sst2", "mnli", "qnli", "wnli"])
def test_every_task_runs_from_its_folder_without_a_change_to_the_code(tiny, task):
    """Pairs need token types, MNLI three classes and two dev sets: a task that only loads is not a task that
    runs.
    """
    from kdviz.tasks import TASKS

    run = tiny.run(task=task, strategy="all", epochs=1, student_layers=1, teacher_epochs=1)
    last = run.evals[-1]
    assert (
        run.state == "finished"
        and set(last["metrics"]) == set(TASKS[task].metrics) == set(last["intervals"])
        and last["n"] == 14
    )
    rows = [json.loads(line) for line in (run.folder / "predictions.jsonl").read_text().splitlines()]
    assert len(rows) == 14 and all(
        len(row["student_logits"]) == len(TASKS[task].labels) == len(row["teacher_logits"]) for row in rows
    )
    if task == "mnli":
        other = last["other_sets"]["mismatched"]
        assert (
            other["n"] == 11
            and set(other["metrics"]) == {"accuracy"}
            and len(other["mismatch"]["attention_kl"]) == 1
        )
        assert {row["label"] for row in rows} == {0, 1, 2}
    else:
        assert "other_sets" not in last


def test_token_types_reach_the_model(tiny_checkpoint, tiny):
    """Without them a pair is one long sentence; everything runs, only worse."""
    run = tiny.run(task="mrpc", strategy="soft", epochs=1, teacher_epochs=1)
    student = load_classifier(run.folder / "student", 2)
    table = student.bert.embeddings.token_type_embeddings.weight
    before = load_file(tiny_checkpoint / "model.safetensors")["embeddings.token_type_embeddings.weight"]
    assert not torch.equal(table[1], before[1]), "the second type was trained"
    single = tiny.run(
        task="cola", strategy="soft", epochs=1, teacher_epochs=1, student_layers=1, weight_decay=0.0
    )
    table = load_classifier(single.folder / "student", 2).bert.embeddings.token_type_embeddings.weight
    assert torch.equal(table[1], before[1]), "single sentences have no second type"


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


@pytest.mark.parametrize("strategy", ["all", "pid"])
def test_a_run_leaves_no_weights_behind_when_it_ends(tiny, strategy):
    """A study trains hundreds of runs in one process: what refers to itself in a ring stays until Python
    looks for rings, and that was gigabytes later.
    """

    def models() -> int:
        return sum(issubclass(type(each), torch.nn.Module) for each in gc.get_objects())

    tiny.run(strategy=strategy, epochs=3)
    gc.collect()
    before = models()
    gc.disable()
    try:
        tiny.run(strategy=strategy, epochs=3, data_seed=1)  # with a teacher of its own
        after = models()
    finally:
        gc.enable()
    assert after == before
