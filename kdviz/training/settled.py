"""What a run settles when it is made and keeps to its end, and how a later change of it is noticed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from kdviz.config import RunConfig

_ELSEWHERE = ("source", "data_dir", "teacher", "student_checkpoint")
_STORAGE = ("cache", "cache_memory_mb", "cache_disk_mb", "keep_checkpoints", "checkpoints_mb")
"""Settings that may be others when a run goes on: where things lie (what lies there is held against its
sums), and how much storage is taken.
"""
_DERIVED = ("teacher_fingerprint", "dtype")
KEY = "settled_sha256"
"""The name of the sum in config.json; a run of an older version has none."""


def lasting_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that stay for the whole of a run, JSON-ready."""
    kept = config.to_dict()
    return {name: value for name, value in kept.items() if name not in (*_ELSEWHERE, *_STORAGE)}


def settled_sha256(record: Mapping[str, Any]) -> str:
    """The sum of what a run's record (config.json) says of its lasting settings, its teacher's name and its
    arithmetic. A setting that only a later version has is in no sum. RequestError where the record holds what
    no setting can be.
    """
    settings = lasting_settings(RunConfig.from_dict(dict(record)))
    kept = {name: value for name, value in settings.items() if name in record}
    kept |= {name: record.get(name) for name in _DERIVED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()
