"""A loopback server that speaks as much of the hub's protocol as loading `nyu-mll/glue`, and fetching models,
need, and its ways to fail.
"""

import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40
FILES = "/datasets/nyu-mll/glue/resolve/"
TREE = "/api/datasets/nyu-mll/glue/tree/"

Tables = dict[str, dict[str, dict[str, list]]]
Models = dict[str, dict[str, bytes]]
Answer = tuple[int, bytes, dict[str, str]]


def repository(tables: Tables) -> dict[str, bytes]:
    """The dataset repository's files: a parquet file for each split of each task, and the card that names
    them.

    `tables` is {task: {split: {column: values}}}.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    files, card = {}, ["---", "configs:"]
    for task, splits in tables.items():
        card += [f"- config_name: {task}", "  data_files:"]
        for split, columns in splits.items():
            content = io.BytesIO()
            parquet.write_table(pa.table(columns), content)
            files[f"{task}/{split}-00000-of-00001.parquet"] = content.getvalue()
            card += [f"  - split: {split}", f"    path: {task}/{split}-*"]
    files["README.md"] = "\n".join([*card, "---", ""]).encode()
    return files


@contextmanager
def hub_server(
    tables: Tables,
    *,
    models: Models | None = None,
    said_sizes: dict[str, int] | None = None,
    lists_sizes: bool = True,
    seconds_a_piece: float = 0.0,
    silent_after: int | None = None,
    status: int | None = None,
    instead: dict[str, Answer] | None = None,
) -> Iterator[tuple[str, list[str]]]:
    """The endpoint's address, and the requests it got so far ("HEAD /path").

    `models` is {hub id: {file: content}}; of a file in `said_sizes` the list says that size, and without
    `lists_sizes` none, as some mirrors do. Models' files are sent in pieces of 64 KiB, each after
    `seconds_a_piece`.

    From request number `silent_after` on, the server takes requests and never answers; with `status` it
    answers that alone. `instead` is what it answers (status, body, headers) where a part of a path is asked
    for.
    """
    files, requests, ended = repository(tables), [], threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: object) -> None:
            """Nothing: tests read `requests`."""

        def do_GET(self) -> None:
            requests.append(f"{self.command} {self.path}")
            if silent_after is not None and len(requests) > silent_after:
                ended.wait()
                self.close_connection = True
            elif status is not None:
                self.answer(b"", status)
            elif own := next((own for part, own in (instead or {}).items() if part in self.path), None):
                code, body, headers = own
                self.answer(body, code, **headers)
            else:
                self.answer_path(*self.path.partition("?")[::2])

        do_HEAD = do_GET

        def answer_path(self, path: str, query: str) -> None:
            if path.startswith(FILES):
                name = path[len(FILES) :].partition("/")[2]
                if name in files:
                    return self.answer(files[name], ETag=f'"{_sha(files[name])}"', X_Repo_Commit=COMMIT)
                return self.answer(b"", 404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            if path.startswith(TREE):
                return self.answer(
                    _tree(files, path[len(TREE) :].partition("/")[2]), Content_Type="application/json"
                )
            if path.startswith("/api/models/"):
                repo = "/".join(path.split("/")[3:5])
                about, code = _about_model(repo, (models or {}).get(repo), said_sizes or {})
                if not lists_sizes:
                    about = re.sub(rb'"size": \d+, ', b"", about)
                return self.answer(about, code)
            if path.count("/") >= 5 and path.split("/")[3] == "resolve":
                return self.answer_file((models or {}).get("/".join(path.split("/")[1:3]), {}), path)
            if path.startswith("/api/datasets/nyu-mll/glue"):
                about = {
                    "id": "nyu-mll/glue",
                    "sha": COMMIT,
                    "siblings": [{"rfilename": name} for name in files],
                    "private": False,
                    "tags": [],
                }
                return self.answer(json.dumps(about).encode(), Content_Type="application/json")
            return self.answer(b"{}", 404)

        def answer_file(self, found: dict[str, bytes], path: str) -> None:
            name = "/".join(path.split("/")[5:])
            if name not in found:
                return self.answer(b"", 404, X_Error_Code="EntryNotFound", X_Repo_Commit=COMMIT)
            body = found[name]
            begin = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
            self.send_response(206 if begin else 200)
            headers = {"ETag": f'"{_sha(body)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(body) - 1}/{len(body)}"
            for key, value in {**headers, "Content-Length": str(len(body) - begin)}.items():
                self.send_header(key, value)
            self.end_headers()
            for place in range(begin, len(body) if self.command != "HEAD" else 0, 1 << 16):
                ended.wait(seconds_a_piece)
                self.wfile.write(body[place : place + (1 << 16)])
            return None

        def answer(self, body: bytes, status: int = 200, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requests
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def _about_model(repo: str, files: dict[str, bytes] | None, said_sizes: dict[str, int]) -> tuple:
    """(body, status) of what the hub says about a model."""
    if files is None:
        return json.dumps({"error": "Repository not found"}).encode(), 401
    siblings = [
        {"rfilename": name, "size": said_sizes.get(name, len(content)), "blobId": _sha(content)}
        for name, content in files.items()
    ]
    about = {"id": repo, "sha": COMMIT, "siblings": siblings, "private": False, "tags": [], "downloads": 0}
    return json.dumps(about).encode(), 200


def _sha(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def _tree(files: dict[str, bytes], folder: str) -> bytes:
    """The entries directly in a folder of the repository."""
    start, entries = folder + "/" if folder else "", {}
    for name, content in files.items():
        if name.startswith(start):
            first, slash, _ = name[len(start) :].partition("/")
            kind, sha = ("directory", "0" * 40) if slash else ("file", _sha(content))
            entries[first] = {
                "type": kind,
                "path": start + first,
                "size": 0 if slash else len(content),
                "oid": sha,
            }
    return json.dumps(list(entries.values())).encode()
