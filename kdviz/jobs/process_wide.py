"""What a server has one of, whatever happens to its code.

Streamlit's watcher drops changed modules, and their globals with them; any viewer's "clear cache" empties
`st.cache_resource`. The queue, the room and what they know outlast both: they hang on the `sys` module, which
the interpreter makes once and nothing ever reloads.
"""

import sys
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_guard = threading.Lock()


def process_wide(name: str, make: Callable[[], T]) -> T:
    """The one object of that name in this process, made at the first call."""
    key = f"_kdviz_{name}"
    with _guard:
        if key not in sys.__dict__:
            sys.__dict__[key] = make()
        found: T = sys.__dict__[key]
        return found
