"""The words of the Distil page."""

from kdviz.method.terms import TERMS

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
