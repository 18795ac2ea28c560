"""What is said of two students side by side, and the cautions that stand beside a student's numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
from checkpoint_folders import change_json
from folders import cut_off, make_run
from streamlit.testing.v1 import AppTest

from kdviz.analysis.answers import farther, inside
from kdviz.analysis.apart import _of_presets, apart
from kdviz.analysis.cautions import cautions, constant_answer, is_untrained, untrained_until
from kdviz.cli import main
from kdviz.data import Example
from kdviz.explorer.finding import finding
from kdviz.files import write_arrays
from kdviz.runs.reader import Run
from kdviz.text import times_between, times_text
from kdviz.ui.frame.scores import by_strategy, verdict


def _header(name: str, shares: list[float], epochs: int | None = 1) -> dict:
    about = {"name": name, "teacher_answer": [0.2, 0.8], "student_answers": [shares], "epochs": epochs}
    return {"about": about, "epochs": [0.0]}


def _run(root: Path, strategy: str, kl: np.ndarray, *, same: bool = False, seed: int = 0) -> Run:
    """A run whose last evaluation has this attention KL (n, pairs); `same`: it answers always the same."""
    folder = make_run(root, f"{strategy}-{seed}", strategy=strategy, num_eval=len(kl), seed=seed)
    run = Run(folder)
    epoch = run.evaluated_epochs[-1]
    found = run.evaluation(epoch)
    student = np.tile([[0.0, 2.0]], (len(kl), 1)) if same else found.teacher_logits
    arrays = {**vars(found), "attention_kl": kl, "student_logits": student}
    arrays = {
        name: np.asarray(each, dtype=np.float32 if each.ndim == 2 else np.int64)
        for name, each in arrays.items()
    }
    write_arrays(folder / "evaluations" / f"epoch_{epoch:04d}.safetensors", arrays)
    return Run(folder)


def test_two_runs_are_told_apart_by_their_examples_alone(tmp_path: Path):
    """Without it "1.0 times as far" would be printed whatever the numbers are: the rule is the interval."""
    draw = np.random.default_rng(0)
    kl = draw.gamma(4, 0.1, (60, 2))
    near, far = _run(tmp_path, "all", kl), _run(tmp_path, "soft", 3 * kl)
    found = apart([far], [near])
    assert (
        found.is_told_apart and found.farther.place == 0 and found.farther.times == pytest.approx(3, rel=1e-3)
    )
    assert apart([near], [far]).farther.place == 1
    noise = _run(tmp_path, "sid", draw.permutation(kl) * 1.01)
    assert not apart([noise], [near]).is_told_apart
    by_hand = [run.evaluation(run.evaluated_epochs[-1]) for run in (far, near)]
    sides = [
        inside(each.index, each.teacher_logits, each.student_logits, each.attention_kl) for each in by_hand
    ]
    assert farther(*sides) == found.farther


def test_examples_of_other_data_are_not_matched_by_their_number(tmp_path: Path):
    """Without it sample data and GLUE would be told apart inside, row by row, over different sentences."""
    kl = np.random.default_rng(0).gamma(4, 0.1, (60, 2))
    near, far = _run(tmp_path, "all", kl), _run(tmp_path, "soft", 3 * kl)
    far.config["data"]["fingerprint"] = "beef"
    assert apart([far], [near]) is None


def test_several_seeds_count_by_the_mean_of_each_example(tmp_path: Path):
    """Without it a verdict over seeds would be that of one seed."""
    kl = np.random.default_rng(1).gamma(4, 0.1, (40, 2))
    soft = [_run(tmp_path, "soft", share * kl, seed=seed) for seed, share in enumerate((1.0, 3.0))]
    found = apart(soft, [_run(tmp_path, "all", kl)])
    assert found.farther.times == pytest.approx(2, rel=1e-3)


def test_presets_are_known_by_their_sentence(tmp_path: Path):
    """Two versions may keep their presets in another order: other sentences were laid over each other."""
    folder = make_run(tmp_path, "one")
    first = _of_presets(Run(folder))
    path = folder / "probes.json"
    path.write_text(json.dumps(json.loads(path.read_text())[::-1]))
    second = _of_presets(Run(folder))
    assert second.index.tolist() == first.index.tolist()[::-1]
    assert second.attention_kl.tolist() == first.attention_kl.tolist()[::-1]


def test_where_no_evaluation_is_stored_the_presets_decide_or_nothing_is_said(tmp_path: Path):
    """Without it a copied demo without its evaluations would be told apart by four sentences."""
    runs = [Run(make_run(tmp_path, name, strategy=name)) for name in ("soft", "all")]
    for run in runs:
        for path in (run.folder / "evaluations").iterdir():
            path.unlink()
    assert apart(runs[:1], runs[1:]) is None  # four presets are too few


def test_the_sentence_above_the_picture_says_only_what_the_numbers_say(tmp_path: Path):
    """Without it the headline would be printed whatever the numbers are."""
    kl = np.random.default_rng(0).gamma(4, 0.1, (60, 2))
    runs = [_run(tmp_path, "soft", 4 * kl), _run(tmp_path, "all", kl)]
    clear, none = apart(runs[:1], runs[1:]), apart(runs[:1], [_run(tmp_path, "sid", 4 * kl[::-1])])
    yes, no = [0.1, 0.9], [0.9, 0.1]
    soft, all_ = _header("soft labels", yes), _header("all layers at once", yes)
    said = finding([soft, all_], clear)
    assert said["text"] == (
        "Same answer. Inside, “soft labels” is 4.0 times as far from the teacher as “all layers at once”."
    )
    assert "95 % interval" in said["note"]
    assert "times" not in finding([soft, all_], none)["text"]
    assert finding([soft, all_], None) == {"text": "Same answer.", "note": ""}
    assert finding([_header("a", no), _header("b", yes)], None)["text"].startswith("Only “b” gives")
    assert finding([_header("a", no)], None)["text"] == "Another answer than the teacher."
    assert "diverged" in finding([soft, all_], None, True)["text"]
    assert finding([_header("a", []), all_], None)["text"] == ""


def test_a_ratio_near_one_keeps_the_digit_that_says_so(tmp_path: Path):
    """ "1.0 times as far (1.0 to 1.0)" of two that are told apart is a sentence against itself."""
    kl = np.random.default_rng(0).gamma(4, 0.1, (60, 2))
    between = apart([_run(tmp_path, "soft", 1.04 * kl)], [_run(tmp_path, "all", kl)])
    assert between.is_told_apart
    yes = [0.1, 0.9]
    said = finding([_header("soft", yes), _header("all", yes)], between)
    assert "1.04 times as far" in said["text"] and "ratio 1.04 to 1.04" in said["note"]
    assert [times_text(ratio) for ratio in (0.5, 1.2, 12.81)] == ["0.50", "1.2", "12.8"]


def test_a_narrow_interval_is_not_said_to_be_a_point():
    """ "95 % interval 4.3 to 4.3" of thousands of examples reads as if nothing were left open."""
    assert times_between(4.27, 4.34) == "4.27 to 4.34"
    assert times_between(12.0, 13.3, ", ") == "12.0, 13.3"


def test_the_verdict_has_one_ratio_and_few_numbers(tmp_path: Path):
    """Without it the first screen's two sentences would hold six numbers, and a ratio without an interval."""
    kl = np.random.default_rng(0).gamma(4, 0.1, (60, 2))
    runs = [_run(tmp_path, "soft", 4 * kl), _run(tmp_path, "all", kl)]
    said = verdict(by_strategy(runs, "matthews"), "matthews", "all")
    assert "soft labels (`soft`) ends **4.0 times as far**" in said
    assert "(`all`), by the median example." in said, "the table beside it has the means"
    assert sum(word.strip(".,;*()").replace(".", "").isdigit() for word in said.split()) <= 3
    more = [_run(tmp_path, "soft", 6 * kl, seed=1), _run(tmp_path, "all", kl, seed=1)]
    said = verdict(by_strategy([*runs, *more], "matthews"), "matthews", "all")
    assert "**5.0 times as far**" in said and "by the median example of 2 seeds." in said, (
        "the maps are of one"
    )
    level = [_run(tmp_path, "soft", kl, seed=3), _run(tmp_path, "all", kl[::-1], seed=3)]
    assert "times" not in verdict(by_strategy(level, "matthews"), "matthews", "all")


@pytest.mark.parametrize("strategy", ["hard", "soft", "all", "pid", "sid"])
def test_a_classifier_is_untrained_until_the_stage_that_has_labels(tmp_path: Path, strategy: str):
    """Without it "Student 0.33" would be read as a result, in stages that do not touch the classifier."""
    run = Run(make_run(tmp_path, strategy, strategy=strategy))
    if strategy in ("hard", "soft", "all"):
        assert untrained_until(run) is None and not is_untrained(run, 0)
        return
    stages = run.config["stages"]
    until = untrained_until(run)
    assert until == sum(stage["epochs"] for stage in stages if stage["classification"] == "none") > 0
    assert is_untrained(run, 0) and is_untrained(run, until) and not is_untrained(run, until + 0.5)
    assert "not trained yet" in cautions(run, 1)[0]


def test_a_classifier_whose_losses_weigh_nothing_is_never_trained(tmp_path: Path):
    """Weight decay moves it all the same, and its scores would go to the model card."""
    folder = make_run(tmp_path, "all")
    change_json(folder / "config.json", soft_weight=0.0)
    run = Run(folder)
    assert untrained_until(run) == run.config["epochs"] and is_untrained(run, run.config["epochs"])


def test_agreement_with_a_constant_student_has_its_context(tmp_path: Path):
    """Without it "Agreement 0.915" would be praise for a student that always says the same."""
    run = _run(tmp_path, "all", np.ones((24, 2)), same=True)
    epoch = run.evaluated_epochs[-1]
    teacher = run.evaluation(epoch).teacher_logits.argmax(axis=1)
    said = constant_answer(run, epoch)
    assert f"{(teacher == 1).mean():.3f}" in said and run.config["labels"][1] in said
    assert constant_answer(_run(tmp_path, "soft", np.ones((24, 2))), epoch) is None


@pytest.mark.parametrize("looked_at", ["cola-all", "cola-soft"])
def test_a_row_of_answers_takes_both_runs_to_its_maps(
    looked_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Without it the two insides of one answer would be seen one after the other, never side by side."""
    for name in ("soft", "all"):
        make_run(tmp_path / "runs", f"cola-{name}", strategy=name)
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr("kdviz.ui.frame.store.DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    text = Example(index=3, label=1, text_a="our own words", text_b=None)
    monkeypatch.setattr("kdviz.ui.frame.examples.texts_of", lambda run: {3: text})
    monkeypatch.setattr("kdviz.ui.frame.examples.can_be_asked", lambda run: True)
    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=120).run()
    app.query_params.clear()
    for name, value in {"run": looked_at, "show": "inside", "row": "3"}.items():
        app.query_params[name] = value
    app = app.switch_page("pages/answers.py").run()
    assert not app.exception
    app.button(key="kdviz.maps").click().run()
    other = "cola-soft" if looked_at == "cola-all" else "cola-all"
    assert (app.query_params["run"], app.query_params["with"]) == (looked_at, other)
    assert app.query_params["row"] == "3"


def test_the_terminal_says_what_an_untrained_classifier_answers(tmp_path: Path, capsys):
    """Its accuracy was printed like that of any student."""
    cut_off(make_run(tmp_path, "early", strategy="pid", state="stopped"), step=8)
    main(["show", "early", "--runs-dir", str(tmp_path)])
    assert "its classifier is not trained yet" in capsys.readouterr().out
    make_run(tmp_path, "whole", strategy="pid")
    main(["show", "whole", "--runs-dir", str(tmp_path)])
    assert "not trained" not in capsys.readouterr().out
