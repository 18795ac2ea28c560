"""What teacher and student cost on this machine: parameters, bytes, and measured time for one sentence."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from kdviz.data.encoded import EncodedSet
from kdviz.models.build import num_parameters
from kdviz.models.trace import classify, trace
from kdviz.models.weights_files import SAFETENSORS

REPEATS = 15


def measure_cost(
    teacher: nn.Module,
    teacher_folder: Path,
    student: nn.Module,
    student_folder: Path,
    encoded: EncodedSet,
    *,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Parameters, bytes of the weights file, and median milliseconds for one sentence of median length.
    `tick` may raise.
    """
    typical = np.argsort(encoded.lengths, kind="stable")[len(encoded) // 2 :][:1]
    return {
        "teacher_parameters": num_parameters(teacher),
        "student_parameters": num_parameters(student),
        "teacher_bytes": (teacher_folder / SAFETENSORS).stat().st_size,
        "student_bytes": (student_folder / SAFETENSORS).stat().st_size,
        "teacher_ms_per_sentence": milliseconds_per_sentence(teacher, encoded, typical, tick=tick),
        "student_ms_per_sentence": milliseconds_per_sentence(student, encoded, typical, tick=tick),
        "sentence_tokens": int(encoded.lengths[typical][0]),
    }


def milliseconds_per_sentence(
    model: nn.Module,
    encoded: EncodedSet,
    positions: np.ndarray,
    *,
    tick: Callable[[], None] = lambda: None,
) -> float:
    """Median wall time of a forward pass in eval mode, in milliseconds, after two that do not count. `tick`
    is called between them.
    """
    batch = encoded.batch(positions).to(next(model.parameters()).device)
    was_training, times = model.training, []
    model.eval()
    with torch.no_grad():
        for _ in range(REPEATS + 2):
            tick()
            begin = time.perf_counter()
            classify(model, trace(model, *batch.inputs).last).argmax(-1).tolist()
            times.append(time.perf_counter() - begin)
    model.train(was_training)
    return 1000 * statistics.median(times[2:])
