"""The student's weights of earlier epochs, in half precision, for asking one's own sentence through
training.
"""

import math
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.layout import RunFiles


def kept_epochs(num_epochs: int, bytes_per_epoch: int, limit_bytes: int) -> list[int]:
    """Which epochs are kept under the limit: every one, or evenly thinned ones, with the first and the last;
    with room for one alone the first, since the last's weights are the student's anyway.
    """
    room = limit_bytes // max(1, bytes_per_epoch)
    if room < 2:
        return [0] * room
    stride = max(1, math.ceil(num_epochs / (room - 1)))
    return sorted({*range(0, num_epochs, stride), num_epochs})


def checkpoint_bytes(num_parameters: int, config: RunConfig) -> int:
    """Bytes that a run's checkpoints take at most: float32 weights and two AdamW moments, twice while one
    replaces the other, and the weights of earlier epochs as far as they are kept.
    """
    weights = 4 * num_parameters
    kept = min(weights * config.epochs, config.checkpoints_mb << 20) if config.keep_checkpoints else 0
    return weights * (3 * 2 + 1) + kept


def keep_weights(run_folder: Path, weights: Path, epoch: int, config: RunConfig) -> None:
    """Store the weights of `epoch` in float16 under checkpoints/, where the run's limit has room for that
    epoch.
    """
    import torch
    from safetensors.torch import load_file, save

    from kdviz.files import write_bytes

    if not config.keep_checkpoints or epoch not in kept_epochs(
        config.epochs, weights.stat().st_size // 2, config.checkpoints_mb << 20
    ):
        return
    target = RunFiles(run_folder).kept_student(epoch) / SAFETENSORS
    if not target.exists():
        state = {name: tensor.to(torch.float16) for name, tensor in load_file(weights).items()}
        write_bytes(target, save(state, {"format": "pt"}))
