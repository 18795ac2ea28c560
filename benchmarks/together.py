"""Several students of one teacher trained together, against the same runs one after the other; prints JSON.

    python benchmarks/together.py --repetitions 5                       # on a machine that does nothing else
    python benchmarks/together.py --clock processor --threads 1         # on a machine that is busy

The teacher is fine-tuned once, before anything is timed. In each repetition both ways begin with an empty
runs folder but for that teacher, and take turns in going first: `together` is one command (`kdviz run
--strategy hard,soft,all,pid,sid`), `one_after_the_other` one command a strategy. Everything is counted, from
the start of a process to its end. `ratio` is formed within a repetition. `first_figures_seconds`: from the
start of the one command until every student has its first numbers in its run folder, by the wall. `phases`
says where the time of both ways goes, by what status.json tells.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from watched import Command, num_cores


def one_repetition(scratch: Path, number: int, strategies: str, settings: list[str], teachers: Path) -> dict:
    """Both ways, each in a runs folder of its own that holds the teacher."""

    def fresh(name: str) -> Path:
        runs_dir = scratch / f"{name}-{number}"
        shutil.copytree(teachers, runs_dir / "teachers", ignore=shutil.ignore_patterns("outputs"))
        return runs_dir

    def together() -> dict:
        return Command(fresh("together"), "five", strategies, settings).wait()

    def one_after_the_other() -> dict:
        runs_dir = fresh("alone")
        ran = [Command(runs_dir, each, each, settings).wait() for each in strategies.split(",")]
        phases = {name for each in ran for name in each["phases"]}
        return {name: sum(each[name] for each in ran) for name in ("wall", "processor")} | {
            "phases": {
                phase: {
                    clock: sum(each["phases"].get(phase, {}).get(clock, 0.0) for each in ran)
                    for clock in ("wall", "processor")
                }
                for phase in phases
            }
        }

    ways = [("together", together), ("one_after_the_other", one_after_the_other)]
    result = {name: run() for name, run in (ways if number % 2 == 0 else ways[::-1])}
    for name in ("together", "alone"):
        shutil.rmtree(scratch / f"{name}-{number}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--strategies", default="hard,soft,all,pid,sid")
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--threads", help="torch threads (default: the command's own choice)")
    parser.add_argument("--task", default="cola")
    parser.add_argument("--source", default="sample")
    parser.add_argument("--data-dir")
    parser.add_argument("--teacher", default="minilm-l6")
    parser.add_argument("--student-layers", default="3")
    parser.add_argument("--train-size", default="2000")
    parser.add_argument("--eval-size", default="400")
    parser.add_argument("--epochs", default="5")
    asked = parser.parse_args()
    names = ["task", "source", "teacher", "student_layers", "train_size", "eval_size", "epochs"]
    names += [name for name in ("data_dir", "threads") if getattr(asked, name)]
    settings = [f"--{name.replace('_', '-')}={getattr(asked, name)}" for name in names]
    samples = []
    with tempfile.TemporaryDirectory(prefix="kdviz-together-") as folder:
        scratch = Path(folder)
        print("the teacher", file=sys.stderr, flush=True)
        Command(scratch / "first", "first", "soft", [*settings, "--epochs=1"]).wait()
        for number in range(asked.repetitions):
            print(f"repetition {number + 1} of {asked.repetitions}", file=sys.stderr, flush=True)
            samples.append(
                one_repetition(scratch, number, asked.strategies, settings, scratch / "first" / "teachers")
            )
    print(
        json.dumps(summary(samples, asked.clock) | {"settings": vars(asked), "cores": num_cores()}, indent=1)
    )


def summary(samples: list[dict], clock: str) -> dict:
    """Medians over the repetitions, and the ratio within each."""
    ratios = [one["together"][clock] / one["one_after_the_other"][clock] for one in samples]
    middle = lambda values: round(statistics.median(values), 3)
    return {
        "ratio": {
            "median": middle(ratios),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
        },
        "first_figures_seconds": middle([one["together"]["first_figures"] for one in samples]),
        "together_seconds": middle([one["together"][clock] for one in samples]),
        "one_after_the_other_seconds": middle([one["one_after_the_other"][clock] for one in samples]),
        "phases": {
            way: {
                phase: middle([one[way]["phases"].get(phase, {}).get(clock, 0.0) for one in samples])
                for phase in samples[0][way]["phases"]
            }
            for way in ("together", "one_after_the_other")
        },
        "samples": samples,
    }


if __name__ == "__main__":
    main()
