"""The README's moving picture, made from the real app: docs/first-screen.gif.

    python docs/moving_picture.py

Opens the first screen over the stored demo in headless Chromium (Playwright from tests/requirements.txt) and
takes one frame for each stored moment of training; the last one stays for a while.
"""

import io
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
from kdviz.method.strategies import STRATEGIES  # noqa: E402
from kdviz.palette import TEACHER_COLOUR  # noqa: E402
from pages import served  # noqa: E402  (the benchmarks are scripts, not a package)

TARGET = ROOT / "docs" / "first-screen.gif"
WIDTH, HEIGHT = 1280, 720
SHOWN_WIDTH, COLOURS, SWATCH_HEIGHT = 960, 128, 40
FRAME_MS, LAST_MS = 350, 3000
EXPLORER = (
    "[...document.querySelectorAll('[data-testid=\"stBidiComponentIsolated\"]')].map(each => each.explorer)"
    ".find(Boolean)"
)


def frames(page: Page) -> list[Image.Image]:
    """One picture of the window for each moment of the explorer on it."""
    page.wait_for_function(f"({EXPLORER})?.packs.length")
    page.wait_for_timeout(1000)  # letters and maps settle
    count = page.evaluate(f"({EXPLORER}).packs[0].steps.length")
    found = []
    for moment in range(count):
        page.evaluate(f"moment => ({EXPLORER}).set({{ moment }})", moment)
        page.wait_for_timeout(150)
        picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        found.append(picture.resize((SHOWN_WIDTH, SHOWN_WIDTH * HEIGHT // WIDTH), Image.Resampling.LANCZOS))
    return found


def with_swatches(picture: Image.Image) -> Image.Image:
    """The picture that the palette of all frames is chosen by: colours that changed from frame to frame would
    flicker. The colours of teacher and strategies are a few points of it, and would be lost.
    """
    colours = [TEACHER_COLOUR, *(strategy.colour for strategy in STRATEGIES.values())]
    height = SWATCH_HEIGHT * len(colours)
    wanted = Image.new("RGB", (picture.width, picture.height + height))
    wanted.paste(picture)
    for place, colour in enumerate(colours):
        top = picture.height + place * SWATCH_HEIGHT
        wanted.paste(colour, (0, top, picture.width, top + SWATCH_HEIGHT))
    return wanted


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="kdviz-picture-") as runs,
        sync_playwright() as playwright,
        served(ROOT, runs) as (url, _),
    ):
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, reduced_motion="reduce")
        page.goto(url)
        pictures = frames(page)
        browser.close()
    palette = with_swatches(pictures[-1]).quantize(COLOURS)
    first, *rest = (picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures)
    durations = [FRAME_MS] * len(rest) + [LAST_MS]
    first.save(TARGET, save_all=True, append_images=rest, duration=durations, loop=0, optimize=True)
    print(f"{TARGET}: {len(pictures)} frames, {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
