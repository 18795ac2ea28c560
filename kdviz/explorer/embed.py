"""The picture inside a file of its own: scripts, styles and packed sentences in one piece of HTML."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from html import escape

from kdviz.explorer.bundle import script, style
from kdviz.explorer.pack import header_of
from kdviz.palette import TEACHER_COLOUR, Theme, theme

PRIMARY = {"light": "#0072B2", "dark": "#2379B5"}


def palette() -> dict:
    """The colours that the picture draws with, in both themes."""
    themes = {name: theme(name == "dark") for name in ("light", "dark")}
    return {"teacher": TEACHER_COLOUR} | {
        name: {
            "text": look.text,
            "muted": look.muted,
            "grid": look.grid,
            "sequential": list(look.sequential),
            "diverging": list(look.diverging),
        }
        for name, look in themes.items()
    }


def head(*, follows_dark: bool = True) -> str:
    """What goes once into the file's head: styles, and the page's colours as the app has them; light ones
    only, unless the whole file follows the reader's dark theme.
    """
    light, dark = (_variables(theme(is_dark)) for is_dark in (False, True))
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}" if follows_dark else ""
    scheme = "light dark" if follows_dark else "light"
    return f"<style>:root {{ color-scheme: {scheme}; {light} }}\n{dark}\n{style()}</style>"


def _variables(look: Theme) -> str:
    """Streamlit's names for the colours of a theme: the picture asks for the same on a page and in a file."""
    return (
        f"--st-text-color: {look.text}; --st-background-color: {look.background}; "
        f"--st-secondary-background-color: {look.secondary}; --st-primary-color: {PRIMARY[look.name]}; "
        "--st-font: system-ui, sans-serif;"
    )


def embed(
    sentences: Sequence[tuple[str, Sequence[bytes]]],
    *,
    look: Mapping[str, object] | None = None,
    options: Mapping[str, object] | None = None,
) -> str:
    """HTML of one picture. `sentences`: (title, packs), the packs of one sentence being those of one or two
    runs of the same teacher. `look`: pair, head, step, mode to open with. Every text is escaped; the packs
    are deflated. Put `head()` into the file's head and `scripts()` once behind the last picture.
    """
    packs = {header_of(packed)["id"]: packed for _, each in sentences for packed in each}
    settings = {
        "palette": palette(),
        "look": dict(look or {}),
        "options": dict(options or {}),
        "sentences": [
            {"title": title, "packs": [header_of(packed)["id"] for packed in each]}
            for title, each in sentences
        ],
    }
    stored = "".join(
        f'<script type="text/plain" data-pack="{name}">{_deflated(packed)}</script>'
        for name, packed in packs.items()
    )
    choices = "".join(
        f'<option value="{number}">{escape(title)}</option>' for number, (title, _) in enumerate(sentences)
    )
    chooser = (
        f'<p class="kx"><label>Sentence <select>{choices}</select></label></p>' if len(sentences) > 1 else ""
    )
    text = json.dumps(settings).replace("<", "\\u003c")
    return (
        f'<div data-kdviz-explorer>{chooser}<div data-picture></div><script type="application/json">{text}'
        f"</script>{stored}</div>"
    )


def scripts() -> str:
    """The script that brings every picture of the file to life; once, behind the last one."""
    return f'<script type="module">{script("in_file")}</script>'


def page(sentences: Sequence[tuple[str, Sequence[bytes]]], *, title: str, **settings: object) -> str:
    """A whole file with one picture and nothing else."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>{escape(title)}</title>{head()}'
        "<style>body { margin: 1rem; background: var(--st-background-color); }</style></head><body>"
        f"{embed(sentences, **settings)}{scripts()}</body></html>\n"
    )


def _deflated(packed: bytes) -> str:
    return base64.b64encode(zlib.compress(packed, 6)).decode()
