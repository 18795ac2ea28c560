"""What a page calls the settings of a run, in its form and where something is wrong with one."""

import re

from kdviz.method.terms import TERMS
from kdviz.text import plain_reason

LABELS = {
    "task": "Task",
    "source": "Data",
    "student_layers": "Student layers",
    "strategy": "Strategy",
    "epochs": "Epochs",
    "train_size": "Training examples",
    "data_dir": "GLUE folder",
    "teacher": "Teacher",
    "terms": "Internal terms",
    "epochs_per_layer": "Epochs per layer",
    "cosine_threshold": "Move up below CLS distance",
    "temperature": "Temperature",
    "soft_weight": "Weight of soft labels",
    "hard_weight": "λ, weight of hard labels",
    **{f"{term.name}_weight": f"Weight of {term.title}" for term in TERMS.values()},
    "soft_throughout": "Soft labels in every stage",
    "hard_labels": "Hard labels beside soft ones",
    "freeze_finished": "Freeze finished layers",
    "classifier_only_last": "Last stage: classifier only",
    "active_pairs": "Matched layers",
    "matching": "Layer matching",
    "init": "Student's first weights",
    "batch_size": "Examples per step",
    "learning_rate": "Learning rate",
    "max_length": "Longest input, tokens",
    "eval_size": "Evaluation examples",
    "seed": "Seed",
    "teacher_epochs": "Teacher's epochs",
    "teacher_learning_rate": "Teacher's learning rate",
    "warmup_share": "Warm-up, share of steps",
    "max_grad_norm": "Largest gradient norm",
    "snapshots": "Moments recorded",
    "cache": "Teacher's outputs",
    "cache_memory_mb": "Teacher's outputs in memory, MiB",
    "cache_disk_mb": "Teacher's outputs on disk, MiB",
    "keep_checkpoints": "Keep weights of every epoch",
    "checkpoints_mb": "Room for kept weights, MiB",
    "device_choice": "Device",
    "dtype_choice": "Arithmetic",
    "student_checkpoint": "Student's checkpoint",
    "data_seed": "Seed of data and teacher",
}
_NAMES = re.compile(
    f"^({'|'.join(LABELS)})(?=: )"
    rf"|(?<![\w/.=-])({'|'.join(name for name in LABELS if '_' in name)})(?![\w/.=-])"
)
"""The setting that a text begins with, and those whose names are no words of English."""


def in_labels(text: str) -> str:
    """An error's text with the settings called as in the form: the one it begins with, and, in quotation
    marks, any further one whose name is not a word of its own.
    """
    return _NAMES.sub(lambda found: LABELS[found[1]] if found[1] else f"“{LABELS[found[2]]}”", text)


def said(reason: str) -> str:
    """What went wrong in a run or with its settings, for a page that anybody may look at."""
    return plain_reason(in_labels(reason))
