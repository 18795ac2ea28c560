"""Kill a run with SIGKILL at random moments and resume it, until it ends: nothing finished is ever lost or
changed.

    python tests/robustness/kills.py --kills 200

A run of a tiny model (teacher, every stage of sid, evaluations, checkpoints) is trained unbroken once. Then
the same run is trained in child processes that are killed without warning, at moments spread over its whole
length, and resumed each time: a third of them after a random time, the others once a random part of its
metrics is written, which a busy machine does not move. After every kill the store must be readable and no
finished epoch gone; at the end every number must be the unbroken run's. Prints one JSON line of figures; exit
status 1 where anything was lost.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
os.environ["OMP_NUM_THREADS"] = "1"

from tiny import SETTINGS, make_teacher  # noqa: E402

from kdviz.config import RunConfig  # noqa: E402
from kdviz.jobs.create import create_run  # noqa: E402
from kdviz.jobs.execute import execute  # noqa: E402
from kdviz.runs.layout import RunFiles  # noqa: E402
from kdviz.runs.reader import Run  # noqa: E402
from kdviz.runs.store import Store, Unreadable  # noqa: E402

TIMES = ("seconds", "seconds_left", "started", "finished", "created", "updated")


def train_in_child(folder: Path) -> int:
    """Fork a process that trains the run in `folder`; returns its id. Forking spares the seconds of importing
    torch.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with open(folder.parent / "children.log", "a") as log:
            os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
            execute(folder, num_threads=1)
            status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait_at_most(child: int, seconds: float, path: Path | None = None, size: float = 0) -> int | None:
    """The child's exit status, None where it is still going after that time, or once the file at `path` has
    that many bytes.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end and not (path and size_of(path) >= size):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    return None


def numbers(folder: Path) -> dict:
    """Everything a run recorded that must not depend on how often it was broken."""
    run = Run(folder)
    lines = [
        strip(line) for kind in ("teacher", "train", "probe", "eval", "stage") for line in run.lines(kind)
    ]
    weights = (folder / "student" / "model.safetensors").read_bytes()
    snapshots = {path.name: path.read_bytes() for path in sorted((folder / "snapshots").iterdir())}
    return {
        "lines": lines,
        "predictions": (folder / "predictions.jsonl").read_text(),
        "weights": weights,
        "snapshots": snapshots,
    }


def strip(value: object) -> object:
    """Without what is a time and not a result."""
    if isinstance(value, dict):
        return {key: strip(item) for key, item in value.items() if key not in TIMES}
    return [strip(item) for item in value] if isinstance(value, list) else value


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def broken_run(folder: Path, kills: int, seconds: float, size: int, chance: random.Random) -> dict:
    """Train `folder` with up to `kills` kills at random moments of an unbroken run, which took `seconds` and
    wrote `size` bytes of metrics; returns what was seen.
    """
    done, epochs_seen, faults, phases, whole_seconds = 0, 0, [], {}, None
    metrics = RunFiles(folder).metrics
    while True:
        child, begin = train_in_child(folder), time.monotonic()
        left = kills - done
        if left <= 0:
            status = wait_at_most(child, 300)
        elif chance.random() < 1 / 3:
            status = wait_at_most(child, chance.uniform(0, seconds))
        else:
            status = wait_at_most(child, 300, metrics, chance.uniform(size_of(metrics), size))
        if status is not None:
            if status:
                faults.append(f"ended with {status}: {Run(folder).status.get('error')}")
            whole_seconds = None if done else time.monotonic() - begin
            break
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if left <= 0:
            faults.append("did not end within 300 s")
            break
        done += 1
        entries = Store(folder.parent).list()
        faults += [
            f"unreadable after a kill: {entry.id}: {entry.reason}"
            for entry in entries
            if isinstance(entry, Unreadable)
        ]
        run = Run(folder)
        phases[run.status.get("phase")] = phases.get(run.status.get("phase"), 0) + 1
        if run.state not in ("interrupted", "queued", "finished"):
            faults.append(f"state after a kill: {run.state}")
        epochs = [line["epoch"] for line in run.evals]
        if epochs != list(range(len(epochs))):
            faults.append(f"epochs after a kill: {epochs}")
        if len(epochs) < epochs_seen:
            faults.append(f"{epochs_seen} finished epochs before a kill, {len(epochs)} after it")
        epochs_seen = max(epochs_seen, len(epochs))
    return {"kills": done, "phases": phases, "faults": faults, "whole_seconds": whole_seconds}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kills-per-run",
        type=int,
        default=8,
        help="then the run may go on to its end, and the next one begins",
    )
    parser.add_argument(
        "--at-most-seconds", type=float, default=float("inf"), help="no further run is begun after this time"
    )
    asked = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="kdviz-kills-"))
    chance, begin, length = random.Random(asked.seed), time.monotonic(), float("inf")
    config = RunConfig(teacher=str(make_teacher(work / "tiny")), **SETTINGS)
    figures = {"kills": 0, "runs": 0, "phases": {}, "faults": []}
    try:
        whole = create_run(config, work / "unbroken", "run")
        started = time.monotonic()
        if wait_at_most(train_in_child(whole), 600) != 0:
            print((work / "unbroken" / "children.log").read_text()[-2000:], file=sys.stderr)
            return 1
        figures["unbroken_seconds"] = round(time.monotonic() - started, 2)
        expected, size = numbers(whole), size_of(RunFiles(whole).metrics)
        while figures["kills"] < asked.kills and time.monotonic() - begin < asked.at_most_seconds:
            runs_dir = work / f"broken-{figures['runs']}"
            folder = create_run(config, runs_dir, "run")
            length = min(length, figures["unbroken_seconds"])
            seen = broken_run(
                folder, min(asked.kills_per_run, asked.kills - figures["kills"]), length, size, chance
            )
            length = min(
                length, seen["whole_seconds"] or length
            )  # a machine that was busy at first would miss most runs later
            got = numbers(folder)
            seen["faults"] += [
                f"run {figures['runs']}: {what} differ from the unbroken run's"
                for what in expected
                if got[what] != expected[what]
            ]
            figures["kills"] += seen["kills"]
            figures["runs"] += 1
            figures["faults"] += seen["faults"]
            for phase, count in seen["phases"].items():
                figures["phases"][str(phase)] = figures["phases"].get(str(phase), 0) + count
            if not seen["faults"]:
                shutil.rmtree(runs_dir)
    finally:
        if not figures["faults"]:
            shutil.rmtree(work, ignore_errors=True)
    print(json.dumps({**figures, "seconds": round(time.monotonic() - begin, 1)}))
    return bool(figures["faults"])


if __name__ == "__main__":
    sys.exit(main())
