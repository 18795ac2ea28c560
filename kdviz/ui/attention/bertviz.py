"""BertViz pages, remembered: the same maps give the same text, so that a frame keeps its state while other
things change.
"""

from hashlib import sha256
from threading import Lock

import numpy as np
from cachetools import LRUCache

from kdviz.share.bertviz import (
    MOST_TOKENS,
    TooLarge,
    head_view_html,
    model_view_html,
    most_layers,
    view_height,
)

_pages: LRUCache[str, tuple[str, int, str]] = LRUCache(maxsize=24)
_lock = Lock()


def bertviz_page(
    kind: str, maps: np.ndarray, tokens: list[str], layer: int, matched: tuple[int, ...], dark: bool
) -> tuple[str, int, str]:
    """(HTML, height in pixels, note) of the head or model view of (layers, heads, query, key) maps; no HTML
    where it would freeze a tab.
    """
    digest = sha256(np.ascontiguousarray(maps, dtype=np.float32).tobytes())
    digest.update(repr((kind, tokens, layer, matched, dark)).encode("utf-8", "replace"))
    key = digest.hexdigest()
    with _lock:
        if key not in _pages:
            _pages[key] = _page(kind, maps, tokens, layer, matched, dark)
        return _pages[key]


def _page(
    kind: str, maps: np.ndarray, tokens: list[str], layer: int, matched: tuple[int, ...], dark: bool
) -> tuple[str, int, str]:
    if len(tokens) > MOST_TOKENS:
        return (
            "",
            0,
            f"{len(tokens)} tokens would freeze this view; it shows at most {MOST_TOKENS}. The explorer "
            "shows the sentence in full.",
        )
    num_layers, num_heads = maps.shape[:2]
    try:
        if kind == "head":
            return head_view_html(maps, tokens, layer=layer, dark=dark), view_height(len(tokens)), ""
        shown = list(range(num_layers))[-most_layers(num_heads, len(tokens)) :]
        note = (
            ""
            if len(shown) == num_layers
            else f"So many words fit only with layers {shown[0] + 1} to {shown[-1] + 1}; the head view "
            "shows one matched layer at a time."
        )
        return (
            model_view_html(maps, tokens, layers=shown, matched=matched, dark=dark),
            view_height(len(tokens), num_layers=len(shown), num_heads=num_heads),
            note,
        )
    except TooLarge as error:
        return "", 0, str(error)
