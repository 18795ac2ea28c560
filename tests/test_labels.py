"""Which class of a fine-tuned checkpoint is which: by their names, else by the measured score."""

import json
import re
import shutil
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from kdviz.errors import RequestError, Stopped
from kdviz.jobs.execute import execute
from kdviz.metrics import beats_constant_answer, majority_share
from kdviz.models.check import check_models
from kdviz.models.labels import label_names, measured_order, rows_by_name
from kdviz.tasks import TASKS
from kdviz.training.request import resolve_request
from kdviz.training.teacher_score import teacher_score


@pytest.mark.parametrize(
    ("task", "names", "rows"),
    [
        ("rte", ("entailment", "not_entailment"), (0, 1)),
        ("rte", ("not_entailment", "entailment"), (1, 0)),
        ("rte", ("NOT ENTAILMENT", "Entailment"), (1, 0)),
        ("rte", ("NotEntailment", "Entailment"), (1, 0)),
        ("rte", ("non-entailment", "entails"), (1, 0)),
        ("rte", ("no_entailment", "ENTAILED"), (1, 0)),
        ("wnli", ("not_entailment", "entailment"), (0, 1)),
        ("qnli", ("entailment", "not_entailment"), (0, 1)),
        ("cola", ("acceptable", "unacceptable"), (1, 0)),
        ("cola", ("Ungrammatical", "grammatical"), (0, 1)),
        ("cola", ("not acceptable", "acceptable"), (0, 1)),
        ("mrpc", ("not_equivalent", "equivalent"), (0, 1)),
        ("mrpc", ("paraphrase", "not_paraphrase"), (1, 0)),
        ("mrpc", ("nonequivalent", "equivalent"), (0, 1)),
        ("rte", ("RTE_not_entailment", "rte_entailment"), (1, 0)),
        ("sst2", ("ｐｏｓｉｔｉｖｅ", "ｎｅｇａｔｉｖｅ"), (1, 0)),
        ("rte", ("keine Folgerung", "Folgerung"), None),
        ("qqp", ("duplicate", "not_duplicate"), (1, 0)),
        ("sst2", ("POSITIVE", "NEGATIVE"), (1, 0)),
        ("mnli", ("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), (2, 1, 0)),
        ("mnli", ("contradiction", "entailment", "neutral"), (1, 2, 0)),
        ("cola", ("NEGATIVE", "POSITIVE"), None),
        ("rte", ("contradiction", "entailment"), None),
        ("rte", ("entailment", "neutral", "contradiction"), None),
        ("rte", ("LABEL_0", "LABEL_1"), None),
        ("rte", ("0", "1"), None),
        ("rte", ("no", "yes"), None),
        ("sst2", ("label_negative", "positive"), None),
    ],
)
def test_names_say_which_class_is_which(task, names, rows):
    """RTE's entailment is class 0 on the hub and class 1 in many checkpoints: answers are turned round."""
    config = {"id2label": {str(number): name for number, name in enumerate(names)}}
    assert rows_by_name(label_names(config, len(names)), TASKS[task]) == rows


@pytest.mark.parametrize("task", TASKS)
def test_every_task_knows_its_own_names_in_every_order(task):
    """A task whose own labels are not understood would refuse the teachers that kdviz itself has made."""
    for names in (TASKS[task].labels, TASKS[task].label_names):
        if names[0].isdigit():
            continue
        backwards = tuple(reversed(names))
        config = {"id2label": dict(enumerate(backwards)), "label2id": {n: i for i, n in enumerate(backwards)}}
        found = rows_by_name(label_names(config, len(names)), TASKS[task])
        assert found == tuple(reversed(range(len(names))))


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"id2label": None},
        {"id2label": ["not_entailment", "entailment"]},
        {"id2label": {"0": "entailment"}},
        {"id2label": {"a": "entailment", "b": "not_entailment"}},
        {"id2label": {"0": "entailment", "1": "entailment"}},
        {"id2label": {"1": "entailment", "2": "not_entailment"}},
        {
            "id2label": {"0": "entailment", "1": "not_entailment"},
            "label2id": {"entailment": 1, "not_entailment": 0},
        },
        {
            "id2label": {"0": "Entailment", "1": "not_entailment"},
            "label2id": {"entailment": 1, "NOT_ENTAILMENT": 0, "other": 2},
        },
    ],
)
def test_names_that_are_missing_or_contradict_themselves_say_nothing(config):
    """Half-edited configs are common; the order is then measured, not guessed."""
    assert label_names(config, 2) is None


def test_names_that_only_label2id_has_are_read():
    """Whoever set label2id alone has LABEL_0 and LABEL_1 in id2label, which transformers fills in."""
    backward = {"not_entailment": 0, "entailment": 1}
    names = ("not_entailment", "entailment")
    assert label_names({"label2id": backward}, 2) == names
    assert label_names({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": backward}, 2) == names
    assert label_names({"label2id": {"LABEL_0": 0, "LABEL_1": 1}}, 2) is None
    assert label_names({"label2id": {"entailment": 1, "not_entailment": 1}}, 2) is None
    assert label_names({"id2label": {"0": "yes", "1": "no"}, "label2id": {"entailment": "x"}}, 2) is None


def answers(labels: np.ndarray, share: float, rows: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Logits that are right in about `share` of the rows, with the classes in the order of `rows`."""
    rng = np.random.default_rng(seed)
    num_labels = len(rows)
    right = rng.random(len(labels)) < share
    predicted = np.where(right, labels, (labels + rng.integers(1, num_labels, len(labels))) % num_labels)
    logits = rng.normal(0, 0.1, (len(labels), num_labels))
    logits[np.arange(len(labels)), np.asarray(rows)[predicted]] += 3
    return logits


@pytest.mark.parametrize("rows", [(0, 1), (1, 0)])
def test_the_order_that_answers_best_is_taken_and_said(rows):
    """0.9 right becomes 0.1 in the wrong order: a student of it learns the opposite."""
    labels = np.random.default_rng(1).integers(0, 2, 300)
    order = measured_order(answers(labels, 0.9, rows), labels, TASKS["rte"])
    assert order.rows == rows and order.source == "measured"
    assert "300 evaluation examples" in order.message and "answers best" in order.message
    assert len(order.scores) == 2 and f"{rows[0]} = entailment" in order.message.partition("Taken: ")[2]
    assert ("as stored" in order.message) == (rows == (0, 1))


def test_three_classes_have_six_orders():
    """MNLI checkpoints without names are stored in at least three orders."""
    labels = np.random.default_rng(2).integers(0, 3, 400)
    order = measured_order(answers(labels, 0.8, (2, 0, 1)), labels, TASKS["mnli"])
    assert order.rows == (2, 0, 1) and len(order.scores) == 6


@pytest.mark.parametrize("seed", range(5))
def test_a_checkpoint_that_has_learnt_nothing_is_not_reversed_by_luck(seed):
    """At 48 % against 52 % the better order is chance; the message asks what the checkpoint is."""
    labels = np.random.default_rng(seed).integers(0, 2, 200)
    order = measured_order(answers(labels, 0.47, (0, 1), seed + 100), labels, TASKS["rte"])
    assert order.rows == (0, 1) and "is this checkpoint fine-tuned for RTE?" in order.message


def test_always_the_same_answer_says_nothing_about_the_order():
    """On CoLA it is right in 69 of 100 rows under one order: the frequent class is no evidence."""
    labels = (np.arange(300) % 10 < 7).astype(int)
    logits = np.tile([1.0, 0.0], (300, 1)) + np.random.default_rng(0).normal(0, 0.01, (300, 2))
    order = measured_order(logits, labels, TASKS["cola"])
    assert order.rows == (0, 1) and "is this checkpoint fine-tuned for CoLA?" in order.message


def test_examples_of_one_class_say_nothing_about_the_order():
    """A teacher that always says 0 would be reversed, and then be right always, where a small dev set has
    class 1 alone.
    """
    labels = np.ones(40, dtype=int)
    order = measured_order(np.tile([1.0, 0.0], (40, 1)), labels, TASKS["rte"])
    assert order.rows == (0, 1) and "is this checkpoint fine-tuned for RTE?" in order.message
    assert not beats_constant_answer(1.0, majority_share(labels), len(labels))


def test_numbers_that_are_not_finite_are_no_answer_of_a_teacher_without_names():
    """The largest of numbers that are none is class 0 under every order: right wherever the label is."""
    labels = np.random.default_rng(3).integers(0, 2, 300)
    logits = answers(labels, 0.9, (1, 0))
    logits[:20] = np.nan
    order = measured_order(logits, labels, TASKS["rte"])
    assert order.rows == (1, 0) and set(order.scores.values()) == {None}
    assert "accuracy: 0 = entailment, 1 = not entailment: –" in order.message
    assert "; 20 have no answer" in order.message
    logits[:] = np.inf
    order = measured_order(logits, labels, TASKS["rte"])
    assert order.rows == (0, 1) and "is this checkpoint fine-tuned for RTE?" in order.message


def as_shared(folder: Path, target: Path, names: tuple[str, ...] | None, *, reverse: bool) -> Path:
    """A copy of a teacher with its classifier's rows reversed or not, and other names for its classes."""
    shutil.copytree(folder, target)
    path = target / "model.safetensors"
    state = {
        name: tensor.flip(0).contiguous() if reverse and name.startswith("classifier.") else tensor
        for name, tensor in load_file(path).items()
    }
    save_file(state, path, {"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    names = names or ("LABEL_0", "LABEL_1")
    config["id2label"] = {str(number): name for number, name in enumerate(names)}
    config["label2id"] = {name: number for number, name in enumerate(names)}
    (target / "config.json").write_text(json.dumps(config))
    return target


def test_a_reversed_teacher_is_the_same_teacher(tiny, tmp_path, tuned):
    """Accuracy 1.0 became 0.0, and the warning asked for more epochs."""
    straight = as_shared(tuned, tmp_path / "straight", ("unacceptable", "acceptable"), reverse=False)
    reversed_ = as_shared(tuned, tmp_path / "reversed", ("Acceptable", "not_acceptable"), reverse=True)
    runs = [
        tiny.run(teacher=str(folder), teacher_epochs=0, epochs=1, strategy="soft", student_layers=1)
        for folder in (straight, reversed_)
    ]
    assert runs[0].evals[-1]["teacher_metrics"] == runs[1].evals[-1]["teacher_metrics"]
    # The student starts without a classifier and from the same layers: its numbers are the same.
    assert runs[0].evals[-1]["metrics"] == runs[1].evals[-1]["metrics"]
    assert [run.config["teacher_labels"]["rows"] for run in runs] == [[0, 1], [1, 0]]
    assert "another order" in runs[1].config["teacher_labels"]["message"]
    kept = runs[1].folder.parent / "teachers" / runs[1].config["teacher_fingerprint"]
    for folder in (kept, runs[1].folder / "student"):
        names = json.loads((folder / "config.json").read_text())["id2label"]
        assert names == {"0": "unacceptable", "1": "acceptable"}


def test_a_reversed_teacher_without_names_is_measured_and_said(tiny, tmp_path, tuned):
    """Nothing in the file tells the order; the evaluation set does, and config.json keeps what was found."""
    shared = as_shared(tuned, tmp_path / "shared", None, reverse=True)
    run = tiny.run(
        teacher=str(shared),
        teacher_epochs=0,
        epochs=1,
        strategy="soft",
        student_layers=1,
        eval_size=None,
        runs_dir=tmp_path / "runs",
    )
    order = run.config["teacher_labels"]
    assert order["source"] == "measured" and len(order["scores"]) == 2
    assert order["message"].startswith("The checkpoint does not name its classes")


def test_a_measured_order_is_measured_anew_on_other_examples(tiny, tmp_path, tuned):
    """A first run on too few examples to tell kept the order as stored, and every later one in the folder
    took that teacher: right in none of 200 answers, with a message about another set.
    """
    shared = as_shared(tuned, tmp_path / "shared", None, reverse=True)
    used = dict(teacher=str(shared), teacher_epochs=0, epochs=1, strategy="soft", student_layers=1)
    runs = [tiny.run(**used, eval_size=size, runs_dir=tmp_path / "runs") for size in (2, None)]
    for run in runs:
        message = run.config["teacher_labels"]["message"]
        assert f"measured on {run.config['data']['num_eval']} evaluation examples" in message
    named = as_shared(tuned, tmp_path / "named", ("acceptable", "unacceptable"), reverse=True)
    requests = [
        resolve_request(tiny.config(**settings, eval_size=size))
        for settings in (used, used | dict(teacher=str(named)), used | dict(teacher_epochs=1))
        for size in (2, None)
    ]
    prints = [request.teacher_fingerprint for request in requests]
    assert prints[0] != prints[1], "measured: the set decides"
    assert prints[2] == prints[3] and prints[4] == prints[5], "by name, or fine-tuned: the same teacher"


def test_names_of_another_task_are_refused_or_replaced(tiny, tmp_path, tuned):
    """A sentiment teacher asked about acceptability answers, and every answer is about something else."""
    stale = as_shared(tuned, tmp_path / "stale", ("NEGATIVE", "POSITIVE"), reverse=False)
    with pytest.raises(RequestError, match="classes NEGATIVE, POSITIVE; give at least 1 epoch") as caught:
        check_models(tiny.config(teacher=str(stale), teacher_epochs=0))
    assert caught.value.field == "teacher_epochs"
    run = tiny.run(teacher=str(stale), epochs=1, teacher_epochs=1, student_layers=1, strategy="soft")
    names = json.loads((run.folder / "student" / "config.json").read_text())["id2label"]
    assert list(names.values()) == run.config["labels"]
    assert "teacher_labels" not in run.config


def said_to_be_of(folder: Path, target: Path, task: object, names: tuple[str, ...] | None = None) -> Path:
    """A copy of a teacher whose config.json says what it was fine-tuned for."""
    as_shared(folder, target, names, reverse=False)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps({**config, "finetuning_task": task}))
    return target


def test_a_classifier_of_another_task_without_names_is_refused(tiny, tmp_path, tuned):
    """Its scripts wrote which task of GLUE it is of; by its two classes alone it was taken for any other's,
    and the better of both orders measured.
    """
    for number, said in enumerate(("mrpc", "glue:mrpc", "SST-2")):
        folder = said_to_be_of(tuned, tmp_path / str(number), said)
        with pytest.raises(RequestError, match=f"finetuning_task: {said}, that is .*at least 1") as caught:
            check_models(tiny.config(teacher=str(folder), teacher_epochs=0))
        assert caught.value.field == "teacher_epochs"
        assert check_models(tiny.config(teacher=str(folder))).label_rows is None
    names = ("unacceptable", "acceptable")
    for number, (said, own) in enumerate(
        (("cola", None), ("glue:CoLA", None), ("text-classification", None), (None, None), ({"a": 1}, None))
        + (("mnli", None), ("mrpc", names))  # of three classes, or of other names: it was trained since
    ):
        folder = said_to_be_of(tuned, tmp_path / f"used{number}", said, own)
        assert check_models(tiny.config(teacher=str(folder), teacher_epochs=0)).teacher.num_labels == 2
    qnli = said_to_be_of(tuned, tmp_path / "qnli", "qnli", ("entailment", "not_entailment"))
    with pytest.raises(RequestError, match="finetuning_task: qnli, that is QNLI"):
        check_models(tiny.config(task="rte", teacher=str(qnli), teacher_epochs=0))
    assert resolve_request(tiny.config(task="rte", teacher=str(qnli))).already_answers is None


def test_a_stop_is_heard_while_the_order_of_classes_is_measured(tiny, tmp_path, tuned):
    """Of all of QQP's 40,430 questions that takes minutes, in which nothing could end the run."""
    shared = as_shared(tuned, tmp_path / "shared", None, reverse=True)
    folder = tiny.create("measured", runs_dir=tmp_path, teacher=str(shared), teacher_epochs=0)
    stop, asked = threading.Event(), []

    def predicted(model, encoded, *, tick=lambda: None):
        stop.set()
        tick()
        asked.append("went on")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kdviz.training.teacher.predict", predicted)
        with pytest.raises(Stopped):
            execute(folder, stop=stop, num_threads=1)
    assert asked == []


@pytest.mark.parametrize(
    ("epochs", "share", "said"),
    [
        (0, 0.1, "other way round it would be 90.0% right, .*names them in the wrong order"),
        (0, 0.5, r"is used as it is .teacher_epochs: 0., so look whether it is fine-tuned for RTE\.$"),
        (3, 0.5, r"give it more examples or epochs\.$"),
        (3, 0.1, r"give it more examples or epochs\.$"),
    ],
)
def test_what_to_do_about_a_teacher_depends_on_how_it_was_made(tmp_path, epochs, share, said):
    """One that is used as it is lacks no examples or epochs here: that advice sent people the wrong way."""
    (tmp_path / "teacher.json").write_text(json.dumps({"epochs": epochs}))
    labels = np.arange(200) % 2
    answered = np.where(np.arange(200) < 200 * share, labels, 1 - labels)
    evaluation = SimpleNamespace(labels=labels, fingerprint="f")
    score = teacher_score(None, tmp_path, TASKS["rte"], evaluation, np.eye(2)[answered])
    assert re.search(said, score["warning"])


def test_three_classes_for_two_are_refused(tiny, tmp_path, tuned):
    """Rows of another number of classes cannot be put in any order."""
    shutil.copytree(tuned, tmp_path / "three")
    path = tmp_path / "three" / "model.safetensors"
    state = load_file(path)
    state["classifier.weight"] = torch.zeros(3, 32)
    state["classifier.bias"] = torch.zeros(3)
    save_file(state, path, {"format": "pt"})
    with pytest.raises(RequestError, match="for the 2 classes of CoLA, got .*three with 3 classes"):
        check_models(tiny.config(teacher=str(tmp_path / "three"), teacher_epochs=0))
    assert check_models(tiny.config(teacher=str(tmp_path / "three"))).label_rows is None


@pytest.mark.parametrize("missing", ["pooler.", "classifier.bias"])
def test_a_way_to_the_answers_that_would_be_drawn_is_refused(tiny, tmp_path, tuned, missing):
    """The classifier's rows are there, so it looks fine-tuned; the rest would be random, without a word."""
    shutil.copytree(tuned, tmp_path / "part")
    path = tmp_path / "part" / "model.safetensors"
    save_file(
        {name: each for name, each in load_file(path).items() if missing not in name}, path, {"format": "pt"}
    )
    with pytest.raises(RequestError, match=f"lack .*{missing}.*give at least 1 epoch") as caught:
        check_models(tiny.config(teacher=str(tmp_path / "part"), teacher_epochs=0))
    assert caught.value.field == "teacher_epochs"
    check_models(tiny.config(teacher=str(tmp_path / "part")))


def test_one_output_is_a_regressions(tiny, tmp_path, tuned):
    """A similarity model beside a task of two classes: "with 1 classes" would name no cause."""
    shutil.copytree(tuned, tmp_path / "one")
    path = tmp_path / "one" / "model.safetensors"
    state = {**load_file(path), "classifier.weight": torch.zeros(1, 32), "classifier.bias": torch.zeros(1)}
    save_file(state, path, {"format": "pt"})
    with pytest.raises(RequestError, match="with one output, which is a regression's; give at least 1 epoch"):
        check_models(tiny.config(teacher=str(tmp_path / "one"), teacher_epochs=0))


def test_a_head_of_another_kind_is_no_classifier_of_texts(tiny, tmp_path, tuned):
    """One that names tokens has the same names and shapes, and its order would be measured on chance."""
    folder = shutil.copytree(tuned, tmp_path / "tokens")
    config = json.loads((folder / "config.json").read_text()) | {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}
    config |= {"label2id": {}, "architectures": ["BertForTokenClassification"]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        RequestError, match="architectures: BertForTokenClassification, which answers another"
    ):
        check_models(tiny.config(teacher=str(folder), teacher_epochs=0))
    assert check_models(tiny.config(teacher=str(folder))).label_rows is None


def test_a_checkpoint_that_answers_the_task_is_recognised(tiny, tmp_path, tuned):
    """The app offers to use it as it is: fine-tuning what is fine-tuned wastes minutes and spoils it."""
    request = resolve_request(tiny.config(teacher=str(tuned)))
    assert "already answers CoLA (its classes are unacceptable, acceptable)" in request.already_answers
    assert resolve_request(tiny.config(teacher=str(tuned), teacher_epochs=0)).already_answers is None
    assert resolve_request(tiny.config()).already_answers is None
