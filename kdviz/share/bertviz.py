"""BertViz's head view and model view (Vig, ACL 2019) as one self-contained page: offline, escaped, the same
text for the same input.

BertViz itself loads require.js, d3 and jQuery from another host and writes tokens unescaped into a script.
Here d3 comes from the installed package mpld3, jQuery from XStatic-jQuery, a one-line stand-in replaces
require.js, tokens travel as escaped JSON, and the page's own policy forbids every request. BertViz counts
layers and heads from what it is told to include; a blank layer 0 and head 0 make it count from 1, as kdviz
does on screen.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cache

import numpy as np

from kdviz.compat import (
    FILES,
    bertviz_body,
    bertviz_marks,
    bertviz_stand_in,
    bertviz_with_id,
    bertviz_with_tokens,
    package_file,
)
from kdviz.palette import theme

MOST_TOKENS = 64
MOST_LINES = 80_000
"""Lines (layers × heads × tokens²) up to which a model view opens in a few seconds and stays fluid."""

LONGEST_IN_HEAD_VIEW, LONGEST_IN_MODEL_VIEW = 18, 12
DIGITS = 3
HEAD_COLOURS = {
    False: "#E69F00 #56B4E9 #009E73 #0072B2 #D55E00 #CC79A7 #8A7A00 #333333 #7A5195 #00A6A6 #A6761D #666666",
    True: "#FFC34D #7CCBFF #2FD6A5 #5AA9FF #FF8A4C #F0A3CC #E8DC5A #FFFFFF #C09BE0 #4FE0E0 #E0B060 #B5B5B5",
}
"""One colour a head, by theme: no red beside green, and light enough for a dark page."""


STRONGER = (
    '<svg width="0" height="0" style="position:absolute"><filter id="stronger" x="-5%" y="-5%" width="110%" '
    'height="110%"><feComponentTransfer><feFuncA type="gamma" exponent="0.55"/></feComponentTransfer>'
    "</filter></svg>"
)
"""BertViz divides a line's strength by the number of heads shown: with twelve, the dark shows nothing."""


class TooLarge(ValueError):
    """The view would freeze the browser; the message says what would fit."""


def head_view_html(
    maps: np.ndarray,
    tokens: Sequence[str],
    *,
    layer: int = 0,
    dark: bool = False,
) -> str:
    """Head view of one layer (0-based) of one model as an HTML page. `maps` (layers, heads, query, key);
    opens with all heads.

    One layer alone: with all of six, a sentence of 64 tokens is 2 MB a model.

    Raises TooLarge above 64 tokens, ValueError when maps and tokens do not fit, ModuleNotFoundError when an
    optional package is missing.
    """
    maps = _checked(maps, tokens)
    _require()
    from bertviz import head_view

    shown = min(layer, len(maps) - 1) + 1
    page = head_view(
        attention=_tensors(maps, blank_head=False),
        tokens=bertviz_marks(len(tokens)),
        prettify_tokens=False,
        include_layers=[shown],
        layer=shown,
        html_action="return",
    )
    return _document(page.data, tokens, title="BertViz head view", longest=LONGEST_IN_HEAD_VIEW, dark=dark)


def model_view_html(
    maps: np.ndarray,
    tokens: Sequence[str],
    *,
    layers: Sequence[int] | None = None,
    matched: Sequence[int] = (),
    dark: bool = False,
) -> str:
    """Model view, all heads of all layers (or of `layers`, 0-based), layer 1 at the bottom. Raises as
    `head_view_html`.

    `matched`: the layers of this model in the order of the matched pairs, so that two matched layers wear one
    colour in both models. The others are grey.

    A long sentence in a large model is too much for a browser: `most_layers` says how many layers fit
    together.
    """
    maps = _checked(maps, tokens)
    shown = sorted(set(range(len(maps)) if layers is None else layers), reverse=True)
    lines = len(shown) * maps.shape[1] * len(tokens) ** 2
    if lines > MOST_LINES:
        raise TooLarge(
            f"expected at most {MOST_LINES:,} lines in one model view, got {len(shown)} layers × "
            f"{maps.shape[1]} heads × {len(tokens)}² tokens = {lines:,}; "
            f"show at most {most_layers(maps.shape[1], len(tokens))} layers at a time, or the head view"
        )
    _require()
    from bertviz import model_view

    num_heads = maps.shape[1]
    page = model_view(
        attention=_tensors(maps, blank_head=True),
        tokens=bertviz_marks(len(tokens)),
        prettify_tokens=False,
        display_mode="dark" if dark else "light",
        include_layers=[layer + 1 for layer in shown],
        include_heads=list(range(1, num_heads + 1)),
        html_action="return",
    )
    colours = HEAD_COLOURS[dark].split()
    by_layer = [theme(dark).muted] * (len(maps) + 1)  # BertViz counts from 1 here
    for pair, layer in enumerate(matched or range(len(maps))):
        by_layer[layer + 1] = colours[pair % len(colours)]
    return _document(
        page.data,
        tokens,
        title="BertViz model view",
        longest=LONGEST_IN_MODEL_VIEW,
        dark=dark,
        colours=by_layer,
    )


def most_layers(num_heads: int, num_tokens: int) -> int:
    """How many layers of a model view stay fluid at that many heads and tokens; at least 1."""
    return max(1, MOST_LINES // (num_heads * num_tokens**2))


def view_height(num_tokens: int, *, num_layers: int | None = None, num_heads: int = 12) -> int:
    """Pixels the frame needs: of a head view, or of a model view with `num_layers` layers."""
    if num_layers is None:
        return int(num_tokens * 22.5) + 100
    thumbnails = num_layers * (num_tokens * 7 * 12 / (num_heads + 1) + 10)
    return int(max(thumbnails + 41, num_tokens * 18 + 55)) + 40


def _checked(maps: np.ndarray, tokens: Sequence[str]) -> np.ndarray:
    maps = np.asarray(maps, dtype=np.float64)
    if len(tokens) > MOST_TOKENS:
        raise TooLarge(
            f"expected at most {MOST_TOKENS} tokens for BertViz, got {len(tokens)}; shorten the sentence, "
            "the heat maps show it in full"
        )
    if maps.ndim != 4 or maps.shape[2:] != (len(tokens), len(tokens)):
        raise ValueError(
            f"expected maps of shape (layers, heads, {len(tokens)}, {len(tokens)}) for {len(tokens)} "
            f"tokens, got {maps.shape}"
        )
    return np.round(np.nan_to_num(maps), DIGITS)


def _require() -> None:
    missing = [package for package in FILES if package_file(package) is None]
    if missing:
        raise ModuleNotFoundError(
            f"BertViz views need the optional package{'s' * (len(missing) > 1)} {', '.join(missing)}: pip "
            f"install {' '.join(missing)}"
        )


@cache
def _library(package: str) -> str:
    file = package_file(package)
    return file.read_text(encoding="utf-8").replace("</script", "<\\/script") if file else ""


def _tensors(maps: np.ndarray, *, blank_head: bool) -> list:
    """BertViz's input, (1, heads, query, key) a layer, behind a blank layer 0 and (for the model view) a
    blank head 0 in each.
    """
    import torch

    if blank_head:
        maps = np.concatenate([np.zeros_like(maps[:, :1]), maps], axis=1)
    layers = [torch.from_numpy(np.ascontiguousarray(layer))[None] for layer in maps]
    return [torch.zeros_like(layers[0]), *layers]


def _document(
    body: str,
    tokens: Sequence[str],
    *,
    title: str,
    longest: int,
    dark: bool,
    colours: Sequence[str] = (),
) -> str:
    """The finished page: own scripts in place of the remote ones, a stable id, tokens put in as escaped
    JSON.
    """
    body = bertviz_body(body)
    words = [_script_text(_short(token, longest)) for token in tokens]
    digest = hashlib.sha256((bertviz_with_id(body, "") + "\n".join(words) + str(dark)).encode()).hexdigest()[
        :32
    ]
    body = bertviz_with_tokens(bertviz_with_id(body, digest), words.__getitem__)
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
    stand_in = bertviz_stand_in(json.dumps(list(colours) or HEAD_COLOURS[dark].split()))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta '
        f'http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title>'
        f"<style>{_style(dark)}</style><script>{_library('XStatic-jQuery')}</script>"
        f"<script>{_library('mpld3')}</script><script>{stand_in}</script></head><body>{STRONGER}{body}</body>"
        "</html>"
    )


def _script_text(token: str) -> str:
    """A JSON string that cannot end a script: ASCII only, no `<`, `>` or `&`."""
    return json.dumps(token).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _short(token: str, longest: int) -> str:
    return token if len(token) <= longest else token[: longest - 1] + "…"


def _style(dark: bool) -> str:
    look = theme(dark)
    return (
        f"html,body{{margin:0;background:{look.background};color:{look.text};color-scheme:{look.name}}} "
        "body{padding:8px 8px 8px 48px;overflow:auto}"
        f"select{{background:{look.secondary};color:{look.text};border:1px solid "
        f"{look.grid};border-radius:4px;font-size:14px;padding:2px 6px}}"
        f"#vis svg{{overflow:visible;fill:{look.background}}} svg text{{fill:{look.text}}} "
        "#vis{margin-top:8px}"
        f"svg rect.background{{fill:{look.grid}}} svg rect.attn_background[fill='black'],svg "
        f"rect.attn_background[fill='white']{{fill:{look.background}}}"
        "svg rect.attn_background[fill='#222'],svg "
        f"rect.attn_background[fill='#F5F5F5']{{fill:{look.secondary}}} svg "
        f"rect.highlight{{fill:{look.grid}}} #attention{{filter:url(#stronger)}} "
        # a list of one layer is no choice: the page around the frame chooses
        "span:has(> #layer){display:none}"
    )
