"""Names of a study's runs, readable and valid whatever is varied, and when an existing run is a cell's."""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from kdviz.config import RunConfig

LONGEST = 64
_SHORT = {"student_layers": "l", "seed": "s", "train_size": "n"}
_BARE = {"task", "strategy"}
PATH_SETTINGS = ("teacher", "student_checkpoint", "data_dir")


def slug(text: str, longest: int) -> str:
    """`text` as a part of a name: a-z 0-9 . and - alone, no longer than `longest`."""
    plain = re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
    return plain[:longest].strip("-.") or "x"


def distinct_ids(prefix: str, changes: Sequence[Mapping]) -> list[str]:
    """One run id for each of the changed settings: the values where they are words and numbers, with a short
    digest behind them where they are cut, rewritten or not told apart.
    """
    readable = [
        "-".join([prefix, *(_part(key, value) for key, value in change.items())]) for change in changes
    ]
    seen = Counter(readable)
    return [
        text
        if len(text) <= LONGEST and seen[text] == 1 and all(map(_is_plain, change.values()))
        else f"{slug(text, LONGEST - 7)}-{digest(change)[:6]}"
        for text, change in zip(readable, changes, strict=True)
    ]


def digest(value: object) -> str:
    """Hex digits that name a JSON-ready value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _is_plain(value: object) -> bool:
    """Whether the name tells the value whole."""
    return not isinstance(value, (list, dict)) and _written(value).replace("_", "-") == slug(
        _written(value), 40
    )


def _part(key: str, value: object) -> str:
    if isinstance(value, list):
        value = "+".join(map(str, value))
    if key in _SHORT or isinstance(value, (bool, int, float)):
        return _SHORT.get(key, slug(key, 24)) + ("" if key in _SHORT else "-") + slug(_written(value), 16)
    if os.sep in _written(value):  # of a path or a hub id its last name tells most
        value = os.path.basename(_written(value).rstrip(os.sep)) or value
    return slug(_written(value), 24) if key in _BARE else f"{slug(key, 12)}-{slug(_written(value), 20)}"


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def settings_digest(settings: Mapping) -> str:
    """What two runs have in common exactly when all their settings are the same. A setting that a run does
    not hold has its default.
    """
    return digest(_comparable(settings))


def differing(config: RunConfig, recorded: Mapping) -> list[str]:
    """The settings of `config` that a run's config.json holds otherwise."""
    asked, found = _comparable(config.to_dict()), _comparable(recorded)
    return [name for name in asked if asked[name] != found[name]]


def cell_mark(config: RunConfig) -> dict:
    """What config.json of a cell's run keeps of the settings as they were asked for: a run writes some of
    them, paths above all, in another way.
    """
    return {"cell": settings_digest(config.to_dict())}


def is_run_of(config: RunConfig, recorded: Mapping) -> bool:
    """Whether the run with this config.json was trained with `config`."""
    return recorded.get("cell") == settings_digest(config.to_dict()) or not differing(config, recorded)


def _comparable(settings: Mapping) -> dict:
    defaults = RunConfig().to_dict()
    values = {name: settings.get(name, default) for name, default in defaults.items()}
    for name in PATH_SETTINGS:
        if isinstance(values[name], str) and (os.sep in values[name] or values[name].startswith("~")):
            values[name] = os.path.normpath(os.path.expanduser(values[name]))
    return json.loads(json.dumps(values))
