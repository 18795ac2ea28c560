"""Whether a run can go on where it was: its newest checkpoint, held against what else its folder keeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import read_json
from kdviz.runs.checkpoint import Damaged, Saved, latest, read_state
from kdviz.runs.records import EvalLine
from kdviz.runs.writer import RunWriter

_ELSEWHERE = ("source", "data_dir", "teacher", "student_checkpoint")
_ROOM = ("cache", "cache_memory_mb", "cache_disk_mb", "keep_checkpoints", "checkpoints_mb")
"""Settings that may be others when a run goes on: where things lie (what lies there is held against its
sums), and how much room is taken.
"""


class State(Saved):
    """What a checkpoint keeps beside weights and moments: where the run stood and with which settings, how
    large metrics.jsonl was then and what was in it, the sum of the stored evaluation, and its line, which
    follows.
    """

    epoch: int
    step: int
    seconds: dict[str, float]
    stage_index: int
    epochs_in_stage: int
    metrics_bytes: int
    metrics_sha256: NotRequired[str]
    evaluation_sha256: NotRequired[str]
    settings: NotRequired[dict[str, object]]
    eval: EvalLine


def lasting_settings(config: RunConfig) -> dict[str, Any]:
    """The settings that stay for the whole of a run, JSON-ready."""
    kept = config.to_dict()
    return {name: value for name, value in kept.items() if name not in (*_ELSEWHERE, *_ROOM)}


def continuation(writer: RunWriter) -> Path | None:
    """The checkpoint to go on from; None where the run begins. RequestError, and nothing is changed, where
    going on would drop what was recorded, or go on with other settings; Damaged where the checkpoint is.
    """
    found, folder = latest(writer.files.checkpoints), writer.folder
    if found is None:
        if evaluations := writer.evaluations():
            raise RequestError(
                f"run {folder.name!r} holds {len(evaluations)} evaluations and no checkpoint to go on from; "
                "start a new run, or put its folder checkpoints back"
            )
        return None
    try:
        state: dict[str, Any] = read_state(found, State)
    except (OSError, ValueError) as error:
        raise Damaged(found, error) from error
    if not writer.has_metrics(state["metrics_bytes"], state.get("metrics_sha256")):
        raise RequestError(
            f"run {folder.name!r}: its metrics.jsonl is not the one that its checkpoint was written beside "
            "(it was cut, edited or replaced since); put that one back, or start a new run"
        )
    _check_settings(state.get("settings", {}), writer)
    return found


def _check_settings(then: Mapping[str, object], writer: RunWriter) -> None:
    """RequestError where config.json has other settings than the epochs so far were trained with."""
    record: Any = read_json(writer.files.config)
    now = lasting_settings(RunConfig.from_dict(record))
    changed = [name for name in then.keys() & now.keys() if then[name] != now[name]]
    if changed:
        name = min(changed)
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RequestError(
            f"run {writer.folder.name!r}: its config.json says {name}: {now[name]!r}, and it was trained "
            f"with {then[name]!r} so far{more}; put that back, or start a new run",
            field=name,
        )
