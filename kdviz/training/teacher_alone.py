"""Fine-tuning a teacher before any of its students: a study does that once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdviz.errors import RequestError, RunFailed, Stopped, kind_and_line
from kdviz.machine import cores_allowed
from kdviz.runs.layout import encoded_sets_of
from kdviz.training.request import Request


def make_teacher(
    request: Request,
    runs_dir: Path,
    *,
    check_stop: Callable[[], None] = lambda: None,
    progress: Callable[[dict[str, Any]], None] = lambda status: None,
    num_threads: int | None = None,
) -> Path:
    """The folder of the request's fine-tuned teacher under `runs_dir`, made where it is not there yet;
    continued where an earlier process broke off.

    `check_stop` is called at every step and may raise Stopped. RunFailed, in one line, where it cannot be
    made.
    """
    import torch

    from kdviz.data.encoded import Tokenizer
    from kdviz.training.teacher import TeacherHooks, WantedTeacher, finetuned_teacher

    torch.set_num_threads(num_threads or cores_allowed())
    runs_dir = Path(runs_dir)

    def tick(share: float) -> None:
        check_stop()
        progress({"phase": "teacher", "phase_progress": round(share, 4)})

    try:
        tokenizer = Tokenizer(request.checkpoint.folder, request.config.max_length)
        train, evaluation = (
            tokenizer.encode_set(examples, encoded_sets_of(runs_dir), tick=check_stop)
            for examples in (request.train, request.evaluation)
        )
        wanted = WantedTeacher.of(request, runs_dir, train=train, evaluation=evaluation)
        finetuned_teacher(wanted, TeacherHooks(tick=tick))
    except (RequestError, RunFailed, Stopped):
        raise
    except Exception as error:
        raise RunFailed(f"the teacher could not be fine-tuned: {kind_and_line(error)}") from error
    return wanted.folder
