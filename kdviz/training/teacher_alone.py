"""Fine-tuning a teacher before any of its students: a study does that once for all of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.machine import cores_allowed
from kdviz.runs.layout import encoded_sets_of, teacher_of
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
    from kdviz.training.device import arithmetic, choose_device
    from kdviz.training.teacher import TeacherHooks, WantedTeacher, finetuned_teacher

    torch.set_num_threads(num_threads or cores_allowed())
    config, checkpoint, encoded = request.config, request.checkpoint, encoded_sets_of(Path(runs_dir))
    folder = teacher_of(Path(runs_dir), request.teacher_fingerprint)

    def tick(share: float) -> None:
        check_stop()
        progress({"phase": "teacher", "phase_progress": round(share, 4)})

    try:
        tokenizer = Tokenizer(checkpoint.folder, config.max_length)
        device, _ = choose_device(config.device_choice)
        wanted = WantedTeacher(
            config=config,
            task=request.task,
            checkpoint=checkpoint,
            train=tokenizer.encode_set(request.train, encoded, tick=check_stop),
            evaluation=tokenizer.encode_set(request.evaluation, encoded, tick=check_stop),
            folder=folder,
            device=device,
            run_in=arithmetic(device, getattr(torch, request.arithmetic.dtype)),
            label_rows=request.label_rows,
        )
        finetuned_teacher(wanted, TeacherHooks(tick=tick))
    except (RequestError, RunFailed, Stopped):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:200] or traceback.format_exc().splitlines()[-1]
        raise RunFailed(f"the teacher could not be fine-tuned: {type(error).__name__}: {said}") from error
    return folder
