"""How time and memory grow with the number of examples, their length, the student's layers and the models'
width, over four sizes each; prints JSON, draws a figure.

    python benchmarks/scaling.py --source folder --data-dir GLUE --figure benchmarks/scaling.svg

Every size is measured in a process of its own (so that its peak memory is its own), for `all` with cached
outputs: an epoch of training, and the preparation before it (tokenising, the teacher's outputs). With
--memory-mb the cache's budget is small, so that larger sets are mapped from disk: memory must then stay where
it is. Layers: a student of MiniLM-L6. Widths: teachers of six layers with random weights and MiniLM's
tokenizer, heads of 32 and a middle layer of four times the width as it has. Memory counts without the pages
of files, which the system takes back whenever it needs them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

SIZES = (500, 1000, 2000, 4000)
LENGTHS = (16, 32, 64, 128)
LENGTH_EXAMPLES = 128
LAYERS = (1, 2, 3, 5)
WIDTHS = (128, 256, 384, 768)
LAYER_EXAMPLES = 320


class PeakMemory(threading.Thread):
    """Watches this process's own memory, files' pages left out, twenty times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self._over = 0, threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            line = next(
                line
                for line in Path("/proc/self/status").read_text().splitlines()
                if line.startswith("RssAnon")
            )
            self.bytes = max(self.bytes, int(line.split()[1]) * 1024)

    def end(self) -> int:
        """Stop watching; the highest in bytes."""
        self._over.set()
        self.join()
        return self.bytes


def measure(asked: argparse.Namespace) -> dict:
    """One size, in this process."""
    peak = PeakMemory()
    peak.start()
    import numpy as np
    import torch

    from kdviz.bench.loops import CLOCKS, OwnLoop, quiet
    from kdviz.config import RunConfig

    quiet()
    torch.set_num_threads(asked.threads)
    clock = CLOCKS[asked.clock]
    config = RunConfig(
        task=asked.task,
        source=asked.source,
        data_dir=asked.data_dir,
        teacher=asked.teacher,
        student_layers=asked.layers,
        train_size=asked.examples,
        eval_size=8,
        max_length=asked.length or 64,
        epochs=1,
        dtype_choice="float32",
        device_choice="cpu",
        cache_memory_mb=asked.memory_mb,
    )
    with tempfile.TemporaryDirectory(prefix="kdviz-scaling-") as scratch:
        begin = clock()
        own = OwnLoop("scaling", config, Path(scratch) / "runs", clock)
        prepared_seconds = clock() - begin
        if asked.length:
            lengthen(own, asked.length)
        own.train()
        times = [own.train() for _ in range(asked.repetitions)]
    train = own.prepared.train
    return {
        "examples": len(train),
        "mean_tokens": float(np.mean(train.lengths)),
        "epoch_seconds": sorted(times)[len(times) // 2],
        "preparation_seconds": prepared_seconds,
        "peak_bytes": peak.end(),
        "teacher_outputs": own.prepared.train_outputs.reason,
    }


def lengthen(own, length: int) -> None:
    """Replace the examples by ones of exactly `length` tokens, their own tokens repeated, with a live
    teacher.
    """
    from dataclasses import replace

    import numpy as np

    from kdviz.training.teacher_outputs import LiveOutputs

    prepared, train = own.prepared, own.prepared.train
    rows = [
        np.resize(train.tokens[begin:end], length) for begin, end in zip(train.offsets, train.offsets[1:])
    ]
    tokens = np.concatenate(rows)
    longer = replace(
        train,
        tokens=tokens,
        types=np.zeros(len(tokens), dtype=np.uint8),
        offsets=np.arange(len(rows) + 1) * length,
    )
    own.train_on(longer, LiveOutputs(prepared.teacher, "live: examples of a made length"))


def made_teacher(folder: Path, width: int) -> Path:
    """A checkpoint of that width with random weights."""
    from transformers import BertConfig, BertForSequenceClassification

    from kdviz.data.tokenizer_files import copy_tokenizer
    from kdviz.models.checkpoint import resolve

    folder.mkdir()
    copy_tokenizer(resolve("minilm-l6").folder, folder, model_type="bert", token_types=True)
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=6,
        num_attention_heads=width // 32,
        intermediate_size=4 * width,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def over_widths(asked: argparse.Namespace) -> list[dict]:
    """One measurement a width."""
    rows = []
    for width in WIDTHS:
        with tempfile.TemporaryDirectory(prefix="kdviz-width-") as scratch:
            teacher = made_teacher(Path(scratch) / "teacher", width)
            rows.append(
                {"width": width, **in_a_process(asked, examples=LAYER_EXAMPLES, teacher=str(teacher))}
            )
    return rows


def in_a_process(asked: argparse.Namespace, **changes: object) -> dict:
    options = vars(asked) | changes | {"one": True}
    command = [sys.executable, __file__]
    for name, value in options.items():
        if value is True:
            command.append("--" + name.replace("_", "-"))
        elif value is not None and value is not False and name != "figure":
            command += ["--" + name.replace("_", "-"), str(value)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def draw(result: dict, clock: str, path: Path) -> None:
    """Six panels: time and memory over examples and over width, time over length and over layers; lines
    through the first point for comparison.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 3, figsize=(11, 6.4), layout="constrained")
    panels, seconds_of = grid.flat, "seconds" if clock == "wall" else "seconds of the processor"
    examples, lengths = result["examples"], result["lengths"]
    counts = [row["examples"] for row in examples]
    panels[0].plot(
        counts, [row["epoch_seconds"] for row in examples], "o-", color="#009E73", label="an epoch"
    )
    panels[0].plot(
        counts,
        [row["preparation_seconds"] for row in examples],
        "s--",
        color="#0072B2",
        label="preparation, once",
    )
    panels[0].set(xlabel="training examples", ylabel=seconds_of, ylim=(0, None), title="Time over examples")
    panels[1].plot(
        counts,
        [row["peak_bytes"] / 2**20 for row in examples],
        "o-",
        color="#009E73",
        label="outputs in memory",
    )
    panels[1].plot(
        counts,
        [row["peak_bytes"] / 2**20 for row in result["examples_mapped"]],
        "s--",
        color="#0072B2",
        label="mapped from disk",
    )
    panels[1].set(
        xlabel="training examples", ylabel="peak memory, MiB", ylim=(0, None), title="Memory over examples"
    )
    tokens, seconds = [row["mean_tokens"] for row in lengths], [row["epoch_seconds"] for row in lengths]
    panels[2].loglog(tokens, seconds, "o-", color="#009E73", label="an epoch, live teacher")
    panels[2].loglog(
        tokens, [seconds[0] * count / tokens[0] for count in tokens], ":", color="grey", label="linear"
    )
    panels[2].loglog(
        tokens,
        [seconds[0] * (count / tokens[0]) ** 2 for count in tokens],
        "--",
        color="grey",
        label="quadratic",
    )
    panels[2].set(xlabel="tokens of an example", ylabel=seconds_of, title="Time over length")
    panels[2].set_xticks(tokens, [f"{count:.0f}" for count in tokens])
    panels[2].minorticks_off()
    depths, seconds = (
        [row["layers"] for row in result["layers"]],
        [row["epoch_seconds"] for row in result["layers"]],
    )
    panels[3].plot(depths, seconds, "o-", color="#009E73", label="an epoch")
    panels[3].set(xlabel="layers of the student", ylabel=seconds_of, ylim=(0, None), title="Time over layers")
    panels[3].set_xticks(depths)
    widths, seconds = (
        [row["width"] for row in result["widths"]],
        [row["epoch_seconds"] for row in result["widths"]],
    )
    panels[4].loglog(widths, seconds, "o-", color="#009E73", label="an epoch")
    for power, style, name in ((1, ":", "linear"), (2, "--", "quadratic")):
        line = [seconds[0] * (width / widths[0]) ** power for width in widths]
        panels[4].loglog(widths, line, style, color="grey", label=name)
    panels[4].set(xlabel="width of the models", ylabel=seconds_of, title="Time over width")
    panels[4].set_xticks(widths, [str(width) for width in widths])
    panels[4].minorticks_off()
    panels[5].plot(widths, [row["peak_bytes"] / 2**20 for row in result["widths"]], "o-", color="#009E73")
    panels[5].set(
        xlabel="width of the models", ylabel="peak memory, MiB", ylim=(0, None), title="Memory over width"
    )
    panels[5].set_xticks(widths)
    for panel in panels[:5]:
        panel.legend(frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--teacher", default="minilm-l6", help="with --one")
    parser.add_argument("--layers", type=int, default=3, help="with --one: layers of the student")
    parser.add_argument("--task", default="cola")
    parser.add_argument("--source", default="auto")
    parser.add_argument("--data-dir")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--figure", type=Path, help="file of the figure (SVG or PNG)")
    parser.add_argument("--one", action="store_true", help="measure one size in this process")
    parser.add_argument("--examples", type=int, default=0, help="with --one")
    parser.add_argument(
        "--length", type=int, default=0, help="with --one: tokens of an example (0: as they come)"
    )
    parser.add_argument(
        "--memory-mb", type=int, default=1024, help="with --one: cache's budget in memory, in MiB"
    )
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked)))
        return
    result = {
        "examples": [in_a_process(asked, examples=size) for size in SIZES],
        "examples_mapped": [in_a_process(asked, examples=size, memory_mb=1, repetitions=1) for size in SIZES],
        "lengths": [in_a_process(asked, examples=LENGTH_EXAMPLES, length=length) for length in LENGTHS],
        "layers": [
            {"layers": layers, **in_a_process(asked, examples=LAYER_EXAMPLES, layers=layers)}
            for layers in LAYERS
        ],
        "widths": over_widths(asked),
    }
    print(json.dumps(result, indent=1))
    if asked.figure:
        draw(result, asked.clock, asked.figure)


if __name__ == "__main__":
    main()
