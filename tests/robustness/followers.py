"""Two hundred followers of one presenter: real WebSocket clients of the real server on this machine.

    python tests/robustness/followers.py --followers 200 --changes 12

Each follower opens the room's link as a phone would and waits as the page does. The presenter gives the code,
leads, and goes through the steps. Measured from the presenter's key to the moment at which each follower's
window is whole again: the median, the 95th percentile, the longest; and the server's memory before and after,
and its processor time. Prints one JSON line; exit status 1 where a window showed an
exception, or a change did not reach everybody.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from viewers import Server  # noqa: E402
from websockets.asyncio.client import connect  # noqa: E402

CODE = "followers"
LONGEST_WAIT_SECONDS = 60


class Window:
    """A browser window that keeps listening: what it shows as headings and links, and when it was whole."""

    def __init__(self, port: int, query: str):
        self._url, self._query = f"ws://127.0.0.1:{port}/_stcore/stream", query
        self.exceptions, self.received_bytes = 0, 0
        self.widgets: dict[str, tuple[str, str]] = {}
        self.whole: dict[str, float] = {}
        self._texts: list[str] = []
        self._fragments: dict[str, float] = {}
        self._hash, self._is_idle = "", asyncio.Event()

    async def open(self) -> None:
        self._socket = await connect(self._url, subprotocols=["streamlit"], max_size=None)
        self._reader = asyncio.create_task(self._read())
        await self.ask()

    async def close(self) -> None:
        self._reader.cancel()
        await self._socket.close()

    async def ask(self, *, fragment: str = "", states: tuple = ()) -> None:
        """Ask for a rerun and wait until the window is at rest."""
        message = BackMsg()
        asked = message.rerun_script
        asked.query_string, asked.page_script_hash = self._query, self._hash
        asked.fragment_id, asked.is_auto_rerun = fragment, bool(fragment)
        for widget, value in states:
            state = asked.widget_states.widgets.add(id=widget)
            if isinstance(value, bool):
                state.trigger_value = value
            else:
                state.string_value = value
        if fragment:  # the server says nothing where a rerun of the whole has taken its place
            await self._socket.send(message.SerializeToString())
            return
        self._is_idle.clear()
        await self._socket.send(message.SerializeToString())
        await asyncio.wait_for(self._is_idle.wait(), LONGEST_WAIT_SECONDS)

    async def press(self, label: str, *, key: str = "", filled: dict[str, str] | None = None) -> None:
        """Press the button of that label (or key), with these fields filled."""
        states = [(self._find(name), value) for name, value in (filled or {}).items()]
        await self.ask(states=(*states, (self._find(label, key), True)))

    def _find(self, label: str, key: str = "") -> str:
        return next(
            name
            for name, (_, shown) in self.widgets.items()
            if (name.endswith(f"-{key}") if key else shown == label)
        )

    async def follow(self, until: asyncio.Event) -> None:
        """Ask as the page's fragment does, until told to stop."""
        while not until.is_set():
            name, interval = next(iter(self._fragments.items()), ("", 0.5))
            await asyncio.sleep(interval)
            if name and self._is_idle.is_set():
                await self.ask(fragment=name)

    async def _read(self) -> None:
        async for data in self._socket:
            self.received_bytes += len(data)
            answer = ForwardMsg()
            answer.ParseFromString(data)
            self._take(answer)

    def _take(self, answer: ForwardMsg) -> None:
        kind = answer.WhichOneof("type")
        if kind == "new_session":
            self._is_idle.clear()
        elif kind == "navigation":
            self._hash = answer.navigation.page_script_hash
        elif kind == "page_info_changed":
            self._query = answer.page_info_changed.query_string
        elif kind == "auto_rerun":
            self._fragments = {answer.auto_rerun.fragment_id: answer.auto_rerun.interval}
        elif kind == "delta" and answer.delta.WhichOneof("type") == "new_element":
            element = answer.delta.new_element
            shown = element.WhichOneof("type")
            inner = getattr(element, shown) if shown else None
            self.exceptions += shown == "exception"
            if shown in ("markdown", "heading"):
                self._texts.append(inner.body)
            if hasattr(inner, "id") and inner.id:
                self.widgets[inner.id] = (shown, getattr(inner, "label", ""))
        elif kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            now = time.monotonic()
            for text in self._texts:
                self.whole.setdefault(text, now)
            self._texts = []
            self._is_idle.set()


async def measure(server: Server, asked: argparse.Namespace) -> dict:
    from kdviz.share.lecture import SHIPPED, read_lecture
    from kdviz.text import plain

    titles = [plain(step.title) for step in read_lecture(SHIPPED / "the-paper.toml").steps]
    presenter = Window(server.port, "present=the-paper&at=1")
    await presenter.open()
    await presenter.press("Unlock", filled={"Presenter's code": CODE})
    await presenter.ask()
    await presenter.press("Lead the room")
    memory_before = server.memory_mb
    windows, stop = [Window(server.port, "follow=1") for _ in range(asked.followers)], asyncio.Event()
    begin = time.monotonic()
    for start in range(0, len(windows), 10):
        await asyncio.gather(*(window.open() for window in windows[start : start + 10]))
    all_open_seconds = time.monotonic() - begin
    following = [asyncio.create_task(window.follow(stop)) for window in windows]
    delays, missed = [], 0
    begin, spent = time.monotonic(), server.cpu_seconds
    await asyncio.sleep(asked.pause_seconds)
    waiting_share = (server.cpu_seconds - spent) / (time.monotonic() - begin)
    spent = server.cpu_seconds
    for number in range(asked.changes):
        await asyncio.sleep(asked.pause_seconds)
        title, pressed = titles[1 + number], time.monotonic()
        await presenter.press("", key="kdviz.bar.next")
        end = pressed + LONGEST_WAIT_SECONDS
        while time.monotonic() < end and not all(title in window.whole for window in windows):
            await asyncio.sleep(0.02)
        delays += [window.whole[title] - pressed for window in windows if title in window.whole]
        missed += sum(title not in window.whole for window in windows)
    spent = server.cpu_seconds - spent
    stop.set()
    await asyncio.gather(*following)
    memory_after = server.memory_mb
    exceptions = presenter.exceptions + sum(window.exceptions for window in windows)
    received = sum(window.received_bytes for window in windows)
    for window in (presenter, *windows):
        await window.close()
    delays.sort()
    return {
        "followers": asked.followers,
        "changes": asked.changes,
        "all_open_seconds": round(all_open_seconds, 1),
        "change_median_seconds": round(delays[len(delays) // 2], 2) if delays else None,
        "change_p95_seconds": round(delays[int(0.95 * (len(delays) - 1))], 2) if delays else None,
        "change_longest_seconds": round(delays[-1], 2) if delays else None,
        "missed": missed,
        "cores_while_waiting": round(waiting_share, 2),
        "cpu_seconds_of_changes": round(spent, 1),
        "memory_before_mb": round(memory_before),
        "memory_after_mb": round(memory_after),
        "received_mb": round(received / 1e6, 1),
        "exceptions": exceptions,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--followers", type=int, default=200)
    parser.add_argument("--changes", type=int, default=8, help="steps the presenter goes on (at most 8)")
    parser.add_argument("--pause-seconds", type=float, default=4)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kdviz-followers-") as work:
        runs_dir = Path(work) / "runs"
        runs_dir.mkdir()
        server = Server(runs_dir, KDVIZ_PRESENTER_CODE=CODE)
        try:
            figures = asyncio.run(measure(server, asked))
        finally:
            server.end()
            server.log.close()
            print(Path(work, "server.log").read_text()[-1500:], file=sys.stderr)
    print(json.dumps(figures))
    return bool(figures["exceptions"] or figures["missed"])


if __name__ == "__main__":
    sys.exit(main())
