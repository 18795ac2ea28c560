"""The stored demo: what a visitor sees first, read by the same code as any other run."""

import json
import re

import numpy as np
import pytest
from scipy.special import softmax

from kdviz.demo.__main__ import main
from kdviz.demo.compact import EVALUATED_ROWS, store_run
from kdviz.demo.grid import TELLING, demo_runs
from kdviz.demo.weights import DRIFT
from kdviz.files import write_json
from kdviz.method.strategies import STRATEGIES
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.runs.store import Store, Unreadable
from kdviz.share.own_sentence import ask, can_be_asked
from kdviz.share.stored_models import are_stored
from kdviz.tasks import task_named

MEBIBYTE = 1 << 20
TASKS = ("cola", "qqp", "mrpc", "rte")


@pytest.fixture(scope="module")
def entries() -> list:
    return Store(DEMO_RUNS).list()


def test_every_entry_can_be_read_and_is_whole(entries):
    """A run that was cut off while it was stored would be the first thing a visitor sees."""
    assert not [entry for entry in entries if isinstance(entry, Unreadable)]
    for run in entries:
        epochs = list(range(run.config["epochs"] + 1))
        assert run.state == "finished" and [line["epoch"] for line in run.evals] == epochs, run.id
        last = run.evaluation(run.evaluated_epochs[-1])
        assert len(last.index) == run.evals[-1]["n"] == run.config["data"]["num_eval"]
        assert np.mean(last.student_logits.argmax(1) == last.teacher_logits.argmax(1)) == pytest.approx(
            run.evals[-1]["agreement"], abs=2.5 / len(last.index)
        )
        assert last.attention_kl.mean(axis=0) == pytest.approx(
            run.evals[-1]["mismatch"]["attention_kl"], rel=2e-3
        )


def test_what_is_stored_of_the_plan_is_what_was_planned(entries):
    """A run trained with other settings under a planned name would be compared with runs it does not
    match.
    """
    planned = {wanted.id: wanted for wanted in demo_runs("GLUE")}
    assert len(planned) == len(list(demo_runs("GLUE")))
    for run in entries:
        assert run.id in planned
        asked = planned[run.id].config.to_dict() | {"data_dir": None}
        assert {name: run.config[name] for name in asked if name in run.config} == {
            name: value for name, value in asked.items() if name in run.config
        }
        kept = [moment for moment in run.moments if moment.has_maps]
        spacing = planned[run.id].epochs_between_maps
        assert len(kept) == (0 if spacing is None else 1 + -(-run.config["epochs"] // spacing)), run.id
        epochs = [line["epoch"] for line in run.evals if line["epoch"] == int(line["epoch"])]
        if spacing is None:
            epochs = epochs[-1:]
        elif planned[run.id].answers_at_ends or len(epochs) * run.config["data"]["num_eval"] > EVALUATED_ROWS:
            epochs = [epochs[0], epochs[-1]]
        assert run.evaluated_epochs == epochs, run.id


def test_the_first_screen_has_a_teacher_worth_copying(entries):
    """A room that is shown 0.20 against 0.15 asks why one would copy a teacher like that."""
    by_id = {run.id: run for run in entries}
    soft, internal = by_id["demo-cola-soft-6of12-s0"], by_id["demo-cola-all-6of12-s0"]
    assert soft.config["teacher_fingerprint"] == internal.config["teacher_fingerprint"]
    assert internal.pairs == tuple((layer, 2 * layer + 1) for layer in range(6))
    assert internal.evals[-1]["teacher_metrics"]["matthews"] >= 0.55
    inside = [np.mean(run.evals[-1]["mismatch"]["attention_kl"]) for run in (soft, internal)]
    assert inside[1] <= inside[0] / 4


def test_every_task_and_on_cola_every_strategy_has_maps(entries):
    """The presets of all four tasks open on the demo; a missing one is an empty frame in front of the
    room.
    """
    with_maps = {
        (run.task, run.strategy) for run in entries if any(moment.has_maps for moment in run.moments)
    }
    assert with_maps >= {("cola", strategy) for strategy in STRATEGIES}
    assert with_maps >= {(task, strategy) for task in TASKS for strategy in TELLING}
    for run in entries:
        for moment in [moment for moment in run.moments if moment.has_maps][-1:]:
            for probe in run.probes:
                student, teacher = run.student_maps(moment.step, probe.id), run.teacher_maps(probe.id)
                assert (
                    student.shape == (run.num_layers, run.num_heads, len(probe.tokens), len(probe.tokens))
                    and teacher.shape[1:] == student.shape[1:]
                )
                assert student.sum(-1) == pytest.approx(np.ones(student.shape[:-1]), abs=1e-5)


def test_it_is_small_and_holds_no_path_of_the_machine_that_built_it():
    """It travels with every clone."""
    files = [path for path in DEMO_RUNS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * MEBIBYTE
    for path in files:
        if path.suffix in (".json", ".jsonl"):
            text = path.read_text(encoding="utf-8")
            assert not re.search(r'"/\w+/', text), path
    assert not [
        path for path in files if path.suffix == ".safetensors"
    ]  # weights are not stored, maps are compressed


def test_a_run_is_stored_without_losing_what_it_says(tiny, tmp_path):
    """The demo is evidence: making it small must not change a number that is shown."""
    run = tiny.run(epochs=2)
    stored = tmp_path / "runs" / run.id
    store_run(run, stored, epochs_between_maps=2)
    small = Run(stored)
    for before, after in zip(run.evals, small.evals, strict=True):
        assert after["metrics"] == pytest.approx(before["metrics"], rel=1e-4)
        assert after["mismatch"]["attention_kl"] == pytest.approx(
            before["mismatch"]["attention_kl"], rel=1e-4
        )
    probe = run.probes[0].id
    step = run.moments[-1].step
    assert np.abs(small.student_maps(step, probe) - run.student_maps(step, probe)).max() < 0.01
    assert np.abs(small.teacher_maps(probe) - run.teacher_maps(probe)).max() < 0.01
    assert json.loads((stored / "config.json").read_text())["data_dir"] is None


def test_what_was_stored_without_its_weights_is_stored_again(tmp_path, monkeypatch):
    """Ended between a run and its weights, the command called the run stored, and its weights never came."""
    built = []
    monkeypatch.setattr("kdviz.demo.__main__.DEMO_RUNS", tmp_path / "runs")
    monkeypatch.setattr("kdviz.demo.__main__._build", lambda wanted, *_: built.append(wanted.id))
    monkeypatch.setattr("sys.argv", ["kdviz.demo", "--data-dir", str(tmp_path)])
    weighty = [wanted.id for wanted in demo_runs(str(tmp_path)) if wanted.with_weights]
    for wanted in demo_runs(str(tmp_path)):
        write_json(tmp_path / "runs" / wanted.id / "config.json", {})
    assert main() == 0 and built == weighty
    for run_id in weighty:
        write_json(tmp_path / "runs" / run_id / DRIFT, {})
    built.clear()
    assert main() == 0 and built == []


@pytest.mark.slow
@pytest.mark.parametrize("strategy", TELLING)
def test_a_visitors_own_question_pair_is_answered_by_the_models_that_were_trained(entries, strategy):
    """The weights are stored in a few bits: rounded too far, or put on another origin, they would answer
    something else than what the scores beside them speak of.
    """
    run = next(run for run in entries if run.id == f"demo-qqp-{strategy}-3of6-s0")
    assert can_be_asked(run)
    texts = {preset.id: preset for preset in task_named("qqp").presets}
    last = run.probe_lines[-1]["probes"]
    for probe in run.probes:
        answer = ask(run, texts[probe.id].text_a, texts[probe.id].text_b)
        assert answer.tokens == tuple(probe.tokens)
        for got, recorded in (
            (answer.teacher_logits, probe.teacher_logits),
            (answer.student_logits, last[probe.id]["student_logits"]),
        ):
            assert softmax(got) == pytest.approx(softmax(recorded), abs=0.08)
        maps = run.student_maps(run.moments[-1].step, probe.id)
        assert np.abs(answer.student_maps - maps).max() < 0.1


def test_the_drift_of_stored_weights_is_small_and_stated(entries):
    """A visitor's answers must be those of the scored model but for a few in a thousand."""
    stored = [run for run in entries if are_stored(run)]
    assert {run.strategy for run in stored} == set(TELLING)
    for run in stored:
        drift = json.loads((run.folder / DRIFT).read_text())
        for role in ("teacher", "student"):
            assert drift[role]["num_examples"] == run.config["data"]["num_eval"]
            assert drift[role]["other_answers"] <= 0.01
