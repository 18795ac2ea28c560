"""The one look: colours, dashes and symbols of teacher and strategies, light and dark.

Strategy colours are the Okabe-Ito set, safe for colour-blind eyes; every strategy also has its own dash and
marker, so that nothing is told by colour alone. The attention scale climbs in even steps of OKLab lightness
from the page's background, so "no attention" is the page itself in both themes. Pure data: no plotly, no
streamlit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kdviz.method.strategies import STRATEGIES

TEACHER_COLOUR = "#E69F00"


def words_of(strategy: str) -> str:
    """A strategy in words; its code where this version does not know it."""
    return STRATEGIES[strategy].title if strategy in STRATEGIES else strategy


def named(strategy: str) -> str:
    """Words first, the code second: soft labels (soft)."""
    return f"{words_of(strategy)} ({strategy})" if strategy in STRATEGIES else strategy


@dataclass(frozen=True, kw_only=True)
class Style:
    """How one run is drawn: a hex colour, a plotly dash name and a plotly marker symbol."""

    colour: str
    dash: str
    symbol: str


STRATEGY_STYLES = {
    name: Style(colour=strategy.colour, dash=strategy.dash, symbol=strategy.symbol)
    for name, strategy in STRATEGIES.items()
}

SPARE_STYLES = (
    Style(colour="#D55E00", dash="longdashdot", symbol="star"),
    Style(colour="#B8A000", dash="8px,3px,2px,3px,2px,3px", symbol="pentagon"),
    Style(colour="#8C6BB1", dash="3px,2px", symbol="hexagon"),
    Style(colour="#A65628", dash="12px,4px", symbol="cross"),
    Style(colour="#C2185B", dash="6px,2px,1px,2px", symbol="hexagram"),
)


@dataclass(frozen=True, kw_only=True)
class Theme:
    """Colours of one theme. `sequential` runs from the page's background; `diverging` is neutral at 0.5.

    `diverging` goes from the student's side (blue, negative) to the teacher's (orange, positive).
    """

    name: str
    background: str
    secondary: str
    text: str
    muted: str
    grid: str
    sequential: tuple[str, ...]
    diverging: tuple[str, ...]


LIGHT = Theme(
    name="light",
    background="#FFFFFF",
    secondary="#F5F6F8",
    text="#1B1F24",
    muted="#5A636E",
    grid="#E1E4E8",
    sequential=(
        "#FFFFFF",
        "#C1E9F0",
        "#8ACEE5",
        "#5BB1D9",
        "#4191C6",
        "#3B71A9",
        "#395382",
        "#323956",
        "#22232D",
    ),
    diverging=(
        "#014B79",
        "#006EAE",
        "#4B92CB",
        "#83B7E3",
        "#BCDCF8",
        "#FFFFFF",
        "#F4D6B8",
        "#E0AF81",
        "#CB884C",
        "#B36103",
        "#8B4501",
    ),
)

DARK = Theme(
    name="dark",
    background="#11151A",
    secondary="#1B2129",
    text="#E8EBEF",
    muted="#A3ACB8",
    grid="#2C343E",
    sequential=(
        "#11151A",
        "#1F2A46",
        "#214370",
        "#156196",
        "#0882B2",
        "#29A3C7",
        "#62C1D4",
        "#9FDCE0",
        "#DBF5F2",
    ),
    diverging=(
        "#A9D7FF",
        "#57AEF3",
        "#3E84BB",
        "#285C85",
        "#193750",
        "#11151A",
        "#472F0F",
        "#764F17",
        "#A67326",
        "#D7993A",
        "#FEC675",
    ),
)


def theme(dark: bool) -> Theme:
    """The dark theme when `dark`, else the light one."""
    return DARK if dark else LIGHT


def strategy_style(strategy: str) -> Style:
    """The style of a strategy; an unknown name gets the first spare style rather than an error, so foreign
    runs still show.
    """
    return STRATEGY_STYLES.get(strategy, SPARE_STYLES[0])


def run_styles(strategies: Sequence[str]) -> list[Style]:
    """One style per run, in order. The first run of a strategy wears the strategy's own; repeats take spare
    ones, all distinct.
    """
    taken: set[str] = set()
    spares = list(SPARE_STYLES)
    styles = []
    for strategy in strategies:
        style = STRATEGY_STYLES.get(strategy)
        if style is None or strategy in taken:
            style = spares.pop(0) if spares else SPARE_STYLES[len(styles) % len(SPARE_STYLES)]
        taken.add(strategy)
        styles.append(style)
    return styles


def colour_scale(colours: Sequence[str]) -> list[list]:
    """A plotly colour scale with the colours at even distances."""
    return [[step / (len(colours) - 1), colour] for step, colour in enumerate(colours)]


def blend(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0 to 1) of `other` mixed in, both `#RRGGBB`."""
    first, second = _rgb(colour), _rgb(other)
    return "#" + "".join(
        f"{round(a * (1 - share) + b * share):02X}" for a, b in zip(first, second, strict=True)
    )


def colour_at(colours: Sequence[str], share: float) -> str:
    """The colour of an even scale at `share` (0 to 1) of its length, as plotly draws it."""
    place = min(max(share, 0.0), 1.0) * (len(colours) - 1)
    below = min(int(place), len(colours) - 2)
    return blend(colours[below], colours[below + 1], place - below)


def contrast(colour: str, other: str) -> float:
    """Contrast ratio of two `#RRGGBB` colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((_luminance(colour), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def ink(colour: str) -> str:
    """Black or white, whichever reads better on `colour`: never less than 4.5:1."""
    return max(("#000000", "#FFFFFF"), key=lambda each: contrast(each, colour))


def transparent(colour: str, opacity: float) -> str:
    """`#RRGGBB` as an `rgba(...)` text of the given opacity (0 to 1)."""
    red, green, blue = _rgb(colour)
    return f"rgba({red},{green},{blue},{opacity:g})"


def _rgb(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[place : place + 2], 16) for place in (1, 3, 5))


def _luminance(colour: str) -> float:
    channels = [channel / 255 for channel in _rgb(colour)]
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
