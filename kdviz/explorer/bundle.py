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
    "figure",
    "curves",
    "take",
    "tower",
    "explorer",
)
_IMPORT = re.compile(r'^import (\{[^}]*\}) from "\./(\w+)\.js"$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?:const|function|class) (\w+)", re.MULTILINE)


@cache
def script() -> str:
    """All modules as one script that ends with `explorer`, an object with the class `Explorer`, and `format`."""
    return "\n".join(_as_function(name) for name in MODULES)


@cache
def style() -> str:
    return (FOLDER / "explorer.css").read_text(encoding="utf-8")


def _as_function(name: str) -> str:
    source = (FOLDER / f"{name}.js").read_text(encoding="utf-8")
    exported = _EXPORT.findall(source)
    body = _IMPORT.sub(r"const \1 = module_\2", source)
    body = re.sub(r"^export ", "", body, flags=re.MULTILINE)
    return f"const module_{name} = (() => {{\n{body}\nreturn {{ {', '.join(exported)} }}\n}})()"
