"""Texts of others (sentences, names, reasons) made harmless for where they are shown: the one place."""

import re

MARKDOWN = frozenset("\\`*_{}[]()#+-.!|~<>$:^&")
"""What Markdown, and Streamlit's additions to it, act upon."""

JOINER = "\u2060"
"""A word joiner: no width, no line break. It parts what is found in a text even behind a backslash."""

_FOUND_LATER = re.compile(
    r"""
      (?<=:)(?=[\w+/\\-]+:)      # :material/home: and :smile: become pictures, :streamlit: a logo
    | (?<=[a-z]:)(?=//)          # http://… becomes a link
    | (?<=www)(?=\.)             # www.… too
    | (?<=@)(?=\w)               # and a@b.c a link to write a mail
    | (?<=[-<>~=])(?=[-=>])      # -> becomes an arrow, -- a dash, <= a sign
    """,
    re.VERBOSE | re.IGNORECASE,
)


def plain(text: str) -> str:
    """`text` in one line of Markdown that shows it as it was written: no markup, picture, link or formula."""
    apart = _FOUND_LATER.sub(JOINER, " ".join(text.split()))
    return "".join(f"\\{letter}" if letter in MARKDOWN else letter for letter in apart)


def code(text: str) -> str:
    """`text` in one line of Markdown as code; marks that would end the code are left out."""
    return f"`{' '.join(text.replace('`', '').split()) or '␣'}`"
