"""The picture inside a file of its own: scripts, styles and packed sentences in one piece of HTML."""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from html import escape

from kdviz.explorer.bundle import script, style
from kdviz.explorer.pack import header_of
from kdviz.palette import TEACHER_COLOUR, theme

_BOOT = """
for (const place of document.querySelectorAll("[data-kdviz-explorer]")) {
  const settings = JSON.parse(place.querySelector("script[type='application/json']").textContent)
  const unpacked = async element => {
    const bytes = Uint8Array.from(atob(element.textContent.trim()), letter => letter.charCodeAt(0))
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))
    return module_format.unpack(new Uint8Array(await new Response(stream).arrayBuffer()))
  }
  const stored = [...place.querySelectorAll("script[type='text/plain']")]
  const known = new Map(), packOf = id => {
    if (!known.has(id)) known.set(id, unpacked(stored.find(element => element.dataset.pack === id)))
    return known.get(id)
  }
  const explorer = new module_explorer.Explorer(place.querySelector("[data-picture]"), { palette: settings.palette, options: settings.options })
  place.querySelector("[data-picture]").explorer = explorer
  const choice = place.querySelector("select")
  const show = async look => {
    const number = Number(choice?.value ?? 0)
    const packs = await Promise.all(settings.sentences[number].packs.map(packOf))
    if (number === Number(choice?.value ?? 0)) explorer.show(packs, look)
  }
  choice?.addEventListener("change", () => show(null))
  show(settings.look)
}
"""

_VARIABLES = """
:root { --st-text-color: LIGHT_TEXT; --st-background-color: LIGHT_BACKGROUND; --st-secondary-background-color: LIGHT_SECOND;
  --st-primary-color: #0072B2; --st-font: system-ui, sans-serif; color-scheme: light dark; }
@media (prefers-color-scheme: dark) { :root { --st-text-color: DARK_TEXT; --st-background-color: DARK_BACKGROUND;
  --st-secondary-background-color: DARK_SECOND; --st-primary-color: #2B8BC8; } }
"""


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


def head() -> str:
    """What goes once into the file's head: styles, and the page's colours as the app has them."""
    variables = _VARIABLES
    for name in ("light", "dark"):
        look = theme(name == "dark")
        for part, colour in (
            ("TEXT", look.text),
            ("BACKGROUND", look.background),
            ("SECOND", look.secondary),
        ):
            variables = variables.replace(f"{name.upper()}_{part}", colour)
    return f"<style>{variables}{style()}</style>"


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
    return f'<script type="module">{script()}\n{_BOOT}</script>'


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
