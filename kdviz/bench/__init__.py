"""`python -m kdviz bench`: how fast distilling is here, as one JSON object with ratios of paired repetitions.

Every loop passes over the same examples with the same student and batch size, in one process. In a repetition
each runs once, and the next repetition begins with another one, so that a machine that is busy for a while
slows all of them; the ratios are formed within a repetition, and their median is what counts.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.machine import check_threads, cores_allowed

# ratio: (the loop looked at, the loop it is compared with); a list of stages counts with their mean.
RATIOS = {
    "all_cached/trainer": ("all_cached", "trainer"),
    "all_cached/trainer_same_batches": ("all_cached", "trainer_same_batches"),
    "all_cached/all_live": ("all_cached", "all_live"),
    "all_auto/trainer": ("all_auto", "trainer"),
    "pid_stages/all_cached": ("pid_stages", "all_cached"),
    "sid_stages/all_cached": ("sid_stages", "all_cached"),
    "hard/trainer_same_batches": ("hard", "trainer_same_batches"),
    "hard/floor": ("hard", "floor"),
    "all_cached/floor": ("all_cached", "floor"),
    "all_cached/arithmetic_limit": ("all_cached", "arithmetic_limit"),
    "floor/arithmetic_limit": ("floor", "arithmetic_limit"),
    "teacher/teacher_trainer": ("teacher", "teacher_trainer"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `kdviz bench`."""
    parser.add_argument("--task", default="cola", help="GLUE task")
    parser.add_argument(
        "--source", default="auto", help="where the examples come from: auto, folder, hub or sample"
    )
    parser.add_argument("--data-dir", help="folder in the GLUE release layout")
    parser.add_argument("--teacher", default="minilm-l6", help="teacher checkpoint")
    parser.add_argument("--student-layers", type=int, default=3, help="layers of the student")
    parser.add_argument("--batch-size", type=int, default=32, help="examples per step")
    parser.add_argument("--max-length", type=int, default=64, help="longest input in tokens")
    parser.add_argument("--examples", type=int, default=320, help="training examples of one pass")
    parser.add_argument("--eval-size", type=int, default=400, help="examples of one evaluation")
    parser.add_argument("--repetitions", type=int, default=5, help="times every loop is measured")
    parser.add_argument("--threads", type=int, help="torch threads (default: all cores)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument(
        "--dtype", default="float32", help="arithmetic of the models: float32, bfloat16 or auto"
    )
    parser.add_argument(
        "--clock",
        default="wall",
        help="wall, or processor: the time of this process alone, for a machine that is busy with other "
        "things (with --threads 1)",
    )
    parser.add_argument(
        "--store-runs", type=int, default=1000, help="runs in the store whose reading is timed"
    )
    parser.add_argument(
        "--default-run",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="also time two default runs in processes of their own",
    )


def main(asked: argparse.Namespace) -> int:
    """Run the benchmark and print its JSON object on standard output."""
    print(json.dumps(bench(asked, lambda text: print(text, file=sys.stderr, flush=True)), indent=1))
    return 0


def bench(asked: argparse.Namespace, say: Callable[[str], None]) -> dict:
    """Measure, and return what the command prints; `asked` holds the options of `add_arguments`.
    RequestError where one cannot be used.
    """
    for name in ("examples", "repetitions", "store_runs"):
        if (value := getattr(asked, name)) < 1:
            raise RequestError(f"--{name.replace('_', '-')}: expected at least 1, got {value}")
    check_threads(asked.threads, "--threads")
    if asked.clock not in ("wall", "processor"):
        raise RequestError(f"--clock: expected wall or processor, got {asked.clock[:80]!r}")
    import torch

    torch.set_num_threads(asked.threads or cores_allowed())
    config = RunConfig(
        task=asked.task,
        source=asked.source,
        data_dir=asked.data_dir,
        teacher=asked.teacher,
        student_layers=asked.student_layers,
        batch_size=asked.batch_size,
        max_length=asked.max_length,
        train_size=asked.examples,
        eval_size=asked.eval_size,
        epochs=asked.student_layers + 1,
        device_choice=asked.device,
        dtype_choice=asked.dtype,
        snapshots=1,
    )
    with tempfile.TemporaryDirectory(prefix="kdviz-bench-") as scratch:
        return _measure(config, Path(scratch), asked, say)


def _measure(config: RunConfig, scratch: Path, asked: argparse.Namespace, say: Callable[[str], None]) -> dict:
    from kdviz.bench import costs
    from kdviz.bench.loops import CLOCKS, OwnLoop, quiet
    from kdviz.training.shared import Shared

    quiet()
    say("preparing")
    shared, main_loop = Shared(), None
    own: dict[str, OwnLoop] = {}
    for name in ("all_cached", "all_live", "all_auto", "hard", "soft", "pid", "sid"):
        own[name] = OwnLoop(
            name,
            _variant(config, name),
            scratch / "runs",
            CLOCKS[asked.clock],
            shared=shared,
            student_of=main_loop,
        )
        main_loop = own["all_cached"]
    times = _student_times(own, scratch, asked.repetitions, say) | _teacher_times(
        main_loop, scratch, asked.repetitions, say
    )
    num_examples = len(main_loop.prepared.train)
    samples = {name: [num_examples / seconds for seconds in each] for name, each in times.items()}
    say("evaluation, own sentence, store")
    result = {
        **summary(samples),
        "notes": {
            "floor": "the student's own forward and backward on batches made before, nothing else",
            "arithmetic_limit": "the matrix products of the student's layers alone, forward and backward, in "
            "the same arithmetic",
            "teacher": "fine-tuning the teacher as a run does it; teacher_trainer: the same with the Trainer",
            "trainer": "transformers' Trainer with its defaults: random order, padding to the longest of a "
            "batch",
            "all_auto": "all_cached in the arithmetic that 'auto' chooses here "
            f"({own['all_auto'].asked['dtype']}: {own['all_auto'].asked['dtype_reason']}); the "
            f"others are in {main_loop.asked['dtype']}",
        },
        "evaluation": costs.evaluation_costs(main_loop, asked.repetitions),
        "own_sentence_milliseconds": costs.own_sentence_costs(main_loop, asked.repetitions),
        "store": costs.store_costs(main_loop.folder, asked.store_runs, scratch),
        "teacher_outputs": {
            "cached": main_loop.prepared.train_outputs.reason,
            "live": own["all_live"].prepared.train_outputs.reason,
        },
        "memory": {"benchmark_peak_bytes": costs.process_peak_bytes()},
    }
    if asked.default_run:
        say("two default runs")
        defaults = RunConfig(
            task=config.task,
            source=config.source,
            data_dir=config.data_dir,
            teacher=config.teacher,
            student_layers=config.student_layers,
        )
        result["default_run"] = costs.default_run_costs(defaults, scratch, num_threads=1)
        result["memory"]["default_run_peak_bytes"] = max(
            (run["peak_bytes"] for run in result["default_run"].values() if run["peak_bytes"]), default=None
        )
    return result | {
        "settings": _settings(config, main_loop) | {"clock": asked.clock, "repetitions": asked.repetitions},
        "machine": _machine(),
    }


def _student_times(own: dict, scratch: Path, repetitions: int, say: Callable[[str], None]) -> dict:
    """Seconds by loop of everything that trains a student."""
    from kdviz.bench.loops import TrainerLoop

    main_loop = own["all_cached"]
    trainer = TrainerLoop(main_loop, main_loop.distillation.student, scratch / "trainer")
    loops: dict[str, Callable[[], float]] = {
        "trainer": trainer.train,
        "trainer_same_batches": lambda: trainer.train(same_batches=True),
        "floor": main_loop.floor,
        "arithmetic_limit": main_loop.arithmetic_limit,
    }
    loops |= {name: own[name].train for name in ("hard", "soft", "all_live", "all_cached", "all_auto")}
    for name in ("pid", "sid"):
        for stage in range(own[name].num_internal_stages):
            loops[f"{name}_stages.{stage}"] = lambda loop=own[name], stage=stage: loop.train(stage)
    return _interleaved(loops, repetitions, say)


def _teacher_times(main_loop, scratch: Path, repetitions: int, say: Callable[[str], None]) -> dict:
    """Seconds of fine-tuning a teacher, ours and the Trainer's; a part of its own, because a large teacher in
    training needs the room that the Trainer's student had.
    """
    from kdviz.bench.loops import OwnTeacherLoop, TrainerLoop

    say("fine-tuning a teacher")
    trainer = TrainerLoop(main_loop, main_loop.prepared.teacher, scratch / "teacher_trainer")
    loops = {"teacher": OwnTeacherLoop(main_loop).train, "teacher_trainer": trainer.train}
    return _interleaved(loops, repetitions, say)


def _variant(config: RunConfig, name: str) -> RunConfig:
    strategy, _, cache = name.partition("_")
    changes = {
        "strategy": strategy,
        "cache": "off" if cache == "live" else "auto",
        "epochs_per_layer": 1 if strategy in ("pid", "sid") else None,
    }
    if cache == "auto":
        changes["dtype_choice"] = "auto"
    return RunConfig.from_dict(config.to_dict() | changes)


def _interleaved(
    loops: dict[str, Callable[[], float]], repetitions: int, say: Callable[[str], None]
) -> dict[str, list[float]]:
    """Seconds by loop: every loop once in a repetition, in turning order, after one repetition that does not
    count.
    """
    times: dict[str, list[float]] = {name: [] for name in loops}
    names = list(loops)
    for repetition in range(repetitions + 1):
        say(f"repetition {repetition} of {repetitions}" if repetition else "warming up")
        shift = repetition * 5 % len(names)
        for name in names[shift:] + names[:shift]:
            seconds = loops[name]()
            if repetition:
                times[name].append(seconds)
    return times


def summary(samples: dict[str, list[float]]) -> dict:
    """Medians, ratios within repetitions (median, lowest, highest), and what they come from.

    `samples` holds examples/s by loop, one number a repetition; `pid_stages.0`, `pid_stages.1`, ... are the
    stages of pid.
    """

    def group(name: str) -> list[str]:
        return [key for key in samples if key == name or key.startswith(name + ".")]

    medians = {name: statistics.median(values) for name, values in samples.items()}
    speeds = {name: medians[name] for name in samples if "." not in name}
    speeds |= {
        name: [medians[key] for key in group(name)] for name in ("pid_stages", "sid_stages") if group(name)
    }
    ratios = {}
    for name, (looked_at, compared_with) in RATIOS.items():
        if group(looked_at) and group(compared_with):
            pairs = zip(zip(*(samples[key] for key in group(looked_at))), samples[compared_with])
            values = [statistics.mean(stages) / other for stages, other in pairs]
            ratios[name] = {
                "median": statistics.median(values),
                "lowest": min(values),
                "highest": max(values),
            }
    return {"examples_per_second": speeds, "ratios": ratios, "samples": samples}


def _settings(config: RunConfig, loop) -> dict:
    train = loop.prepared.train
    return {
        "task": config.task,
        "data": loop.asked["data"]["note"],
        "teacher": config.teacher,
        "student_layers": config.student_layers,
        "batch_size": config.batch_size,
        "max_length": config.max_length,
        "examples": len(train),
        "mean_tokens": float(train.lengths.mean()),
        "device": loop.asked["device"],
        "dtype": loop.asked["dtype"],
        "threads": loop.asked["num_threads"],
    }


def _machine() -> dict:
    import torch
    import transformers

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "processor": _processor(),
        "cores": cores_allowed(),
        "gpu": gpu,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
