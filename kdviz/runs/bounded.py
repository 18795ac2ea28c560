"""Reading files that anybody may have put there: ordinary files alone, and never more than is allowed.

A run folder may hold a pipe that blocks for ever, a device without an end, a few kilobytes that unpack to
gigabytes, or JSON nested so deep that it breaks the parser. Each is a ValueError with its reason here.
"""

import json
import lzma
import os
import zlib
from pathlib import Path
from typing import BinaryIO

from kdviz.files import MEBIBYTE, is_regular, open_regular

DEEPEST_JSON = 24
LZMA_MEMORY_BYTES = 128 * MEBIBYTE
ENDINGS = (".gz", ".xz")
"""A file may be stored compressed, under its name and one of these."""


def read_bytes(path: Path, limit_bytes: int) -> bytes:
    """The content of an ordinary file; ValueError where it is larger than allowed."""
    with open_regular(path) as file:
        content = file.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        raise ValueError(f"at most {limit_bytes // MEBIBYTE} MiB were expected, got more")
    return content


def read_json(path: Path, limit_bytes: int = MEBIBYTE) -> object:
    """The JSON value in an ordinary file (UTF-8), nested at most DEEPEST_JSON deep. OSError or ValueError."""
    return parse_json(read_bytes(path, limit_bytes))


def parse_json(content: bytes) -> object:
    """The JSON value in `content`; ValueError where it is none. NaN and infinity, which JSON does not have,
    become None, and halves of a surrogate pair, which no file or screen can hold, a question mark.
    """
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, parse_constant=lambda name: None)
    except RecursionError:
        raise ValueError(f"JSON nested at most {DEEPEST_JSON} deep was expected") from None
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST_JSON:
            raise ValueError(f"JSON nested at most {DEEPEST_JSON} deep was expected")
        level = [
            item
            for container in level
            if isinstance(container, (dict, list)) and container
            for item in (container.values() if isinstance(container, dict) else container)
            if isinstance(item, (dict, list))
        ]
    if "\\ud" in text or "\\uD" in text:
        value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    return value


def compressed_form(path: Path) -> Path | None:
    """Where `path` is stored compressed; None where it is not."""
    found = (path.with_name(path.name + ending) for ending in ENDINGS)
    return next((candidate for candidate in found if is_regular(candidate)), None)


def inflate_safetensors(path: Path, limit_bytes: int) -> bytes:
    """The safetensors file that a `.gz` or `.xz` file holds. ValueError where it is none, or too large.

    Its own header says how long it is, so no more than that is ever unpacked: a small file of zeros is
    refused after its first bytes.
    """
    unpacker = lzma.LZMADecompressor(memlimit=LZMA_MEMORY_BYTES) if path.suffix == ".xz" else _Gzip()
    content, wanted = bytearray(), 8
    with open_regular(path) as file:
        while len(content) < wanted:
            try:
                piece = unpacker.decompress(
                    file.read(1 << 16) if unpacker.needs_input else b"", wanted - len(content)
                )
            except (lzma.LZMAError, zlib.error, EOFError, MemoryError) as error:
                raise ValueError(f"it cannot be unpacked: {error}") from None
            content += piece
            if not piece and (unpacker.eof or (unpacker.needs_input and _is_at_end(file))):
                raise ValueError("it ends too early")
            if len(content) == wanted:
                wanted = _length(content, limit_bytes)
    return bytes(content)


def _length(content: bytearray, limit_bytes: int) -> int:
    """How long the safetensors file is that begins so: up to its header, then up to its end."""
    header_bytes = int.from_bytes(content[:8], "little")
    if not 2 <= header_bytes <= MEBIBYTE:
        raise ValueError("it holds no arrays")
    if len(content) == 8:
        return 8 + header_bytes
    header = parse_json(bytes(content[8 : 8 + header_bytes]))
    if not isinstance(header, dict):
        raise ValueError("it holds no arrays")
    ends = [0]
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not isinstance(offsets, list) or not all(type(end) is int and end >= 0 for end in offsets):
            raise ValueError("its header is damaged")
        ends += offsets
    if max(ends) > limit_bytes:
        raise ValueError(f"at most {limit_bytes // MEBIBYTE} MiB of arrays were expected, got more")
    return 8 + header_bytes + max(ends)


def _is_at_end(file: BinaryIO) -> bool:
    more = file.read(1)
    if more:
        file.seek(-1, os.SEEK_CUR)
    return not more


class _Gzip:
    """zlib's decompressor with the interface of lzma's: it keeps what the length did not let through."""

    def __init__(self):
        self._zlib, self._rest = zlib.decompressobj(wbits=31), b""

    @property
    def needs_input(self) -> bool:
        return not self._rest

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._zlib.decompress(self._rest + data, max_length)
        self._rest = self._zlib.unconsumed_tail
        return found
