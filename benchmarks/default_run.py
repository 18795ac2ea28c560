"""Where the time of a default run goes: from nothing, and with the teacher there; prints JSON, draws it.

    python benchmarks/default_run.py --repetitions 3 --figure benchmarks/default_run.svg
    python benchmarks/default_run.py --clock processor --threads 1      # on a machine that is busy

Each repetition is `kdviz run` twice in an empty runs folder, each time in a process of its own. A phase is
what the run's status.json tells; `starting and ending` is what lies outside it. Medians over the repetitions,
by the wall or (`--clock processor`) in processor time of the run alone. `majority` is the share of the larger
class: what the teacher has to beat.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from pathlib import Path

from watched import OUTSIDE, PHASES, Command, num_cores

COLOURS = ("#0072B2", "#56B4E9", "#999999", "#009E73", "#CC79A7", "#E69F00", "#DDDDDD")
WAYS = {"nothing there": "nothing_there", "teacher there": "teacher_there"}


def one_repetition(scratch: Path, settings: list[str]) -> dict:
    """Both runs, and what teacher and student scored."""
    ran = {
        way: Command(scratch, name.replace("_", "-"), "all", settings).wait() for way, name in WAYS.items()
    }
    folder = scratch / "teacher-there"
    evals = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in evals if line["kind"] == "eval"][-1]
    labels = Counter(json.loads(line)["label"] for line in (folder / "predictions.jsonl").open())
    return ran | {
        "scores": {
            "teacher": last.get("teacher_metrics", {}),
            "student": last["metrics"],
            "majority": max(labels.values()) / labels.total(),
        }
    }


def summary(samples: list[dict], clock: str) -> dict:
    """Median seconds of both ways, in all and by phase."""
    middle = lambda values: round(statistics.median(values), 2)
    result = {}
    for way in WAYS:
        ran = [one[way] for one in samples]
        result[way] = {
            "seconds": middle([each[clock] for each in ran]),
            "first_figures_seconds": middle([each["first_figures"] for each in ran]),
            "phases": {
                phase: middle([each["phases"].get(phase, {}).get(clock, 0.0) for each in ran])
                for phase in (*PHASES, OUTSIDE)
            },
        }
    return result


def draw(result: dict, clock: str, path: Path) -> None:
    """One bar a way, its phases in the order of the legend."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panel = pyplot.subplots(figsize=(9, 2.4), layout="constrained")
    for place, way in enumerate(reversed(WAYS)):
        left = 0.0
        for colour, phase in zip(COLOURS, (*PHASES, OUTSIDE), strict=True):
            seconds = result[way]["phases"][phase]
            panel.barh(place, seconds, left=left, color=colour, label=phase if place else None, height=0.6)
            if seconds >= 2:
                panel.text(left + seconds / 2, place, f"{seconds:.0f}", ha="center", va="center", fontsize=9)
            left += seconds
        panel.text(left, place, f"  {left:.0f} s", va="center")
    panel.set_yticks(range(len(WAYS)), list(reversed(WAYS)))
    panel.set_xlabel("seconds" if clock == "wall" else "seconds of the processor")
    panel.margins(x=0.08)
    panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False, fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--figure", type=Path, help="SVG to write")
    asked, settings = parser.parse_known_args()
    samples = []
    for number in range(asked.repetitions):
        print(f"repetition {number + 1} of {asked.repetitions}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="kdviz-default-") as folder:
            samples.append(one_repetition(Path(folder), settings))
    result = summary(samples, asked.clock)
    if asked.figure:
        draw(result, asked.clock, asked.figure)
    about = {"clock": asked.clock, "settings": settings, "cores": num_cores()}
    print(json.dumps(result | {"scores": samples[-1]["scores"], **about, "samples": samples}, indent=1))


if __name__ == "__main__":
    main()
