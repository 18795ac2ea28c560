"""Asking both models about a sentence of one's own: remembered, one at a time."""

import threading
from pathlib import Path

from cachetools import LRUCache, cached

from kdviz.files import MEBIBYTE
from kdviz.jobs.lazy_imports import import_heavy
from kdviz.runs.reader import Run
from kdviz.share.own_sentence import Answer, ask
from kdviz.ui.frame.turns import turns

MOST_BYTES = 512 * MEBIBYTE
"""Of remembered answers: some 300 of the stored demo's longest, two of 12 + 6 layers with 512 tokens."""
_one_at_a_time = threading.Lock()


def ask_models(run: Run, text_a: str, text_b: str | None, epoch: int) -> Answer:
    """`kdviz.share.own_sentence.ask`, remembered for as long as nothing new was evaluated; another run of the
    same name is asked anew. RequestError as there.
    """
    stamp = (str(run.config.get("created")), run.evals[-1]["step"] if run.evals else 0)
    with turns.aside(), _one_at_a_time:
        return _ask(run.folder, stamp, text_a, text_b, epoch)


def _num_bytes(answer: Answer) -> int:
    """Of its maps: what else there is of it is little."""
    return answer.teacher_maps.nbytes + answer.student_maps.nbytes


@cached(LRUCache(maxsize=MOST_BYTES, getsizeof=_num_bytes), info=True)
def _ask(folder: Path, stamp: tuple[str, int], text_a: str, text_b: str | None, epoch: int) -> Answer:
    import_heavy()
    return ask(Run(folder), text_a, text_b, epoch)
