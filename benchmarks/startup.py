"""From the command to the first view of the stored demo, and the server's memory after it; prints JSON.

    python benchmarks/startup.py --repetitions 5

Each repetition starts the app anew with an empty runs folder and opens it in headless Chromium (Playwright
from tests/requirements.txt). `first_view_seconds` counts from the command until the first figure stands; the
memory is the server's resident size at that moment and a while later, when the heavy imports that it does in
the background are done.
"""

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
MEBIBYTE = 1 << 20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_open(port: int, patience_seconds: float = 120.0) -> None:
    give_up = time.monotonic() + patience_seconds
    while time.monotonic() < give_up:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"the app did not open port {port} in {patience_seconds:g} s")


def one_start(browser, later_seconds: float) -> dict[str, float]:
    """Start the app, see its first figure, and stop it."""
    with tempfile.TemporaryDirectory(prefix="kdviz-startup-") as runs:
        port, begin = free_port(), time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.port",
            str(port),
            "--server.headless",
            "true",
        ]
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"KDVIZ_RUNS_DIR": runs},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_open(port)
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/")
            page.locator(".js-plotly-plot").first.wait_for(timeout=120_000)
            seconds = time.perf_counter() - begin
            process = psutil.Process(server.pid)
            first = process.memory_info().rss / MEBIBYTE
            used = process.cpu_times()
            time.sleep(later_seconds)
            result = {
                "first_view_seconds": seconds,
                "server_processor_seconds": used.user + used.system,
                "first_view_mebibytes": first,
                "later_mebibytes": process.memory_info().rss / MEBIBYTE,
            }
            page.close()
            return result
        finally:
            server.terminate()
            server.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--later-seconds", type=float, default=20.0)
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        starts = [one_start(browser, asked.later_seconds) for _ in range(asked.repetitions)]
        browser.close()
    print(
        json.dumps(
            {
                "median": {name: statistics.median(start[name] for start in starts) for name in starts[0]},
                "starts": starts,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
