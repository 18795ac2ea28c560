"""What a run and the app cost beside the steps: evaluation, files, one's own sentence, the store, memory, a
default run.
"""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from kdviz.bench.loops import OwnLoop, wait_for
from kdviz.config import RunConfig
from kdviz.errors import RunFailed
from kdviz.runs.checkpoint import save_epoch
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import Run
from kdviz.runs.store import Store
from kdviz.share.own_sentence import ask
from kdviz.training.evaluate import evaluate

SMALL_FILES = ("config.json", "status.json", "metrics.jsonl", "summary.json", "probes.json")


def seconds_of(action: Callable[[], object], repeats: int) -> float:
    """Median seconds of `action`, after one time that does not count."""
    times = []
    for _ in range(repeats + 1):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def evaluation_costs(own: OwnLoop, repeats: int) -> dict:
    """Seconds of one evaluation, of one moment of the probes, and of a checkpoint."""
    prepared, distillation = own.prepared, own.distillation
    name, encoded = next(iter(prepared.evaluations.items()))

    def evaluation() -> None:
        evaluate(
            distillation.student,
            encoded,
            prepared.evaluation_outputs[name],
            prepared.pairs,
            num_teacher_layers=prepared.num_teacher_layers,
        )
        wait_for(prepared.device)

    def checkpoint() -> None:
        save_epoch(
            distillation.checkpoints,
            999,
            model=distillation.student,
            optimizer=distillation.optimizer,
            state={},
        )

    costs = {
        "evaluation_seconds": seconds_of(evaluation, repeats),
        "evaluation_examples": len(encoded),
        "probe_moment_seconds": seconds_of(distillation.probe, repeats),
        "checkpoint_seconds": seconds_of(checkpoint, repeats),
        "checkpoint_bytes": sum(
            path.stat().st_size for path in (distillation.checkpoints / "resume_0999").iterdir()
        ),
    }
    shutil.rmtree(distillation.checkpoints / "resume_0999")
    return costs


def own_sentence_costs(own: OwnLoop, repeats: int) -> dict:
    """Milliseconds from one's own sentence to the maps and answers of both models: the first time, and from
    then on.
    """
    preset = own.prepared.task.presets[0]
    own.distillation.begin()
    begin = time.perf_counter()
    ask(Run(own.folder), preset.text_a, preset.text_b)
    first = time.perf_counter() - begin
    return {
        "first": 1000 * first,
        "next": 1000 * seconds_of(lambda: ask(Run(own.folder), preset.text_a, preset.text_b), repeats),
    }


def store_costs(example: Path, num_runs: int, scratch: Path) -> dict:
    """Seconds in which a store of `num_runs` copies of a run is listed, listed again, and read for a table of
    scores.
    """
    root = scratch / "many"
    for number in range(num_runs):
        folder = root / f"run-{number:05d}"
        folder.mkdir(parents=True)
        for name in SMALL_FILES:
            if (example / name).exists():
                shutil.copyfile(example / name, folder / name)
    store = Store(root)
    begin = time.perf_counter()
    entries = store.list()
    listed = time.perf_counter()
    store.list()
    again = time.perf_counter()
    scores = [entry.evals[-1]["metrics"] for entry in entries if isinstance(entry, Run) and entry.evals]
    read = time.perf_counter()
    shutil.rmtree(root)
    return {
        "runs": num_runs,
        "list_seconds": listed - begin,
        "list_again_seconds": again - listed,
        "scores_seconds": read - again,
        "runs_with_scores": len(scores),
    }


def process_peak_bytes() -> int:
    """The largest resident size this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def default_run_costs(config: RunConfig, scratch: Path, *, num_threads: int) -> dict:
    """Two runs with default settings from the command line: with nothing there, and with the teacher
    there.
    """
    return {
        name: timed_run(config, scratch / "default", name.replace("_", "-"), num_threads)
        for name in ("nothing_there", "teacher_there")
    }


def timed_run(config: RunConfig, runs_dir: Path, run_id: str, num_threads: int) -> dict:
    """A run from the command line in a process of its own: seconds from start to end and to the first line of
    metrics.

    Imports are counted. `peak_bytes` is the largest resident size, None where the system does not tell.
    RunFailed where the run does not end well.
    """
    command = [
        sys.executable,
        "-m",
        "kdviz",
        "run",
        "--runs-dir",
        str(runs_dir),
        "--run-id",
        run_id,
        "--threads",
        str(num_threads),
    ]
    for flag in ("task", "source", "data_dir", "teacher", "student_layers", "strategy", "train_size"):
        value = getattr(config, flag)
        command += ["--" + flag.replace("_", "-"), "none" if value is None else str(value)]
    metrics, begin, first, peak = RunFiles(runs_dir / run_id).metrics, time.perf_counter(), None, None
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while True:
        pid, status, usage = os.wait4(child.pid, os.WNOHANG)
        if first is None and metrics.exists() and metrics.stat().st_size:
            first = time.perf_counter() - begin
        peak = peak_bytes_of(child.pid) or peak
        if pid:
            break
        time.sleep(0.05)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RunFailed(
            f"the default run ended with status {child.returncode}: "
            f"{child.stderr.read().decode(errors='replace').strip().splitlines()[-1:]}"
        )
    return {
        "seconds": time.perf_counter() - begin,
        "first_numbers_seconds": first,
        "peak_bytes": peak,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
    }


def peak_bytes_of(pid: int) -> int | None:
    """The largest resident size of a process since it runs its own program. (Its resource usage would count
    the one that started it.)
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None
