"""Streamlit's scripts and styles, compressed once and kept.

Streamlit sends the files of its client as they lie on disk (3 MB for the first page), since compressing
them anew for every visitor costs more than it saves. Their names carry a hash of their content and they are
sent as immutable, so each is compressed when it is first asked for, by Starlette's own middleware, and its
answer is given to all who come after.
"""

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SUFFIXES = (".js", ".css")
LEVEL = 6
MINIMUM_BYTES = 1000
ANSWERED_ELSEWHERE = ("range", "if-none-match", "if-modified-since")
"""Asked for a part, or for news of a file that the browser has: Streamlit answers."""


class KeptCompressed:
    """Sends the scripts and styles of the client under it compressed to whoever accepts that; hands
    everything else on. What it keeps is bounded by the files of the client, some 7 MB.
    """

    def __init__(self, app: ASGIApp):
        self._app = app
        self._compressing = GZipMiddleware(app, minimum_size=MINIMUM_BYTES, compresslevel=LEVEL)
        self._kept: dict[str, list[Message]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _wanted(scope):
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        answer = self._kept.get(path) or await self._answer(scope, receive)
        if _is_for_good(answer):
            self._kept[path] = answer
        for message in answer:
            await send(dict(message))

    async def _answer(self, scope: Scope, receive: Receive) -> list[Message]:
        """What the client's file is answered with: its start and one body. Empty where the browser left
        before all of it was read, since nobody is there to take it.
        """
        start, body, is_whole = {}, bytearray(), False

        async def note(message: Message) -> None:
            nonlocal is_whole
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))
                is_whole = not message.get("more_body", False)

        await self._compressing(scope, receive, note)
        if not is_whole:
            return []
        named = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        start["headers"] = [*named, (b"content-length", str(len(body)).encode())]
        return [start, {"type": "http.response.body", "body": bytes(body)}]


def _wanted(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith(SUFFIXES):
        return False
    headers = Headers(scope=scope)
    accepts = "gzip" in headers.get("accept-encoding", "")
    return "/static/" in scope["path"] and accepts and not any(name in headers for name in ANSWERED_ELSEWHERE)


def _is_for_good(answer: list[Message]) -> bool:
    if not answer:
        return False
    headers = Headers(raw=answer[0]["headers"])
    return answer[0]["status"] == 200 and "immutable" in headers.get("cache-control", "")
