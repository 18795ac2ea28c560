"""kdviz tasks, teachers: what is available, and from where."""

import argparse
import json
import os

from kdviz.tasks import TASKS


def tasks(asked: argparse.Namespace) -> None:
    """The tasks, and where their data can be had."""
    from kdviz.data import available, named_folder
    from kdviz.terminal import complain

    folder = named_folder(asked.data_dir)
    if folder is not None and not os.path.isdir(folder):
        complain(f"kdviz: the folder of GLUE that was named is not there: {folder}")
    rows = [
        {
            "task": task.name,
            "title": task.title,
            "question": task.question,
            "metrics": list(task.metrics),
            "sources": available(task.name, asked.data_dir),
        }
        for task in TASKS.values()
    ]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(f"{row['task']:5s} {row['title']}: {row['question']}")
        for source, origin in row["sources"].items() or [
            ("none here", "give a folder with --data-dir, or ask for it with --source hub")
        ]:
            print(f"      {source}: {origin}")


def teachers(asked: argparse.Namespace) -> None:
    """The teacher checkpoints, and where they can be had."""
    from kdviz.models.families import known_families
    from kdviz.models.registry import TEACHERS, readiness

    if asked.download is not None:
        _bring(asked.download)
        return
    rows = [
        {
            "teacher": entry.name,
            "title": entry.title,
            "layers": entry.num_layers,
            "heads": entry.num_heads,
            "hidden_size": entry.hidden_size,
            "from": entry.location or "Python packages",
            "note": f"{entry.note} {readiness(entry.name)}".strip(),
        }
        for entry in TEACHERS.values()
    ]
    if asked.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print(
            f"{row['teacher']:12s} {row['layers']:2d} layers × {row['heads']:2d} heads × "
            f"{row['hidden_size']:3d}, from {row['from']}. {row['note']}".rstrip()
        )
    print(f"any local folder or hub id of a checkpoint of {known_families()}")


def _bring(name: str) -> None:
    """Have a teacher on this machine, checked."""
    from kdviz.models.checkpoint import resolve
    from kdviz.terminal import downloads

    found = resolve(name, downloads=downloads())
    print(
        f"{found.name} is on this machine: {found.num_layers} layers × {found.num_heads} heads × "
        f"{found.hidden_size}, in {found.folder}"
    )
