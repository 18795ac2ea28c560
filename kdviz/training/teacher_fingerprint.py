"""The name of a fine-tuned teacher: what it is made from. Known before it is trained, without torch."""

import hashlib
import json
from collections.abc import Sequence

from kdviz.config import RunConfig
from kdviz.models.checkpoint import Checkpoint

RECIPE = 3  # raise it when the fine-tuning changes, so that older teachers are not taken for new ones


def teacher_fingerprint(
    config: RunConfig, checkpoint: Checkpoint, train_fingerprint: str, files_sha256: Sequence[str]
) -> str:
    """16 hex digits: the weights, the checkpoint's other files (config, tokenizer), the training examples and
    how it is fine-tuned.
    """
    recipe = {
        "recipe": RECIPE,
        "weights": checkpoint.weights_sha256,
        "files": list(files_sha256),
        "task": config.task,
        "train": train_fingerprint,
        "max_length": config.max_length,
        "epochs": config.teacher_epochs,
        "learning_rate": config.teacher_learning_rate,
        "batch_size": config.batch_size,
        "seed": config.data_seed,
        "warmup_share": config.warmup_share,
        "weight_decay": config.weight_decay,
        "max_grad_norm": config.max_grad_norm,
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]
