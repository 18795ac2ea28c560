"""The files of the picture as one script: no build step, no other host.

Each file is an ES module that Node's test runner imports as it is. For the page they are joined: every module
becomes a function that returns what it exports, in the order in which they need each other.
"""

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = (
    "colour",
    "format",
    "words",
    "state",
    "dom",
    "pen",
    "lines",
    "figure",
    "curves",
    "take",
    "tower",
    "heads",
    "theme",
    "controls",
    "explorer",
)
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js"$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:const|function|class) (\w+)", re.MULTILINE)


@cache
def script(last: str) -> str:
    """All modules and then `last`: `in_page` (a component) or `in_file` (a file of its own)."""
    return "\n".join([*(_as_function(name) for name in MODULES), _linked(_read(last))])


@cache
def carrier() -> str:
    """The script of the component that brings a pack to the browser."""
    return _read("carrier")


@cache
def style() -> str:
    return (FOLDER / "explorer.css").read_text(encoding="utf-8")


def _as_function(name: str) -> str:
    source = _read(name)
    exported = _EXPORT.findall(source)
    body = re.sub(r"^export ", "", _linked(source), flags=re.MULTILINE)
    return f"const module_{name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }}\n}})()"


def _linked(source: str) -> str:
    """`source` with its imports taken from the modules before it."""
    return _IMPORT.sub(r"const \1 = module_\2", source)


def _read(name: str) -> str:
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")
