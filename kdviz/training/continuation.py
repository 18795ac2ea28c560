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
from kdviz.training import settled


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


def continuation(writer: RunWriter) -> Path | None:
    """The checkpoint to go on from; None where the run begins. RequestError, and nothing is changed, where
    going on would drop what was recorded, or go on with other settings; Damaged where the checkpoint is.
    """
    found, folder = latest(writer.files.checkpoints), writer.folder
    if found is None:
        _check_as_made(writer)
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
    _check_as_made(writer)
    return found


def _check_as_made(writer: RunWriter) -> None:
    """RequestError where config.json has other settings than the run was made with: its teacher would be kept
    under the name of another.
    """
    record: Any = read_json(writer.files.config)
    if record.get(settled.KEY, (now := settled.settled_sha256(record))) != now:
        raise RequestError(
            f"run {writer.folder.name!r}: the settings in its config.json changed since it was made; put "
            "them back, or start a new run"
        )


def _check_settings(then: Mapping[str, object], writer: RunWriter) -> None:
    """RequestError where config.json has other settings than the epochs so far were trained with."""
    record: Any = read_json(writer.files.config)
    now = settled.lasting_settings(RunConfig.from_dict(record))
    changed = [name for name in then.keys() & now.keys() if then[name] != now[name]]
    if changed:
        name = min(changed)
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        raise RequestError(
            f"run {writer.folder.name!r}: its config.json says {name}: {now[name]!r}, and it was trained "
            f"with {then[name]!r} so far{more}; put that back, or start a new run",
            field=name,
        )
