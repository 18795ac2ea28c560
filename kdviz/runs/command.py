"""The command that trains a run's student again."""

import shlex
from dataclasses import fields, replace
from pathlib import PurePath

from kdviz.config import RunConfig
from kdviz.runs.reader import Run

FLAG_NAMES = {"device_choice": "device", "dtype_choice": "dtype"}
ALWAYS = (
    "task",
    "source",
    "teacher",
    "student_layers",
    "strategy",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
)
FOLDERS = {"data_dir": "GLUE_FOLDER", "teacher": "TEACHER_FOLDER", "student_checkpoint": "STUDENT_FOLDER"}


def flag_of(name: str) -> str:
    """The command line's name of a setting: `--learning-rate`."""
    return "--" + FLAG_NAMES.get(name, name).replace("_", "-")


def command_of(run: Run) -> str:
    """`python -m kdviz run …` with every setting that is not the default, in one line.

    Folders of the machine that trained are named by what they are, never by their path; the source of the
    examples is the one that the run took, where it was asked for any. ValueError where the run's config.json
    holds a setting this version refuses.
    """
    config = RunConfig.from_dict(run.config)
    taken = (run.config.get("data") or {}).get("source")
    if taken in RunConfig.choices("source"):
        config = replace(config, source=taken)
    parts = ["python", "-m", "kdviz", "run"]
    for item in fields(RunConfig):
        value = getattr(config, item.name)
        if value == item.default and (value is None or item.name not in ALWAYS):
            continue
        flag = flag_of(item.name)
        if isinstance(value, bool):
            parts.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            parts += [flag, _text(item.name, value)]
    if config.source == "folder" and config.data_dir is None:
        parts += ["--data-dir", FOLDERS["data_dir"]]
    return shlex.join(parts)


def _text(name: str, value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return ",".join(str(part) for part in value)
    if name in FOLDERS and is_path(str(value)):
        return FOLDERS[name]
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def shown_name(name: object) -> str:
    """What a checkpoint is called where others read it: of a folder its last part alone, never its place."""
    text = str(name or "?")
    if not is_path(text):
        return text
    last = text.replace("\\", "/").rstrip("/").rpartition("/")[2]
    return f"{last} (a local folder)"


def is_path(name: str) -> bool:
    """Whether a checkpoint's name is a place on the machine that trained (a hub id has one slash at most)."""
    return PurePath(name).is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name
