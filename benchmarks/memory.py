"""Memory of a process that trains run after run, as the app's does; prints JSON.

    python benchmarks/memory.py --runs 10

Runs with different seeds share one teacher and go through the app's queue, one after the other, in this
process. Its resident size is read before the heavy imports, after them, at the end of every run, and at its
highest.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

MEBIBYTE = 1 << 20


def resident_mebibytes(field: str = "VmRSS") -> int:
    """Resident size of this process now, or the highest it was (VmHWM)."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return round(int(line.split()[1]) * 1024 / MEBIBYTE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=1)
    asked = parser.parse_args()
    result = {"before_imports_mebibytes": resident_mebibytes()}

    from kdviz.config import RunConfig
    from kdviz.jobs.lazy_imports import import_heavy
    from kdviz.jobs.queue import Queue
    from kdviz.runs.reader import Run

    import_heavy()
    result["after_imports_mebibytes"] = resident_mebibytes()
    after = []
    with tempfile.TemporaryDirectory(prefix="kdviz-memory-") as folder:
        queue = Queue(Path(folder))
        for seed in range(asked.runs):
            config = RunConfig(
                source="sample", train_size=asked.train_size, epochs=asked.epochs, teacher_epochs=1, seed=seed
            )
            run = Run(Path(folder) / queue.submit(config))
            while run.state in ("queued", "running"):
                time.sleep(0.5)
            if run.state != "finished":
                raise SystemExit(f"run {run.id} is {run.state}: {run.status.get('error')}")
            after.append(resident_mebibytes())
            print(f"run {seed + 1} of {asked.runs}: {after[-1]} MiB", file=sys.stderr, flush=True)
    print(
        json.dumps(
            result | {"after_run_mebibytes": after, "highest_mebibytes": resident_mebibytes("VmHWM")},
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
