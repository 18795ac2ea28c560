"""Distilling side by side with TextBrewer: the same models, examples, batches and machine; prints the ratios
as JSON.

    python benchmarks/against_textbrewer.py --environment DIR --create --source folder --data-dir GLUE
    … --teacher mpnet-base --student-layers 6                                      # the paper's geometry

TextBrewer 0.2.1 runs in an environment of its own (`--environment`; `--create` makes it with pip). Both sides
pass over the same examples in turn, in two processes of which one always waits; the ratios are formed within
a repetition. Everything is in float32 but `all_auto`, which is in the arithmetic that `auto` picks here.
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from safetensors.torch import save_file

from kdviz.bench.loops import CLOCKS, OwnLoop, quiet
from kdviz.config import RunConfig
from kdviz.models.export import save_model
from kdviz.training.shared import Shared

PACKAGES = ("torch==2.13.0", "transformers==5.23.0", "textbrewer==0.2.1.post1", "tensorboard", "setuptools")


def create(environment: Path) -> None:
    """Make TextBrewer's environment."""
    venv.create(environment, with_pip=True)
    subprocess.run(
        [environment / "bin" / "pip", "install", "--quiet", *PACKAGES], check=True, stdout=sys.stderr
    )


def hand_over(own: OwnLoop, folder: Path, clock: str) -> None:
    """Write models and batches for the other side: our batches, and the same examples in random order at one
    length.
    """
    prepared = own.prepared
    train, config = prepared.train, prepared.config
    save_model(own.distillation.student, prepared.checkpoint.folder, folder / "student")
    save_model(prepared.teacher, prepared.checkpoint.folder, folder / "teacher")
    shuffled = torch.randperm(len(train), generator=torch.Generator().manual_seed(0)).numpy()
    fixed = [
        shuffled[begin : begin + config.batch_size] for begin in range(0, len(shuffled), config.batch_size)
    ]
    fields = [
        field
        for field in ("input_ids", "attention_mask", "token_type_ids")  # not every family has types
        if field in inspect.signature(type(prepared.teacher).forward).parameters
    ]
    for name, order, min_length in (("same", own.order(), 0), ("fixed", fixed, config.max_length)):
        tensors = {}
        for number, positions in enumerate(order):
            batch = train.batch(positions, min_length=min_length)
            tensors |= {f"{number}.{field}": getattr(batch, field) for field in fields}
        save_file(tensors, folder / f"{name}.safetensors")
    settings = {
        "threads": torch.get_num_threads(),
        "learning_rate": config.learning_rate,
        "pairs": prepared.pairs,
        "clock": clock,
    }
    (folder / "settings.json").write_text(json.dumps(settings))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--environment", type=Path, required=True, help="folder of TextBrewer's environment")
    parser.add_argument(
        "--create", action="store_true", help="make the environment first, where it is not there"
    )
    parser.add_argument("--teacher", default="minilm-l6")
    parser.add_argument("--student-layers", type=int, default=3)
    parser.add_argument("--task", default="cola")
    parser.add_argument("--source", default="auto")
    parser.add_argument("--data-dir")
    parser.add_argument("--examples", type=int, default=320)
    parser.add_argument("--max-length", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="processor: each process's own time, for a busy machine (with --threads 1)",
    )
    asked = parser.parse_args()
    if asked.create and not (asked.environment / "bin" / "python").exists():
        create(asked.environment)
    quiet()
    torch.set_num_threads(asked.threads)
    config = RunConfig(
        task=asked.task,
        source=asked.source,
        data_dir=asked.data_dir,
        teacher=asked.teacher,
        student_layers=asked.student_layers,
        train_size=asked.examples,
        eval_size=8,
        max_length=asked.max_length,
        epochs=1,
        dtype_choice="float32",
        device_choice="cpu",
    )
    with tempfile.TemporaryDirectory(prefix="kdviz-textbrewer-") as scratch:
        folder = Path(scratch)
        ours, shared = {}, Shared()
        for name, changes in (("cached", {}), ("live", {"cache": "off"}), ("auto", {"dtype_choice": "auto"})):
            ours[f"all_{name}"] = OwnLoop(
                name,
                RunConfig.from_dict(config.to_dict() | changes),
                folder / "runs",
                CLOCKS[asked.clock],
                shared=shared,
                student_of=ours.get("all_cached"),
            )
        hand_over(ours["all_cached"], folder, asked.clock)
        worker = subprocess.Popen(
            [
                asked.environment / "bin" / "python",
                Path(__file__).with_name("against_textbrewer_worker.py"),
                folder,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sys.stderr,
            text=True,
        )
        samples = measure(ours, worker, asked.repetitions, len(ours["all_cached"].prepared.train))
    ratios = {
        f"{name}/{other}": statistics.median(
            mine / theirs for mine, theirs in zip(samples[name], samples[other])
        )
        for name in ours
        for other in ("textbrewer_same", "textbrewer_fixed")
    }
    speeds = {name: statistics.median(values) for name, values in samples.items()}
    print(
        json.dumps(
            {
                "task": asked.task,
                "teacher": asked.teacher,
                "student_layers": asked.student_layers,
                "auto": ours["all_auto"].asked["dtype"],
                "threads": asked.threads,
                "clock": asked.clock,
                "examples_per_second": speeds,
                "ratios": ratios,
                "samples": samples,
            },
            indent=1,
        )
    )


def measure(
    ours: dict[str, OwnLoop], worker: subprocess.Popen, repetitions: int, num_examples: int
) -> dict[str, list[float]]:
    """Examples/s by loop, one number a repetition, after one repetition that does not count."""

    def theirs(kind: str) -> float:
        worker.stdin.write(kind + "\n")
        worker.stdin.flush()
        return float(worker.stdout.readline())

    if worker.stdout.readline() != "ready\n":
        raise SystemExit(
            f"TextBrewer's side did not start; its environment needs {', '.join(PACKAGES)} (--create makes "
            "it)"
        )
    samples: dict[str, list[float]] = {}
    for repetition in range(repetitions + 1):
        times = {name: loop.train() for name, loop in ours.items()} | {
            f"textbrewer_{kind}": theirs(kind) for kind in ("same", "fixed")
        }
        for name, seconds in times.items() if repetition else ():
            samples.setdefault(name, []).append(num_examples / seconds)
    worker.stdin.close()
    worker.wait()
    return samples


if __name__ == "__main__":
    main()
