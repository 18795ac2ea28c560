"""A `kdviz run` in a process of its own, watched through the files of its run folders."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
LOOK_SECONDS = 0.1
# In the order in which they count where several students do different things.
PHASES = ("teacher", "teacher_outputs", "loading", "distilling", "evaluating", "measuring cost")
OUTSIDE = "starting and ending"


class Command:
    """The command, begun; `wait` for what it took."""

    def __init__(self, runs_dir: Path, run_id: str, strategy: str, settings: list[str]):
        self.folders = [
            runs_dir / (f"{run_id}-{each}" if "," in strategy else run_id) for each in strategy.split(",")
        ]
        command = [sys.executable, "-m", "kdviz", "run", "--runs-dir", str(runs_dir), "--run-id", run_id]
        self._begin = time.perf_counter()
        self._process = psutil.Popen(
            [*command, "--strategy", strategy, *settings],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self) -> dict:
        """Seconds of the wall and of the processor, in all and by phase (what status.json tells ten times a
        second), and of the wall until every student had its first figures. SystemExit where it failed.
        """
        first, phases, last = {}, {}, (0.0, 0.0)
        while self._process.poll() is None:
            time.sleep(LOOK_SECONDS)
            now = (time.perf_counter() - self._begin, self._processor(last[1]))
            for folder in self.folders:
                if folder not in first and _has_figures(folder):
                    first[folder] = now[0]
            took = phases.setdefault(_phase(self.folders), {"wall": 0.0, "processor": 0.0})
            took["wall"] += now[0] - last[0]
            took["processor"] += now[1] - last[1]
            last = now
        if self._process.returncode:
            raise SystemExit(f"the run failed: {self._process.stderr.read()[-2000:]}")
        wall = time.perf_counter() - self._begin
        first_figures = max(first.values(), default=wall)
        return {"wall": wall, "processor": last[1], "first_figures": first_figures, "phases": phases}

    def _processor(self, before: float) -> float:
        try:
            times = self._process.cpu_times()
        except psutil.Error:  # it has just ended
            return before
        return max(before, times.user + times.system)


def num_cores() -> int:
    """The cores that this process, and so its commands, may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _has_figures(folder: Path) -> bool:
    try:
        lines = (folder / "metrics.jsonl").read_text().splitlines()[:200]
        return any(json.loads(line)["kind"] == "probe" for line in lines)
    except (OSError, ValueError):
        return False


def _phase(folders: list[Path]) -> str:
    told = []
    for folder in folders:
        try:
            told.append(json.loads((folder / "status.json").read_text()))
        except (OSError, ValueError):
            continue
    going = [status["phase"] for status in told if status["state"] == "running" and not status.get("waiting")]
    return next((phase for phase in PHASES if phase in going), OUTSIDE)
