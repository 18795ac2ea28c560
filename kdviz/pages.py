"""The pages of the app: each is a script in pages/, beside the package. A new page is one new file."""

from pathlib import Path

FOLDER = Path(__file__).parents[1] / "pages"
_ORDER = ("start", "distil", "attention", "layers", "answers", "studies", "learn")
PAGES: tuple[str, ...] = tuple(dict.fromkeys((*_ORDER, *sorted(path.stem for path in FOLDER.glob("*.py")))))
"""In the order of the navigation, others by name at its end; the first is the one that opens."""
