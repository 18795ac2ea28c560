"""The model card of a student, and the command that makes the run again."""

import json
import re
import shlex

import pytest
from checkpoint_folders import change_json
from folders import cut_off, make_run
from hostile import lines
from huggingface_hub import ModelCard
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.cli.parser import make_parser
from kdviz.cli.settings import config_of
from kdviz.config import RunConfig
from kdviz.runs.command import command_of, is_path
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.runs.store import Store
from kdviz.training.card import model_card

HOSTILE = "</code><script>alert(1)</script> | x\n# heading ![a](http://evil.example/a.png) `"


def test_every_student_folder_has_a_card_that_the_hub_can_read(straight):
    """A folder uploaded as it is would else be a model without data, licence or limits."""
    run = straight()
    folder = run.folder / "student"
    card = ModelCard.load(folder / "README.md")
    last = run.evals[-1]
    assert card.data.library_name == "transformers" and card.data.license == "other"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results["accuracy"] == last["metrics"]["accuracy"]
    for heading in ("Data", "Teacher", "Training", "Scores", "Limits", "Licence", "Make it again", "Cite"):
        assert f"## {heading}\n" in card.text
    low, high = last["intervals"]["matthews"]
    teacher, student = last["teacher_metrics"]["matthews"], last["metrics"]["matthews"]
    row = f"| {teacher:.3f} | {student:.3f} | {low:.3f} to {high:.3f} |"
    assert row in card.text and f"n = {last['n']}" in card.text
    for (student, teacher), kl in zip(run.pairs, last["mismatch"]["attention_kl"]):
        assert f"| {student + 1} | {teacher + 1} | {kl:.3f} |" in card.text
    assert f"{last['agreement']:.3f}" in card.text
    assert str(run.folder.parent) not in card.text + card.data.to_yaml()
    assert run.config["teacher"] not in card.text, "a folder of the machine that trained"


def test_the_split_is_the_one_that_was_evaluated(tmp_path):
    """MNLI has no "validation": a score of a split that does not exist is refused, or believed of another."""
    for task, split in (("cola", "validation"), ("mnli", "validation_matched")):
        folder = make_run(tmp_path, task, source="folder")
        change_json(folder / "config.json", task=task)
        card = ModelCard(model_card(Run(folder)))
        assert {result.dataset_split for result in card.data.eval_results} == {split}


def test_sample_data_is_never_called_glue(tmp_path):
    """A score on generated sentences in a table of GLUE scores would be a false claim."""
    card = ModelCard(model_card(Run(make_run(tmp_path, "one"))))
    assert card.data.datasets is None and "not GLUE" in card.text and "no GLUE scores" in card.text
    assert all("not GLUE" in result.dataset_name for result in card.data.eval_results)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["teacher", "init", "matching"]), st.text(max_size=20))
def test_names_in_the_files_stay_text(tmp_path_factory, field, text):
    """A card is shown as a web page: a teacher's name must not become a heading, a picture or a script."""
    folder = make_run(tmp_path_factory.mktemp("card"), "one")
    config = json.loads((folder / "config.json").read_text())
    config[field] = HOSTILE + text
    (folder / "config.json").write_text(json.dumps(config))
    card = ModelCard(model_card(Run(folder)))
    assert "\n# heading" not in card.text
    outside_code = "".join(card.text.split("`")[::2])
    assert "<script>" not in outside_code.replace("\\<script\\>", "") and "![" not in outside_code


def test_a_run_without_an_evaluation_has_a_card(tmp_path):
    """A run stopped in its first epoch must not end in an error because of a README."""
    folder = make_run(tmp_path, "one")
    (folder / "metrics.jsonl").write_text("")
    assert "has not been evaluated" in model_card(Run(folder))


def test_only_a_student_of_a_teacher_is_said_to_copy_it(tmp_path):
    """The baseline without a teacher was said to copy the teacher's mistakes."""
    for strategy, has_teacher in (("hard", False), ("soft", True), ("sid", True)):
        card = ModelCard(model_card(Run(make_run(tmp_path, strategy, strategy=strategy))))
        assert ("It copies its teacher" in card.text) == has_teacher
        assert ("Distilled with" in card.text) == ("knowledge-distillation" in card.data.tags) == has_teacher


def test_a_card_names_the_terms_that_were_trained(tmp_path):
    """A student of attention alone was said to have learned the [CLS] distance of all matched layers too."""
    folder = make_run(tmp_path, "one", strategy="all")
    config = json.loads((folder / "config.json").read_text())
    for terms, said in ((["kl"], "Attention KL"), (["kl", "cos"], "Attention KL, CLS distance")):
        (folder / "config.json").write_text(json.dumps({**config, "terms": terms}))
        training = model_card(Run(folder)).partition("## Scores")[0]
        assert f"; of a layer: {said}\n" in training and training.count("CLS distance") == ("cos" in terms)
    soft = model_card(Run(make_run(tmp_path, "two", strategy="soft")))
    assert "of a layer" not in soft and "alone" not in soft.partition("## Data")[0]


def test_what_is_no_result_is_called_none(tmp_path):
    """An attention KL of 2,000 nats, or the score of a classifier that nothing trained, stood in the card
    like any other number, and in its head for the hub to list.
    """
    broken = make_run(tmp_path, "broken")
    lines(
        lambda line: (
            line["kind"] == "eval" and line["step"] > 0 and line["mismatch"].update(attention_kl=[2000.0, 1])
        )
    )(broken)
    card = ModelCard(model_card(Run(broken)))
    assert "This training diverged: its attention KL ended at 1,000 nats" in card.text.replace("\\", "")
    assert not card.data.eval_results
    early = cut_off(make_run(tmp_path, "early", strategy="pid", state="stopped"), step=8)
    card = ModelCard(model_card(Run(early)))
    for part in ("Scores", "How alike it is to its teacher"):
        said = card.text.split(f"## {part}\n")[1].split("\n## ")[0]
        assert "After epoch 1: its classifier is not trained yet" in said
    assert not card.data.eval_results
    whole = ModelCard(model_card(Run(make_run(tmp_path, "whole", strategy="pid"))))
    assert "diverged" not in whole.text and "not trained" not in whole.text and whole.data.eval_results


# ---- the command


def read_back(command: str) -> RunConfig:
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "kdviz", "run"]
    return config_of(make_parser().parse_args(words[3:]))


@pytest.mark.parametrize(
    "run", [run for run in Store(DEMO_RUNS).runs() if run.seed == 0], ids=lambda run: run.id
)
def test_the_command_asks_for_the_same_run(run):
    """A command that leaves out a setting gives another student under the same name."""
    asked = read_back(command_of(run))
    wanted = RunConfig.from_dict(run.config)
    different = {name for name in vars(wanted) if getattr(asked, name) != getattr(wanted, name)}
    assert different <= {"data_dir"}


@given(
    st.builds(
        dict,
        terms=st.sampled_from([["kl"], ["cos"], ["kl", "cos"]]),
        learning_rate=st.floats(1e-6, 0.1),
        keep_checkpoints=st.booleans(),
        matching=st.sampled_from(["first", "custom:1,3,5"]),
        teacher=st.sampled_from(["bert-mini", "some/model", "odd name; rm -rf ~"]),
        train_size=st.none() | st.integers(1, 9999),
    )
)
def test_every_kind_of_setting_survives_the_command(changes):
    """Quotes, switches, lists and small numbers are where a command goes wrong."""
    config = RunConfig(**changes)
    run = type("Any", (), {"config": {name: getattr(config, name) for name in vars(config)}})()
    assert read_back(command_of(run)) == config


@pytest.mark.parametrize(
    ("taken", "told"),
    [("folder", "--source folder .*--data-dir GLUE_FOLDER"), ("sample", "--source sample ")],
)
def test_the_command_names_the_source_that_was_taken(tiny, tmp_path, monkeypatch, taken, told):
    """Who has no KDVIZ_GLUE_DIR would train on sample data under the name of a run on real ones."""
    if taken == "folder":
        monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tiny.glue))
    run = Run(tiny.create("run", runs_dir=tmp_path, source="auto", data_dir=None))
    assert run.config["source"] == "auto" and run.config["data"]["source"] == taken
    assert re.search(told, command_of(run)) and read_back(command_of(run)).source == taken


def test_no_folder_of_this_machine_is_told():
    """A report is mailed around: it must not carry the lecturer's folders."""
    for name in ("/home/ann/teacher", "~/teacher", "./teacher", "a/b/c", "C:\\models\\x"):
        config = RunConfig(teacher=name, data_dir="/home/ann/glue", source="folder")
        run = type("Any", (), {"config": {field: getattr(config, field) for field in vars(config)}})()
        assert (
            name not in command_of(run)
            and "ann" not in command_of(run)
            and "TEACHER_FOLDER" in command_of(run)
        )
    assert not is_path("google/bert") and not is_path("minilm-l6")
