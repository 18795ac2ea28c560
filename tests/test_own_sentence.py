"""One's own sentence is answered by the weights that the page names."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from folders import make_run
from safetensors.torch import load_file, save_file

from kdviz.data.sources import examples_of
from kdviz.errors import RequestError
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.share.own_sentence import Answer, ask, epochs_with_weights
from kdviz.ui.attention import ask as asking
from kdviz.ui.attention.explore import _answers
from kdviz.visible import has_visible


def answers(run, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """Student logits (n, classes) of the evaluation's first examples: asked one by one, and as evaluated."""
    evaluation, texts = run.evaluation(epoch), examples_of(run)
    asked = [
        ask(run, texts[index].text_a, texts[index].text_b, epoch=epoch).student_logits
        for index in evaluation.index[:6].tolist()
    ]
    return np.array(asked), evaluation.student_logits[:6]


def test_the_last_epoch_is_answered_by_its_exact_weights(tiny):
    """The half-precision copy answered, though the exact weights lie beside it: borderline sentences were
    answered otherwise on Attention than on Answers.
    """
    run = tiny.run(strategy="all", epochs=2)
    assert run.checkpoint_folder(2) is not None, "there is a copy that must not be used"
    asked, evaluated = answers(run, 2)
    assert np.abs(asked - evaluated).max() < 5e-6
    asked, evaluated = answers(run, 1)
    assert 5e-6 < np.abs(asked - evaluated).max() < 2e-2, "earlier epochs are kept in half precision"


INVISIBLE = ["", " \n\t", "\u00a0", "\u200b", "\ufeff\u200d", "\u3164", "\ufe0f", "\u2800", "\x00"]


@pytest.mark.parametrize("text", INVISIBLE)
def test_a_text_of_which_nothing_can_be_seen_is_no_sentence(text: str):
    """A zero-width space was answered "85 %", with no word in it."""
    assert not has_visible(text)
    with pytest.raises(RequestError, match="visible character"):
        ask(Run(DEMO_RUNS / "demo-qqp-all-3of6-s0"), text, text)


@pytest.mark.parametrize("text", ["a", "?", "\u200b.", "😀", "🇩🇪", "שלום", "e\u0301", "\ufffd"])
def test_whatever_can_be_seen_may_be_asked(text: str):
    """Too strict a rule would refuse a script or a sign that somebody wants to try."""
    assert has_visible(text)


NOTHING = {
    "tokens": (),
    "teacher_maps": np.zeros(1),
    "student_maps": np.zeros(1),
    "teacher_logits": np.zeros(2),
    "student_logits": np.zeros(2),
    "truncated": False,
}


def test_answers_are_remembered_up_to_so_many_bytes(monkeypatch):
    """Counted instead, answers of the longest texts would be ten gigabytes of a server."""
    largest = np.broadcast_to(np.float32(0), (12, 12, 512, 512))  # takes no memory itself
    answer = Answer(**NOTHING | {"teacher_maps": largest, "student_maps": largest[:6]})
    asked = []
    monkeypatch.setattr(asking, "ask", lambda run, text, *rest: asked.append(text) or answer)
    run = Run(DEMO_RUNS / "demo-qqp-all-3of6-s0")
    for number in (*range(9), 8):
        asking.ask_models(run, f"sentence {number}", None, 1)
    assert asked == [f"sentence {number}" for number in range(9)], "the last is remembered"
    kept = asking._ask.cache_info()
    assert 2 <= kept.currsize / (largest.nbytes * 1.5) <= asking.MOST_BYTES / (largest.nbytes * 1.5)
    asking._ask.cache_clear()


def test_another_run_of_the_same_name_answers_for_itself(tmp_path: Path, monkeypatch):
    """A run that was deleted and made again in its place would be shown with the answers of the old one."""
    asked = []
    monkeypatch.setattr(asking, "ask", lambda run, *rest: asked.append(run.strategy) or Answer(**NOTHING))
    for strategy, created in (("soft", "2026-01-02T03:00:00Z"), ("all", "2026-05-05T05:00:00Z")):
        folder = make_run(tmp_path, "one", strategy=strategy, created=created)
        for _ in range(2):
            asking.ask_models(Run(folder), "hello", None, 3)
        shutil.rmtree(folder)
    assert asked == ["soft", "all"]
    asking._ask.cache_clear()


def test_a_foreign_folder_among_the_kept_weights_is_nobodys_epoch(tiny):
    """A copy that somebody put beside them must not break the page."""
    run = tiny.run(strategy="soft", epochs=1)
    source = run.checkpoint_folder(0)
    for name in ("epoch_copy", "epoch_", "epoch_1.5"):
        source.parent.parent.joinpath(name).mkdir()
        source.parent.parent.joinpath(name, "student").symlink_to(source)
    assert epochs_with_weights(run) == [0, 1]


def test_weights_that_are_damaged_or_lack_a_part_answer_nothing(tiny):
    """One damaged epoch took all maps of one's own sentence off the page, "SafetensorError"; and a student/
    without its classifier answered by chance, without a word.
    """
    run = tiny.run(strategy="all", epochs=2)
    kept = run.checkpoint_folder(1) / "model.safetensors"
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(RequestError, match="student: the weights of an earlier epoch, .* cannot be used"):
        ask(run, "The dog sleeps.", epoch=1)
    found = set(_answers(run, "The dog sleeps.", None, 2)[0])
    assert 2 in found and found <= {0, 2}, "epoch 0 is asked too where there is time"
    path = run.folder / "student" / "model.safetensors"
    state = {name: tensor for name, tensor in load_file(path).items() if name != "classifier.weight"}
    path.unlink()  # the kept copy may be the same file
    save_file(state, path, {"format": "pt"})
    with pytest.raises(RequestError, match="student: .* lack classifier.weight of 2 classes"):
        ask(Run(run.folder), "The dog barks.")
