"""Asking both models about a sentence of one's own: remembered, one at a time."""

import threading
from functools import lru_cache
from pathlib import Path

from kdviz.jobs.lazy_imports import import_heavy
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import Answer, ask
from kdviz.ui.frame.turns import turns

_one_at_a_time = threading.Lock()


def ask_models(run: Run, text_a: str, text_b: str | None, epoch: int) -> Answer:
    """`kdviz.share.own_sentence.ask`, remembered for as long as nothing new was evaluated. RequestError as
    there.
    """
    stamp = run.evals[-1]["step"] if run.evals else 0
    with turns.aside(), _one_at_a_time:
        return _ask(run.folder, stamp, text_a, text_b, epoch)


@lru_cache(maxsize=48)
def _ask(folder: Path, stamp: int, text_a: str, text_b: str | None, epoch: int) -> Answer:
    import_heavy()
    return ask(Run(folder), text_a, text_b, epoch)
