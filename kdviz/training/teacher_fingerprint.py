"""The name of a fine-tuned teacher: what it is made from. Known before it is trained."""

import hashlib
import json

from kdviz.config import RunConfig
from kdviz.data.tokenizer_files import tokenizer_files
from kdviz.data.tokenizer_reading import settings_to_read_as_is
from kdviz.files import kept_sum
from kdviz.models.checkpoint import Checkpoint

RECIPE = 5  # raise it when the fine-tuning changes, so that older teachers are not taken for new ones


def teacher_fingerprint(
    config: RunConfig,
    checkpoint: Checkpoint,
    train_fingerprint: str,
    *,
    dtype: str,
    measured_on: str | None = None,
) -> str:
    """16 hex digits: the weights, the checkpoint's other files (config, tokenizer), the training examples,
    how it is fine-tuned, and in which arithmetic: half precision gives other weights than float32.
    `measured_on`: the fingerprint of the examples on which the order of its classes is measured, where it is.
    """
    read_as_is = settings_to_read_as_is(checkpoint.folder)
    recipe = {
        "recipe": RECIPE,
        "weights": checkpoint.weights_sha256,
        "files": hashes_beside_weights(checkpoint),
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
        "dtype": dtype,
        **({} if read_as_is is None else {"tokenizer": read_as_is}),
        **({} if measured_on is None else {"measured_on": measured_on}),
    }
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def hashes_beside_weights(checkpoint: Checkpoint) -> dict[str, str]:
    """sha256 of every file that decides what the same weights mean, by name."""
    paths = (checkpoint.folder / "config.json", *tokenizer_files(checkpoint.folder))
    return {path.name: kept_sum(path) for path in paths}
