"""Texts of others (sentences, names, reasons) made harmless for where they are shown: the one place."""

import math
import re

MARKDOWN = frozenset("\\`*_{}[]()#+-.!|~<>$:^&")
"""What Markdown, and Streamlit's additions to it, act upon."""

JOINER = "\u2060"
"""A word joiner: no width, no line break. It parts what is found in a text even behind a backslash."""

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a text that begins like this for a formula."""

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
_PLACE = re.compile(
    r"""(?<![\w.:/\\<>-])(?:~|[A-Za-z]:)?(?:[/\\][^\s/\\"'<>|;,()\[\]]+)+[/\\]([^\s/\\"'<>|;,()\[\]]+)"""
)


def plain(text: str) -> str:
    """`text` in one line of Markdown that shows it as it was written: no markup, picture, link or formula. A
    byte of a file's name that is no letter is a question mark.
    """
    apart = _FOUND_LATER.sub(JOINER, " ".join(_letters(text).split()))
    return "".join(f"\\{letter}" if letter in MARKDOWN else letter for letter in apart)


def printable(text: str) -> str:
    """`text` for a terminal: what would move its cursor, clear it or turn its letters round is a question
    mark.
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def short_places(text: str) -> str:
    """`text` with the paths in it shortened to their last part: where things lie on a server is nobody's
    business who looks at its pages.
    """
    return _PLACE.sub(r"…/\1", text)


def plain_reason(text: str) -> str:
    """What went wrong, for a page that anybody may look at."""
    return plain(short_places(text))


def cell(text: str) -> str:
    """`text` for a table on a page, which its visitor can save for a spreadsheet: one that would begin a
    formula there begins with a letter without width.
    """
    return f"{JOINER}{text}" if text.startswith(FORMULA) else text


def code(text: str) -> str:
    """`text` in one line of Markdown as code; marks that would end the code are left out."""
    return f"`{' '.join(_letters(text).replace('`', '').split()) or '␣'}`"


def decimals(number: float | None, digits: int = 3, *, sign: str = "") -> str:
    """A number with a fixed count of decimals; a dash where there is none (a diverged run has gaps). `sign`
    "+" shows it before positive numbers too.
    """
    return "–" if number is None or not math.isfinite(number) else f"{number:{sign}.{digits}f}"


def times_text(ratio: float) -> str:
    """A ratio as people say it: 12.8, and 1.04 where one digit would say that there is none."""
    return f"{ratio:.1f}" if ratio >= 1.2 else f"{ratio:.2f}"


def times_between(low: float, high: float, word: str = " to ") -> str:
    """The two ends of an interval of ratios; with one digit more where they would read the same."""
    ends = times_text(low), times_text(high)
    return word.join(ends if ends[0] != ends[1] else (f"{low:.2f}", f"{high:.2f}"))


def counted(number: float | None, noun: str) -> str:
    """1 epoch, 8 epochs, 1,043 examples; a question mark for how many where that was not recorded."""
    return f"{'?' if number is None else format(number, ',.12g')} {noun}{'s' * (number != 1)}"


def _letters(text: str) -> str:
    """`text` without halves of surrogate pairs, as which Python reads the bytes of a name that is not UTF-8:
    no page can be sent them.
    """
    return text.encode("utf-8", "replace").decode()
