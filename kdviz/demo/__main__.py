"""python -m kdviz.demo: train the stored demo's runs that are not there yet, and store each as soon as it is
finished.
"""

import argparse
import sys
import threading
from pathlib import Path

from kdviz.demo.compact import store_run
from kdviz.demo.grid import DemoRun, demo_runs
from kdviz.demo.weights import DRIFT, store_weights
from kdviz.errors import RequestError, RunFailed
from kdviz.runs.layout import RunFiles
from kdviz.runs.reader import DEMO_RUNS, Run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m kdviz.demo", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder in the GLUE release layout")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path("runs/demo"),
        help="where the full runs are trained and kept (default: %(default)s)",
    )
    parser.add_argument("--threads", type=int, default=None, help="torch threads (default: all cores)")
    parser.add_argument("--only", default="", help="only runs whose id begins with this")
    parser.add_argument(
        "--again",
        action="store_true",
        help="train also what is stored already (after raising the sizes in grid.py)",
    )
    asked = parser.parse_args()
    try:
        for wanted in demo_runs(str(asked.data_dir)):
            if wanted.id.startswith(asked.only) and (asked.again or not _is_stored(wanted)):
                _build(wanted, asked.work_dir, asked.threads)
    except RequestError as error:
        print(f"kdviz.demo: {error}", file=sys.stderr)
        return 2
    except RunFailed as error:
        print(f"kdviz.demo: {error}", file=sys.stderr)
        return 1
    return 0


def _is_stored(wanted: DemoRun) -> bool:
    """Whether all that is stored of it is there; what is written last stands for the rest."""
    folder = DEMO_RUNS / wanted.id
    return RunFiles(folder).config.exists() and (not wanted.with_weights or (folder / DRIFT).exists())


def _build(wanted: DemoRun, work_dir: Path, num_threads: int | None) -> None:
    from kdviz.jobs.create import create_run
    from kdviz.jobs.execute import execute

    folder = work_dir / wanted.id
    if not RunFiles(folder).config.exists():
        folder = create_run(wanted.config, work_dir, wanted.id)
    if Run(folder).state != "finished":
        print(f"{wanted.id}: training", flush=True)
        execute(folder, stop=threading.Event(), num_threads=num_threads)
    size = store_run(
        Run(folder),
        DEMO_RUNS / wanted.id,
        epochs_between_maps=wanted.epochs_between_maps,
        answers_at_ends=wanted.answers_at_ends,
    )
    print(f"{wanted.id}: stored, {size / 1024:.0f} KiB", flush=True)
    if wanted.with_weights:
        drift = store_weights(Run(folder), DEMO_RUNS / wanted.id)
        print(f"{wanted.id}: weights stored, {drift}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
