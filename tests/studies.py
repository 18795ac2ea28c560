"""Studies for tests: files whose runs take a second."""

import json
from pathlib import Path


def write_study(path: Path, tiny, *, grid: str = "", more: str = "", **changes: object) -> Path:
    """A study of runs of a second, soft against all with seeds 0 and 1 unless `grid` says otherwise."""
    settings = dict(
        task="cola",
        source="folder",
        data_dir=str(tiny.glue),
        teacher=str(tiny.checkpoint),
        student_layers=2,
        epochs=1,
        batch_size=8,
        train_size=24,
        max_length=32,
        teacher_epochs=1,
        snapshots=1,
        keep_checkpoints=False,
        dtype_choice="float32",
        **changes,
    )
    lines = ["[settings]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    lines += ["[grid]", grid or 'strategy = ["soft", "all"]\nseed = [0, 1]', more, "[resources]\ncpus = 1"]
    path.write_text("\n".join(lines))
    return path
