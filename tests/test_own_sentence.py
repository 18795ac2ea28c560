"""One's own sentence is answered by the weights that the page names."""

import numpy as np

from kdviz.data.sources import examples_of
from kdviz.share.own_sentence import ask, epochs_with_weights


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


def test_a_foreign_folder_among_the_kept_weights_is_nobodys_epoch(tiny):
    """A copy that somebody put beside them must not break the page."""
    run = tiny.run(strategy="soft", epochs=1)
    source = run.checkpoint_folder(0)
    for name in ("epoch_copy", "epoch_", "epoch_1.5"):
        source.parent.parent.joinpath(name).mkdir()
        source.parent.parent.joinpath(name, "student").symlink_to(source)
    assert epochs_with_weights(run) == [0, 1]
