"""Texts of others (sentences, names, reasons) made harmless for where they are shown."""

MARKDOWN = frozenset("\\`*_{}[]()#+-.!|~<>$:^&")
"""What Markdown, and Streamlit's additions to it, act upon."""


def plain(text: str) -> str:
    """`text` in one line of Markdown that shows it as it was written."""
    return "".join(f"\\{letter}" if letter in MARKDOWN else letter for letter in " ".join(text.split()))
