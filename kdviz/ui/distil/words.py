"""The words of the Distil page."""

from kdviz.method.terms import TERMS

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

HELP = {
    "active_pairs": "Student layers whose pairs are matched; all where none is chosen.",
    "matching": "Which teacher layer each student layer is compared with.",
}
"""What a control says in other words than the setting itself, which counts layers from 0."""

SOURCE_NAMES = {
    "auto": "automatic: folder, hub, sample",
    "folder": "GLUE folder on this machine",
    "hub": "GLUE from the hub",
    "sample": "sample data, not GLUE",
}

_CHOICES = {
    **{("terms", term.name): term.title for term in TERMS.values()},
    ("matching", "uniform"): "uniform: upper layer of each group",
    ("matching", "first"): "first: the lowest teacher layers",
    ("matching", "last"): "last: the topmost teacher layers",
    ("matching", "custom"): "custom: choose them",
    ("init", "pretrained"): "from the pretrained checkpoint",
    ("init", "teacher"): "from the fine-tuned teacher",
    ("init", "random"): "random",
    ("cache", "auto"): "computed once where they fit",
    ("cache", "off"): "computed at every step",
}

STATE_WORDS = {
    "queued": "waiting",
    "running": "running",
    "stopping": "stopping",
    "finished": "finished",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "failed": "failed",
}
STATE_COLOURS = {
    "queued": "gray",
    "running": "blue",
    "stopping": "orange",
    "finished": "green",
    "stopped": "gray",
    "interrupted": "orange",
    "failed": "red",
}
STATE_ICONS = {
    "queued": ":material/hourglass_empty:",
    "running": ":material/play_arrow:",
    "stopping": ":material/pending:",
    "finished": ":material/check:",
    "stopped": ":material/stop:",
    "interrupted": ":material/power_off:",
    "failed": ":material/error:",
}


def choice_name(field: str, choice: str) -> str:
    """A choice in words; itself where it says enough."""
    return _CHOICES.get((field, choice), choice)
