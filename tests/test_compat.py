"""Canaries: one for each thing kdviz relies on that another package does not promise (`kdviz.compat`,
`kdviz.ui.frame.compat`). The name of what fails says what an upgrade broke.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import streamlit
import torch
from hub_server import hub_server
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime import Runtime, SessionClient, app_session
from streamlit.testing.v1 import AppTest
from windows import runtime_of

from kdviz import compat
from kdviz.models.build import random_classifier
from kdviz.models.families import FAMILIES
from kdviz.models.trace import Recorder
from kdviz.ui.frame import compat as screen

TOKENS = compat.bertviz_marks(4)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def small(request):
    """(family, a small model of it with random weights)."""
    family = FAMILIES[request.param]
    return family, random_classifier(family, num_layers=1, num_heads=2, width=8, vocab_size=20)


def test_transformers_layers_hand_the_recorder_to_our_attention(small):
    """transformers' layer calls: nothing would be recorded, and every map would be missing."""
    family, model = small
    hidden = torch.randn(2, 3, 8)
    recorder = Recorder(wanted=frozenset({0}), generator=None)
    out = family.run_layer(
        family.layer_list(model)[0], hidden, None, recorder, **family.shared(model, hidden)
    )
    assert torch.is_tensor(out) and out.shape == hidden.shape
    assert recorder.log_probs[0].shape == (2, 2, 3, 3)


def test_transformers_hands_our_attention_a_mask_of_padding(small):
    """transformers' mask function: without one padding is attended, and every number is a little wrong."""
    _, model = small
    ids = torch.tensor([[5, 6, 7, 8]])
    mask = torch.tensor([[1, 1, 1, 0]])
    with torch.no_grad():
        padded = model(input_ids=ids, attention_mask=mask).logits
        other = model(input_ids=torch.tensor([[5, 6, 7, 9]]), attention_mask=mask).logits
        seen = model(input_ids=ids, attention_mask=torch.ones_like(mask)).logits
    torch.testing.assert_close(padded, other)
    assert not torch.equal(padded, seen)


def test_transformers_models_are_where_families_say(small):
    """The rows of kdviz/models/families.py: a moved layer list, query or head is another model."""
    family, model = small
    assert isinstance(family.layer_list(model), torch.nn.ModuleList)
    assert family.layer_list(model)[0].get_submodule(family.query).weight.shape == (8, 8)
    assert model.get_submodule(family.output).weight.shape == (2, 8)
    assert getattr(model, family.base) is model.base_model
    settings = model.config.to_dict()
    assert all(
        name in settings for name in (family.num_layers_name, family.num_heads_name, family.inner_width_name)
    )


def test_transformers_config_has_the_keys_that_are_not_saved(small):
    """A machine's folders would stand in the config.json of every student that is given away."""
    _, model = small
    assert model.config._attn_implementation in (compat.ATTENTION, "eager")
    assert "_name_or_path" in model.config.to_dict()


def test_mpnet_computes_one_position_bias_for_a_length():
    """MPNet's bias: computed for one example and added to all, it must depend on nothing but the length."""
    model = random_classifier(FAMILIES["mpnet"], num_layers=1, num_heads=2, width=8, vocab_size=20)
    encoder = model.base_model.encoder
    bias = compat.mpnet_position_bias(encoder, torch.randn(3, 5, 8))
    assert bias.shape == (1, 2, 5, 5)
    torch.testing.assert_close(bias, compat.mpnet_position_bias(encoder, torch.zeros(1, 5, 8)))


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"XDG_CACHE_HOME": "/x/cache"},
        {"HF_HOME": "/x/hf"},
        {"HF_HOME": "/x/hf", "HF_HUB_CACHE": "~/hub", "HF_DATASETS_CACHE": "~/sets"},
        {"HUGGINGFACE_HUB_CACHE": "/x/old"},
    ],
)
def test_huggingface_caches_are_where_its_libraries_look(variables, monkeypatch):
    """What was downloaded for years would be said not to be there."""
    names = ("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_DATASETS_CACHE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    code = (
        "from datasets import config; from huggingface_hub import constants; "
        "print(config.HF_DATASETS_CACHE, constants.HF_HUB_CACHE)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == list(compat.cache_folders())


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_huggingface_hub_lays_its_cache_out_as_we_read_it(kind, tmp_path, monkeypatch):
    """Models and GLUE in the cache would be fetched again, or asked of a network that is not there."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.file_download import repo_folder_name

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    repository = compat.hub_repository(f"{kind}s", "someone/something")
    assert repository == tmp_path / repo_folder_name(repo_id="someone/something", repo_type=kind)
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123abc")
    snapshot = compat.hub_snapshot(repository, "main")
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    [found] = scan_cache_dir(tmp_path).repos
    assert found.repo_id == "someone/something" and found.repo_type == kind
    assert found.refs["main"].snapshot_path == snapshot


def test_datasets_lays_its_cache_out_as_we_read_it(tmp_path, monkeypatch):
    """A prepared GLUE would not be found without a network."""
    from datasets import load_dataset

    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "own.json").write_text('{"a": 1}\n')
    load_dataset("json", data_files=str(tmp_path / "own.json"), cache_dir=str(tmp_path / "cache"))
    prepared = [path.name for path in (tmp_path / "cache" / "json").iterdir() if path.is_dir()]
    assert len(prepared) == 1 and compat.prepared_dataset("json", prepared[0])
    assert not compat.prepared_dataset("json", "other")


def test_huggingface_hub_tells_of_every_piece_and_lets_us_look_at_requests(tmp_path):
    """Downloads would show nothing and know no limit, and a dead line would cost many minutes."""
    code = """
import json, sys
from huggingface_hub import HfApi, constants, hf_hub_download
from kdviz import compat

seen, pieces = [], []
compat.fetch_in_pieces_of(1 << 16)
compat.before_each_request(lambda request: seen.append(str(request.url)))
HfApi().model_info("someone/something")
path = hf_hub_download("someone/something", "big.bin", tqdm_class=compat.piece_counter(pieces.append))
print(json.dumps([len(seen), sum(pieces), len([one for one in pieces if one])]))
"""
    content = os.urandom(1 << 20)
    with hub_server({}, models={"someone/something": {"big.bin": content}}) as (endpoint, _):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_XET": "1"},
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    num_requests, num_bytes, num_pieces = json.loads(done.stdout)
    assert num_requests >= 2 and num_bytes == len(content) and num_pieces == 16


def test_the_fused_optimizer_divides_gradients_by_grad_scale():
    """torch's fused AdamW: gradients would not be clipped, which only shows as instability on some seeds."""
    scaled, plain = torch.nn.Parameter(torch.ones(4)), torch.nn.Parameter(torch.ones(4))
    for parameter, gradient in ((scaled, torch.arange(4.0)), (plain, torch.arange(4.0) / 8)):
        optimizer = torch.optim.AdamW([parameter], lr=0.1, eps=1.0, fused=True)
        parameter.grad = gradient
        if parameter is scaled:
            compat.divide_gradients(optimizer, torch.tensor(8.0))
        optimizer.step()
    torch.testing.assert_close(scaled, plain)


@pytest.fixture(scope="module")
def bertviz_pages():
    """BertViz's own pages, as it writes them: head view and model view of two layers behind a blank one."""
    bertviz = pytest.importorskip("bertviz", reason="the optional package bertviz is not installed")
    attention = [torch.full((1, 3, 4, 4), 0.25)] * 3
    given = {"attention": attention, "tokens": TOKENS, "prettify_tokens": False, "html_action": "return"}
    return {
        "head": bertviz.head_view(**given, include_layers=[1], layer=1).data,
        "model": bertviz.model_view(**given, include_layers=[2, 1], include_heads=[1, 2]).data,
    }


@pytest.mark.parametrize("view", ["head", "model"])
def test_bertviz_scripts_ids_and_tokens_are_found(bertviz_pages, view):
    """A script from another host leaves the page blank offline; an id that is not ours reloads the frame; a
    token that is not put in by us is not escaped.
    """
    page = bertviz_pages[view]
    assert "<script src=" in page and re.search(r"bertviz-[0-9a-f]{32}", page)
    assert all(f'"{token}"' in page for token in TOKENS)
    body = compat.bertviz_with_tokens(compat.bertviz_with_id(compat.bertviz_body(page), "0" * 32), str)
    assert "src=" not in body and "console.log" not in body and "kdviz-token" not in body
    assert set(re.findall(r"bertviz-\w{32}", body)) == {f"bertviz-{'0' * 32}"}


@pytest.mark.parametrize("view", ["head", "model"])
def test_bertviz_asks_for_the_libraries_that_the_stand_in_gives(bertviz_pages, view):
    """Another way to load them, and the view stays empty; other colours, and a head wears BertViz's."""
    page = bertviz_pages[view]
    assert re.search(r"requirejs\(\[.*?jquery.*?d3.*?\],\s*function\s*\(\$,\s*d3\)", page, re.DOTALL)
    assert "require.config(" in page and "schemeCategory10" in page


def test_bertviz_model_view_colours_a_layer_by_its_number(bertviz_pages):
    """Two matched layers would not wear one colour in both models."""
    assert "config.layers[layer] % 10" in bertviz_pages["model"]
    assert "config.layers[layer] % 10" not in compat.bertviz_body(bertviz_pages["model"])


def test_bertviz_head_view_has_the_parts_that_are_styled(bertviz_pages):
    """Black text on a dark page."""
    for name in (r"id=.?.?vis", r"id=.?.?layer", r"[\"']attention[\"']", r"[\"']background[\"']"):
        assert re.search(name, bertviz_pages["head"]), name


@pytest.mark.parametrize("package", sorted(compat.FILES))
def test_the_file_inside_the_package_is_there(package):
    """d3 in mpld3, jQuery in XStatic-jQuery: BertViz would be refused as not installed."""
    file = compat.package_file(package)
    assert file is not None and file.stat().st_size > 1000
    head = file.read_text(encoding="utf-8")[:300]
    assert {"mpld3": "d3js.org v5", "XStatic-jQuery": "jQuery", "bertviz": ""}[package] in head


@pytest.mark.parametrize("selector", screen.PARTS)
def test_streamlit_pages_have_the_part(selector):
    """Style that meets nothing: captions too pale to read, a lecture with a menu over it."""
    name = re.search(r'"(\w+)"', selector)[1]
    scripts = (Path(streamlit.__file__).parent / "static" / "static" / "js").glob("*.js")
    assert any(re.search(f'["`]{name}["`]', file.read_text(encoding="utf-8")) for file in scripts)


def _draws():
    import streamlit as st

    from kdviz.ui.frame import compat as screen

    assert screen.can_note() and screen.window_id()
    messages = screen.noted(lambda: st.write("once"))
    assert screen.holds_for_all(messages)
    assert [message.delta.new_element.markdown.body for message in messages] == ["once"]
    st.session_state["noted"] = len(messages)
    screen.send_again(messages)


def test_streamlit_messages_can_be_noted_and_sent_again():
    """Two hundred windows would each draw what one has drawn."""
    page = AppTest.from_function(_draws).run()
    assert not page.exception and page.session_state["noted"] == 1
    assert [text.value for text in page.markdown] == ["once"]


def _says_how_it_was_asked_for():
    import streamlit as st
    from streamlit.runtime.scriptrunner import get_script_run_ctx

    from kdviz.ui.frame.compat import came_by_history

    st.session_state["before"] = came_by_history()
    get_script_run_ctx().reset(is_history_navigation=True)
    st.session_state["after"] = came_by_history()


def test_streamlit_says_that_back_was_pressed():
    """Back within two seconds of a choice would be taken for a late browser, and undone."""
    page = AppTest.from_function(_says_how_it_was_asked_for).run()
    assert not page.exception and not page.session_state["before"] and page.session_state["after"]


def test_streamlit_lets_us_say_how_long_a_browser_keeps_messages():
    """An unknown setting is a line in the log; the page would stand still after quick presses of Back."""
    config.get_config_options(force_reparse=True)
    assert config.get_option("global.maxCachedMessageAge") == 30, "as .streamlit/config.toml has it"


WOKEN = """
import streamlit as st

def draws(what):
    open({drawn!r}, "a").write(what)

draws("p")
st.fragment(draws, key="part")("f")
"""


@pytest.mark.parametrize(
    ("part", "expected"), [("", "pfpf"), ("part", "pff"), ("another", "pfpf")], ids=("page", "part", "none")
)
def test_streamlit_windows_can_be_woken(part, expected, monkeypatch, tmp_path):
    """Followers would be told of the presenter's next view only when they ask, a second later; or each would
    draw its whole window, which takes a large room half as long again.
    """
    script, drawn = tmp_path / "app.py", tmp_path / "drawn"
    script.write_text(WOKEN.format(drawn=str(drawn)), encoding="utf-8")
    drawn.write_text("")
    monkeypatch.setattr(Runtime, "_instance", None)
    runtime = runtime_of(script)

    async def until(text: str) -> None:
        for _ in range(100):
            if drawn.read_text() == text:
                break
            await asyncio.sleep(0.05)

    async def one_window() -> None:
        await runtime.start()
        window = runtime.connect_session(Silent(), {})
        screen.wake([window, "nobody"])  # it has drawn nothing yet
        await until("pf")
        await asyncio.sleep(0.3)
        screen.wake([window, "nobody"], part)
        await until(expected)
        runtime.stop()
        await runtime.stopped

    asyncio.run(one_window())
    assert drawn.read_text() == expected


def test_streamlit_reads_its_theme_for_every_run(monkeypatch):
    """Of all that a window asks for while it waits, a third would be the theme, read again each time; and a
    theme changed meanwhile must not stay what it was.
    """
    reads, read = [], app_session._populate_theme_msg
    read = getattr(read, "__wrapped__", read)

    def counted(message: CustomThemeConfig, section: str = "theme") -> None:
        reads.append(section)
        read(message, section)

    monkeypatch.setattr(app_session, "_populate_theme_msg", counted)
    screen.read_the_theme_once()
    told = [CustomThemeConfig() for _ in range(3)]
    for theme in told[:2]:
        app_session._populate_theme_msg(theme)
        app_session._populate_theme_msg(theme.dark, "theme.dark")
    assert reads == ["theme", "theme.dark"]
    assert told[0] == told[1] and told[0].base_radius and told[0].dark.primary_color
    assert not told[0].primary_color, "what is said of the dark theme alone"
    config.get_config_options(force_reparse=True)
    app_session._populate_theme_msg(told[2])
    assert reads == ["theme", "theme.dark", "theme"]


class Silent(SessionClient):
    """A browser that is sent to and never answers."""

    def write_forward_msg(self, msg: object) -> None:
        pass
