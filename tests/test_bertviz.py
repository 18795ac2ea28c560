"""BertViz pages: offline, escaped, stable, and drawn in a real browser."""

import json
import re
import shutil

import numpy as np
import pytest

from kdviz.compat import FILES
from kdviz.share import bertviz as bertviz_view

pytest.importorskip("bertviz", reason="the optional package bertviz is not installed")
pytest.importorskip("mpld3", reason="the optional package mpld3 is not installed")

HOSTILE = [
    "[CLS]",
    "</script><script>alert(1)</script>",
    "<img",
    'src=x onerror="x"',
    "'",
    '"',
    "\\",
    "&amp;",
    "${x}",
    "kdviz-token-0-",
    "PYTHON_PARAMS",
    "🙂",
    "שלום",
    "\u2028",
    "[SEP]",
]


def maps(num_layers: int, num_heads: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).dirichlet(np.ones(size), (num_layers, num_heads, size))


@pytest.fixture(scope="module")
def views():
    attention = maps(3, 4, len(HOSTILE))
    return {
        (name, dark): build(attention, HOSTILE, dark=dark)
        for name, build in (("head", bertviz_view.head_view_html), ("model", bertviz_view.model_view_html))
        for dark in (False, True)
    }


def test_the_same_input_gives_the_same_page(views):
    """A fresh id on each rerun reloads the frame and throws away the heads a viewer had chosen."""
    again = bertviz_view.head_view_html(maps(3, 4, len(HOSTILE)), HOSTILE)
    assert again == views["head", False]
    other = bertviz_view.head_view_html(maps(3, 4, len(HOSTILE)), ["x", *HOSTILE[1:]])
    assert re.findall(r"bertviz-[0-9a-f]{32}", other)[0] not in again


def test_a_head_view_carries_its_own_layer_alone():
    """All layers of a long sentence are 2 MB a model, sent anew with every change of the sentence."""
    attention = maps(3, 4, len(HOSTILE))
    others = maps(3, 4, len(HOSTILE))[:, ::-1].copy()
    others[1] = attention[1]
    page = bertviz_view.head_view_html(attention, HOSTILE, layer=1)
    assert (
        page
        == bertviz_view.head_view_html(others, HOSTILE, layer=1)
        != bertviz_view.head_view_html(attention, HOSTILE, layer=2)
    )


def test_no_address_and_no_raw_token_in_the_page(views):
    """A token that ends the script runs as code in the viewer's browser; a remote script leaves the page
    blank offline.
    """
    for page in views.values():
        assert "alert(1)</script>" not in page and "<img" not in page
        assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=", page)
        assert "default-src 'none'" in page
        assert "\\u003c/script" in page


def test_matched_layers_wear_one_colour_in_both_models():
    """Two colours for one pair would say that they have nothing to do with each other."""
    attention = maps(4, 2, 3)
    teacher = bertviz_view.model_view_html(attention, ["a", "b", "c"], matched=(1, 3))
    student = bertviz_view.model_view_html(attention[:2], ["a", "b", "c"], matched=(0, 1))
    scheme = lambda page: json.loads(re.search(r"schemeCategory10 = (\[.*?\])", page)[1])
    assert scheme(teacher)[2] == scheme(student)[1] and scheme(teacher)[4] == scheme(student)[2]
    assert scheme(teacher)[1] == scheme(teacher)[3] != scheme(teacher)[2]
    assert "layers[layer] % 10" not in teacher


def test_sizes_are_refused_with_what_would_fit():
    """A long sentence would freeze the tab of everyone who opens the page."""
    with pytest.raises(bertviz_view.TooLarge, match="at most 64 tokens.*got 65"):
        bertviz_view.head_view_html(maps(1, 1, 65), ["a"] * 65)
    with pytest.raises(ValueError, match="at most .* layers at a time"):
        bertviz_view.model_view_html(maps(3, 12, 64), ["a"] * 64)
    fitting = bertviz_view.most_layers(12, 64)
    assert fitting * 12 * 64**2 <= bertviz_view.MOST_LINES
    assert bertviz_view.model_view_html(maps(3, 12, 64), ["a"] * 64, layers=range(fitting))
    with pytest.raises(ValueError, match="expected maps of shape"):
        bertviz_view.head_view_html(maps(1, 1, 4), ["a"] * 5)


def test_a_missing_package_is_named(monkeypatch):
    """Optional means that the rest of the app goes on with one clear line."""
    monkeypatch.setitem(FILES, "mpld3", ("no_such_module", "x.js"))
    with pytest.raises(ModuleNotFoundError, match="pip install mpld3"):
        bertviz_view.head_view_html(maps(1, 1, 2), ["a", "b"])


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not on the PATH")
    with playwright.sync_playwright() as context:
        opened = context.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("name", ["head", "model"])
def test_it_is_drawn_offline_in_both_themes(views, browser, tmp_path, name, dark):
    """The page's text may be right and the frame still blank: only a browser tells."""
    file = tmp_path / "view.html"
    file.write_text(views[name, dark], encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(20_000)
    seen, requests = [], []
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: (seen.append("dialog"), dialog.dismiss()))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    page.wait_for_selector("svg line", state="attached")
    if name == "model":
        page.locator("svg g rect[style*='opacity: 0']").first.click()
    texts = page.locator("svg text").all_text_contents()
    assert seen == [] and requests == [file.as_uri()]
    assert page.locator("svg line").count() >= len(HOSTILE) ** 2
    assert any(text.startswith("</script><") for text in texts) and any(
        text.startswith("kdviz-token") for text in texts
    )
    colour = page.locator("svg text").first.evaluate("node => getComputedStyle(node).fill")
    assert (sum(int(part) for part in re.findall(r"\d+", colour)[:3]) > 600) == dark
    if name == "head":  # one layer is no choice
        assert not page.locator("#layer").is_visible()
    page.close()
