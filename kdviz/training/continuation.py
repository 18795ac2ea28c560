"""Whether a run can go on where it was: its newest checkpoint, held against what else its folder keeps."""

from pathlib import Path
from typing import Any, NotRequired, TypedDict

from kdviz.errors import RequestError, RunFailed
from kdviz.runs.checkpoint import latest, read_state
from kdviz.runs.records import EvalLine
from kdviz.runs.writer import RunWriter


class State(TypedDict):
    """What a checkpoint keeps beside weights and moments: where the run stood, how large metrics.jsonl was
    then and what was in it, and the line of the evaluation that follows.
    """

    epoch: int
    step: int
    seconds: dict[str, float]
    stage_index: int
    epochs_in_stage: int
    metrics_bytes: int
    metrics_sha256: NotRequired[str]
    eval: EvalLine


def continuation(writer: RunWriter) -> Path | None:
    """The checkpoint to go on from; None where the run begins. RequestError, and nothing is changed, where
    going on would drop what was recorded; RunFailed where the checkpoint is damaged.
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
        raise RunFailed(f"the checkpoint {found} is damaged ({error}); start a new run") from error
    if not writer.has_metrics(state["metrics_bytes"], state.get("metrics_sha256")):
        raise RequestError(
            f"run {folder.name!r}: its metrics.jsonl is not the one that its checkpoint was written beside "
            "(it was cut, edited or replaced since); put that one back, or start a new run"
        )
    return found
