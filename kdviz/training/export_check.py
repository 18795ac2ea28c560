"""What is exported answers exactly as what ran: a few rows asked of student/ at the end of a run, loaded as a
stranger loads it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from kdviz.data.examples import Example
from kdviz.errors import RunFailed
from kdviz.models.export import load_as_a_stranger
from kdviz.runs.layout import RunFiles

NUM_ROWS = 4
TOLERANCE = 2e-3


def sample_rows(examples: Sequence[Example]) -> dict[int, Example]:
    """A few examples by their position in the set: spread over it, and the longest one."""
    spread = np.linspace(0, len(examples) - 1, min(NUM_ROWS, len(examples))).astype(int)
    longest = max(range(len(examples)), key=lambda row: sum(map(len, _texts(examples[row]))))
    return {int(row): examples[row] for row in sorted({*spread.tolist(), longest})}


def check_export(folder: Path, epoch: int, samples: Mapping[int, Example], max_length: int) -> None:
    """RunFailed where student/ in the run's `folder` gives other logits for the `samples` (by position in the
    evaluation set) than were measured after `epoch`: its numbers could not be recomputed from its files.
    """
    from safetensors.numpy import load_file

    measured = load_file(RunFiles(folder).evaluation(epoch))["student_logits"]
    model, tokenizer = load_as_a_stranger(RunFiles(folder).student)
    for row, example in samples.items():
        options = {"truncation": True, "max_length": max_length, "return_tensors": "pt"}
        with torch.no_grad():
            texts = [[text] for text in _texts(example)]  # by itself an empty second one is taken for none
            answered = model(**tokenizer(*texts, **options)).logits[0].numpy()
        expected = measured[row]
        if not np.isfinite(expected).all():
            continue  # a diverged run says so elsewhere
        if not np.allclose(answered, expected, atol=TOLERANCE, rtol=TOLERANCE):
            raise RunFailed(
                f"student/ answers otherwise than what ran: example {example.index} of the evaluation set "
                f"was measured with the logits {_shown(expected)}, and the exported files give "
                f"{_shown(answered)}; the checkpoint or its tokenizer has a setting that kdviz does not know"
            )


def _texts(example: Example) -> list[str]:
    return [example.text_a] if example.text_b is None else [example.text_a, example.text_b]


def _shown(logits: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:.3f}" for value in logits) + "]"
