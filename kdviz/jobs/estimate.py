"""How long a run will take, before it starts: from the lengths of its texts and a short measurement of this
machine.
"""

import re
import threading
from collections.abc import Sequence
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.data.examples import Example, fingerprint
from kdviz.jobs.lazy_imports import import_heavy
from kdviz.models.checkpoint import file_sha256, resolve
from kdviz.training.teacher_fingerprint import teacher_fingerprint

SAMPLE_SIZE = 500
TOKENS_PER_WORD = 1.15
_WORD = re.compile(r"\w+|[^\w\s]")
_measured: dict[int, threading.Event] = {}
_guard = threading.Lock()


def rough_mean_tokens(examples: Sequence[Example], max_length: int) -> float:
    """Mean length in tokens of (some of) the examples, cut to `max_length`: words and marks, a little more
    for split words, and the special tokens. Within a tenth of the tokenizer's count on GLUE, without loading
    one.
    """
    some = examples[:: max(1, len(examples) // SAMPLE_SIZE)]
    if not some:
        return float(max_length)
    lengths = [
        min(
            max_length,
            TOKENS_PER_WORD * len(_WORD.findall(f"{example.text_a} {example.text_b or ''}"))
            + 2
            + (example.text_b is not None),
        )
        for example in some
    ]
    return sum(lengths) / len(lengths)


def kept_teacher(config: RunConfig, train: Sequence[Example], runs_dir: Path) -> Path | None:
    """The folder of the fine-tuned teacher this run would use, where an earlier run has left it; None where
    it is still to be made.
    """
    checkpoint = resolve(config.teacher)
    files = [
        checkpoint.folder / name
        for name in ("tokenizer.json", "vocab.txt")
        if (checkpoint.folder / name).exists()
    ]
    hashes = [file_sha256(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    folder = Path(runs_dir) / "teachers" / teacher_fingerprint(config, checkpoint, fingerprint(train), hashes)
    return folder if (folder / "model.safetensors").exists() else None


def student_parameters(config: RunConfig) -> int:
    """Parameters of the student with embeddings and pooler, from the shape of its teacher."""
    checkpoint = resolve(config.teacher)
    width = checkpoint.hidden_size
    return (
        (checkpoint.vocab_size + checkpoint.max_positions + 4) * width
        + config.student_layers * 12 * width * (width + 1)
        + width * (width + 1)
    )


def speed_is_known(hidden_size: int, *, measure: bool, num_threads: int) -> bool:
    """Whether `kdviz.jobs.plan` can estimate at once for models of that width. With `measure`, a thread of
    its own measures when it is not so (importing torch takes seconds, and a page cannot wait).
    """
    with _guard:
        done = _measured.get(hidden_size)
        if done is None and measure:
            done = _measured[hidden_size] = threading.Event()
            threading.Thread(
                target=_measure, args=(hidden_size, num_threads, done), name="kdviz-speed", daemon=True
            ).start()
    return done is not None and done.is_set()


def _measure(hidden_size: int, num_threads: int, done: threading.Event) -> None:
    from kdviz.jobs.plan import layer_speed

    import_heavy()
    layer_speed(hidden_size, num_threads)
    done.set()
