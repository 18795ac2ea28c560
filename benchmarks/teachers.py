"""How good a teacher comes of a setting, on data of your own; prints one JSON line a setting.

    python benchmarks/teachers.py --data-dir GLUE qqp:2000:3 qqp:4000:2 cola:8551:3 --seeds 0 1

A setting is TASK:TRAIN_SIZE:EPOCHS[:LEARNING_RATE]. The teacher is fine-tuned and scored as in a run, by the
same code; `seconds` is the processor time of its fine-tuning. The rows of
kdviz/training/measured_teachers.py were made by this, with one thread.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="+", metavar="TASK:TRAIN_SIZE:EPOCHS[:LEARNING_RATE]")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--teacher", default="minilm-l6")
    parser.add_argument("--eval-size", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    for setting in asked.settings:
        for seed in asked.seeds:
            print(json.dumps(measured(setting, seed, asked)), flush=True)


def measured(setting: str, seed: int, asked: argparse.Namespace) -> dict:
    """The teacher of one setting: its metrics on the development set beside the majority share."""
    import torch

    from kdviz.config import RunConfig
    from kdviz.data.encoded import Tokenizer
    from kdviz.training.device import arithmetic
    from kdviz.training.request import resolve_request
    from kdviz.training.teacher import WantedTeacher, finetuned_teacher
    from kdviz.training.teacher_score import teacher_score

    torch.set_num_threads(asked.threads)
    task, train_size, epochs, *rest = setting.split(":")
    config = RunConfig(
        task=task,
        source="folder",
        data_dir=asked.data_dir,
        teacher=asked.teacher,
        train_size=int(train_size),
        eval_size=asked.eval_size,
        teacher_epochs=int(epochs),
        data_seed=seed,
        **({"teacher_learning_rate": float(rest[0])} if rest else {}),
    )
    request = resolve_request(config)
    with tempfile.TemporaryDirectory(prefix="kdviz-teachers-") as place:
        folder = Path(place) / "teacher"
        tokenizer = Tokenizer(request.checkpoint.folder, config.max_length)
        train, evaluation = (
            tokenizer.encode_set(examples, Path(place) / "encoded", tick=lambda: None)
            for examples in (request.train, request.evaluation)
        )
        device = torch.device(request.arithmetic.device)
        wanted = WantedTeacher(
            config=request.config,
            task=request.task,
            checkpoint=request.checkpoint,
            train=train,
            evaluation=evaluation,
            folder=folder,
            device=device,
            run_in=arithmetic(device, getattr(torch, request.arithmetic.dtype)),
        )
        begin = time.process_time()
        teacher = finetuned_teacher(wanted)
        seconds = time.process_time() - begin
        score = teacher_score(teacher, folder, request.task, evaluation)
    return {
        "task": task,
        "teacher": asked.teacher,
        "train_size": len(request.train),
        "epochs": config.teacher_epochs,
        "learning_rate": config.teacher_learning_rate,
        "seed": seed,
        "metrics": {name: round(value, 4) for name, value in score["metrics"].items()},
        "majority": round(score["majority"], 4),
        "n": score["n"],
        "seconds": round(seconds, 1),
        "dtype": request.arithmetic.dtype,
    }


if __name__ == "__main__":
    main()
