"""How fast the explorer draws, by the browser's own clock: 12 pairs of layers × 12 heads × 20 moments.

The picture is the one of the page and of the report, alone in a file, with maps of random numbers: what it
costs does not depend on what they say. Nothing goes to a server for a change, on the page neither.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser
from startup import ROOT

LAYERS = HEADS = 12
MOMENTS, CHANGES, SCRUBBED_FRAMES = 20, 120, 180
PATIENCE_SECONDS = 300
TRAINING = (
    "--task cola --source sample --teacher minilm-l6 "
    "--student-layers 3 --strategy all --epochs 50 --threads 1"
)

# `drawing`: from the change to the end of drawing it. `to_frame`: to the frame that shows it, which waits for
# the screen's next one (16.7 ms apart). `first`: of a picture that has its data and nothing else yet.
MEASURE = """async ({ changes, frames }) => {
    const explorer = document.querySelector("[data-picture]").explorer, pack = explorer.packs[0]
    const next = () => new Promise(requestAnimationFrame)
    const n = pack.tokens.length, moments = pack.steps.length, heads = Math.max(1, pack.numHeads)
    const kinds = {
        layer: i => ({ pair: i % pack.pairs.length }),
        head: i => ({ head: i % heads }),
        moment: i => ({ moment: i % moments }),
        word: i => ({ focus: { query: i % n, key: (3 * i) % n } }),
        lines: i => ({ mode: i % 2 ? "lines" : "maps", focus: null }),
        filter: i => ({ hide: i % 2 === 0, mode: "maps" }),
    }
    const result = {}
    for (const [kind, change] of Object.entries(kinds)) {
        const drawing = [], toFrame = []
        for (let i = 1; i <= changes; i++) {
            await next()
            const begin = performance.now()
            explorer.set(change(i))
            explorer.render()
            drawing.push(performance.now() - begin)
            await next()
            toFrame.push(performance.now() - begin)
        }
        result[kind] = { drawing, to_frame: toFrame }
    }
    const about = document.querySelector("script[type='application/json']").textContent
    const { palette, options } = JSON.parse(about)
    const parent = document.createElement("div")
    document.body.prepend(parent)
    await next()
    const begin = performance.now()
    const another = new explorer.constructor(parent, { palette, options })
    another.show(explorer.packs)
    another.render()
    const first = { drawing: performance.now() - begin }
    await next()
    first.to_frame = performance.now() - begin
    another.destroy()
    parent.remove()
    explorer.set({ pair: 0, head: null, hide: false })
    const apart = []
    let last = await next()
    for (let i = 0; i < frames; i++) {
        explorer.set({ moment: i % moments })
        const now = await next()
        apart.push(now - last)
        last = now
    }
    return { changes: result, first, scrubbing: apart, moments, heads: pack.numHeads }
}"""
OPENED = """() => new Promise(done => {
    const look = () => {
        const explorer = document.querySelector("[data-picture]")?.explorer
        if (explorer?.drawn) done(performance.now())
        else requestAnimationFrame(look)
    }
    look()
})"""


def quantiles(milliseconds: list[float]) -> dict[str, float]:
    """Median and 95th percentile."""
    return {
        "median": round(statistics.median(milliseconds), 1),
        "p95": round(float(np.percentile(milliseconds, 95)), 1),
    }


def drawing(browser: Browser, num_tokens: int) -> dict:
    """Every kind of change at this length, in milliseconds; the first drawing; frames while scrubbing."""
    with tempfile.TemporaryDirectory(prefix="kdviz-drawing-") as folder:
        path = Path(folder, "picture.html")
        path.write_text(_picture(num_tokens), encoding="utf-8")
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        page = context.new_page()
        page.goto(f"file://{path}", wait_until="commit")
        first_ms = page.evaluate(OPENED)
        found = page.evaluate(MEASURE, {"changes": CHANGES, "frames": SCRUBBED_FRAMES})
        context.close()
    apart = found["scrubbing"]
    return {
        "moments": found["moments"],
        "heads": found["heads"],
        "file_to_first_drawing": round(first_ms),
        "data_to_first_drawing": {name: round(value, 1) for name, value in found["first"].items()},
        **{
            kind: {name: quantiles(values) for name, values in times.items()}
            for kind, times in found["changes"].items()
        },
        "scrubbing": {
            "frames_per_second": round(1000 * len(apart) / sum(apart), 1),
            "between_frames": quantiles(apart),
        },
    }


def _picture(num_tokens: int) -> str:
    from kdviz.explorer import page
    from kdviz.explorer.pack import pack

    random = np.random.default_rng(0)

    def maps() -> np.ndarray:
        values = random.gamma(0.3, size=(LAYERS, HEADS, num_tokens, num_tokens)).astype(np.float32) + 1e-6
        return values / values.sum(axis=-1, keepdims=True)

    packed = pack(
        tokens=["[CLS]", *(f"word{place}" for place in range(num_tokens - 2)), "[SEP]"],
        pairs=[(layer, layer) for layer in range(LAYERS)],
        teacher_maps=maps(),
        student_maps=[maps() for _ in range(MOMENTS)],
        steps=list(range(MOMENTS)),
        epochs=[moment / 4 for moment in range(MOMENTS)],
        about={"run": "random", "name": "random", "teacher_layers": LAYERS, "student_layers": LAYERS},
    )
    return page([("random", [packed])], title="drawing")


@contextmanager
def training() -> Iterator[None]:
    """A run trains beside it, as one started from the page does: in a process of its own, with one thread."""
    with tempfile.TemporaryDirectory(prefix="kdviz-training-") as runs:
        command = [
            sys.executable,
            "-m",
            "kdviz",
            "run",
            *TRAINING.split(),
            "--runs-dir",
            runs,
            "--run-id",
            "beside",
        ]
        run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + PATIENCE_SECONDS
            while not any(Path(runs).glob("beside/status.json")):
                if run.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the run that was to train beside it did not begin")
                time.sleep(0.5)
            time.sleep(15)  # libraries and data are read by then
            yield
        finally:
            run.terminate()
            run.wait()
