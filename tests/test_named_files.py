"""What documentation and docstrings name is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMES_NEW_FILES = ROOT / "docs/adding.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "benchmarks/README.md"]
PAGES += [path for path in sorted((ROOT / "docs").glob("*.md")) if path != NAMES_NEW_FILES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_files_that_are_there(page: Path):
    """A file that was renamed sends astray whoever begins with the page, and nothing else fails."""
    named = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|js|toml))`", page.read_text())
    places = (ROOT, ROOT / "kdviz", page.parent)
    assert not [name for name in named if not any((place / name).exists() for place in places)]


def test_docstrings_name_modules_and_names_that_are_there():
    """A docstring that sends its reader to a module which has moved is found by nobody but that reader."""
    missing = []
    for path in [*(ROOT / "kdviz").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]:
        for named in re.findall(r"`kdviz((?:\.\w+)+)`", path.read_text()):
            place, names = ROOT / "kdviz", named.strip(".").split(".")
            while names and (place / names[0]).is_dir():
                place /= names.pop(0)
            module = place / f"{names.pop(0)}.py" if names else place / "__init__.py"
            words = set(re.findall(r"\w+", module.read_text())) if module.exists() else set()
            if not words.issuperset(names) or not module.exists():
                missing.append(f"{path.relative_to(ROOT)}: kdviz{named}")
    assert not missing
