"""What a first visit costs: the client's scripts go compressed, and the first page imports nothing heavy."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit
from starlette.applications import Starlette
from streamlit.web.server.starlette.starlette_static_routes import create_streamlit_static_assets_routes

from kdviz.ui.frame.compressed import KeptCompressed
from kdviz.ui.frame.serving import settings

ROOT = Path(__file__).resolve().parent.parent
CLIENT = Path(streamlit.__file__).parent / "static"
SCRIPTS = sorted((CLIENT / "static" / "js").glob("*.js"), key=lambda path: path.stat().st_size)


@pytest.fixture(scope="module")
def server() -> KeptCompressed:
    """Streamlit's own route of its client's files, behind what kdviz puts before it."""
    (middleware,) = settings()["middleware"]
    return middleware.cls(Starlette(routes=create_streamlit_static_assets_routes(base_url="")))


def ask(
    server: KeptCompressed, path: str, *, leaves_at_once: bool = False, **headers: str
) -> tuple[int, dict, bytes]:
    """Status, headers and body of one request; 0 where the browser left before the answer."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items() if value
        ],
    }
    told = []

    async def receive() -> dict:
        if not leaves_at_once:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        told.append(message)

    asyncio.run(server(scope, receive, send))
    if not told:
        return 0, {}, b""
    named = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], named, b"".join(message.get("body", b"") for message in told[1:])


@pytest.mark.parametrize("place", [0.5, 0.9, 0.97])
def test_a_script_goes_compressed_and_is_the_same(server: KeptCompressed, place: float) -> None:
    """Without it the first page is 3 MB; with a fault in it no page opens at all. The second visitor gets
    what was kept for the first.
    """
    script = SCRIPTS[int(place * len(SCRIPTS))]
    for _visitor in range(2):
        status, headers, body = ask(server, f"/static/js/{script.name}", accept_encoding="gzip, br")
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert int(headers["content-length"]) == len(body) < 0.7 * script.stat().st_size
        assert "accept-encoding" in headers["vary"].lower() and "immutable" in headers["cache-control"]
        assert gzip.decompress(body) == script.read_bytes()


@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, 200), ({"accept_encoding": "br"}, 200), ({"accept_encoding": "gzip", "range": "bytes=0-99"}, 206)],
)
def test_who_does_not_take_it_gets_the_file(server: KeptCompressed, asked: dict, status: int) -> None:
    """A browser that cannot unpack, or asks for a part, would run rubbish."""
    script = SCRIPTS[-20]
    ask(server, f"/static/js/{script.name}", accept_encoding="gzip")  # kept by now
    answered, headers, body = ask(server, f"/static/js/{script.name}", **asked)
    assert answered == status and "content-encoding" not in headers
    assert body == (script.read_bytes() if status == 200 else script.read_bytes()[:100])


def test_news_of_a_kept_file_is_none(server: KeptCompressed) -> None:
    """A browser that has the file would load it again."""
    path = f"/static/js/{SCRIPTS[-20].name}"
    _, headers, _ = ask(server, path, accept_encoding="gzip")
    status, _, body = ask(server, path, accept_encoding="gzip", if_none_match=headers["etag"])
    assert (status, body) == (304, b"")


def test_a_browser_that_leaves_spoils_nothing_for_the_next(server: KeptCompressed) -> None:
    """Half a script, kept, would be every later visitor's blank page."""
    for script in SCRIPTS[-8:-2]:
        ask(server, f"/static/js/{script.name}", leaves_at_once=True, accept_encoding="gzip")
        status, _, body = ask(server, f"/static/js/{script.name}", accept_encoding="gzip")
        assert status == 200 and gzip.decompress(body) == script.read_bytes()


@pytest.mark.parametrize("path", ["/static/js/no-such-{}.js", "/static/../secrets-{}.js", "/page-{}.css"])
def test_what_is_not_a_file_is_not_kept(path: str) -> None:
    """Whoever asks for made-up names would fill the server's memory."""
    server = KeptCompressed(Starlette(routes=create_streamlit_static_assets_routes(base_url="")))
    for number in range(20):
        ask(server, path.format(number), accept_encoding="gzip")
    assert not server._kept


def test_the_first_page_imports_nothing_heavy(tmp_path: Path) -> None:
    """torch costs the first visitor 2 s, transformers 3, pandas 0.3."""
    script = f"""
import json, os, sys
from streamlit.testing.v1 import AppTest
app = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout=120).run()
assert not app.exception, app.exception
heavy = ("torch", "transformers", "pandas", "datasets", "ray")
print(json.dumps([name for name in heavy if name in sys.modules]))
sys.stdout.flush()
os._exit(0)
"""
    assert json.loads(_said_by(script, tmp_path).splitlines()[-1]) == []


def test_what_the_next_pages_need_is_imported_behind_the_first(tmp_path: Path) -> None:
    """A room of two hundred waits for the first chart of a lecture else, and its presenter too."""
    script = """
import os, sys
from kdviz.ui.frame import warm
warm.PAUSE_SECONDS = 0.0
warm.warm()
import threading
[timer] = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
timer.join()
assert {"pandas", "plotly.graph_objects", "torch"} <= set(sys.modules) and "transformers" not in sys.modules
print("done")
sys.stdout.flush()
os._exit(0)
"""
    assert "done" in _said_by(script, tmp_path)


def test_a_chart_waits_for_pandas_that_another_thread_is_importing(tmp_path: Path) -> None:
    """plotly takes what stands among the modules for the whole of pandas; the first chart after a start ended
    in its AttributeError.
    """
    (tmp_path / "pandas.py").write_text(
        "import time; time.sleep(3); Series = Index = DataFrame = Timestamp = type('Part', (), {})"
    )
    script = f"""
import sys, threading, time
from kdviz.figures.panels import Panels
sys.path.insert(0, {str(tmp_path)!r})
threading.Thread(target=__import__, args=("pandas",)).start()
while "pandas" not in sys.modules:
    time.sleep(0.01)
panels = Panels(dark=False)
panels.add({{"type": "scatter", "y": [1.0, 2.0], "customdata": [[1], [2]]}})
print(len(panels.figure(height=200).to_dict()["data"]))
"""
    assert _said_by(script, tmp_path).split() == ["1"]


def test_what_is_prepared_is_what_the_first_page_shows(tmp_path: Path) -> None:
    """Preparing another picture than the page shows would cost the server time and save the visitor none."""
    script = f"""
import os, sys
from streamlit.testing.v1 import AppTest
from kdviz.explorer import source
from kdviz.ui.frame.serving import prepare
prepare()
before = source._preset_pack.cache_info()
assert before.misses, before
app = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout=120).run()
assert not app.exception, app.exception
after = source._preset_pack.cache_info()
assert after.misses == before.misses and after.hits > before.hits, (before, after)
os._exit(0)
"""
    _said_by(script, tmp_path)


def _said_by(script: str, tmp_path: Path) -> str:
    """What a process of its own prints that runs `script`."""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=_environment(tmp_path),
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def _environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KDVIZ_")}
    return kept | {"KDVIZ_RUNS_DIR": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
