"""What kdviz relies on of other packages that they do not promise: all of it here, each with a canary in
tests/test_compat.py that fails by name when an upgrade breaks it. (What belongs to Streamlit is in
`kdviz.ui.frame.compat`, since nothing else may import it.)

transformers   an attention function of our own, and the mask it is given; layers that hand an unknown
               argument down to it; the insides of MPNet's layers; building a model from a config; keys of
               config.json
huggingface    where the caches of the hub and of datasets are, and how they are laid out; the size of the
               pieces that are fetched, who is told of them, and a look at every request before it is sent
torch          AdamW's fused kernel divides gradients by `optimizer.grad_scale`
BertViz        the page it writes: scripts, ids, layers, colours
mpld3, XStatic the files of d3 and jQuery inside them
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

# transformers

ATTENTION = "kdviz"
"""The name under which transformers knows our attention."""
RECORDER = "kdviz_recorder"
"""The argument that a layer hands down to it unread."""
HOW_IT_RUNS = {
    "_attn_implementation": "eager",
    "chunk_size_feed_forward": 0,
    "return_dict": True,
    "output_attentions": False,
    "output_hidden_states": False,
    "layer_types": None,
}
"""Keys of config.json that change no number, only how it is come by and handed over: as another machine had
them, they would break here, or at whoever loads what is exported.
"""
NOT_SAVED = (
    "_name_or_path",
    "_attn_implementation",
    "attn_implementation",
    "auto_map",
    "finetuning_task",
    "task_specific_params",
    "layer_types",
)
"""Keys of config.json that say where a model came from, how it was computed here, code never run, and what
the checkpoint was trained for before.
"""


def classifier_class(module: str, name: str) -> Any:
    """A classifier's class of transformers, without importing the families beside it."""
    return getattr(importlib.import_module(f"transformers.models.{module}.modeling_{module}"), name)


def register_attention(forward: Callable[..., tuple[Tensor, None]]) -> None:
    """Let transformers' layers call `forward` for their attention, with a boolean mask as eager's is not.

    Without a mask function of its own, transformers hands an unknown implementation no mask: padding would be
    attended.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import eager_mask

    AttentionInterface.register(ATTENTION, forward)
    AttentionMaskInterface.register(ATTENTION, eager_mask)


def run_layer(layer: nn.Module, hidden: Tensor, mask: Tensor | None, recorder: object) -> Tensor:
    """A layer's output (batch, seq, hidden); `recorder` reaches our attention as RECORDER."""
    output: Tensor = layer(hidden, mask, **{RECORDER: recorder})
    return output


def run_mpnet_layer(
    layer: Any, hidden: Tensor, attend: Callable[[Tensor, Tensor, Tensor, float], Tensor]
) -> Tensor:
    """The output of a layer of MPNet, whose attention asks transformers for no implementation. `attend` of
    queries, keys, values, each (batch, heads, seq, size), and the dropout of the maps is (batch, seq, heads,
    size).
    """
    own = layer.attention.attn
    by_head = (*hidden.shape[:2], own.num_attention_heads, own.attention_head_size)
    query, key, value = (part(hidden).view(by_head).transpose(1, 2) for part in (own.q, own.k, own.v))
    context = attend(query, key, value, own.dropout.p if own.training else 0.0)
    attended = own.o(context.reshape(hidden.shape))
    attended = layer.attention.LayerNorm(layer.attention.dropout(attended) + hidden)
    output: Tensor = layer.output(layer.intermediate(attended), attended)
    return output


def mpnet_position_bias(encoder: Any, hidden: Tensor) -> Tensor:
    """What MPNet adds to the scores of every layer, (1, heads, query, key), for the length of `hidden`."""
    bias: Tensor = encoder.compute_position_bias(hidden[:1])
    return bias


def new_model(model_class: Any, config: Any, attention: str) -> nn.Module:
    """A model of `config` with weights freshly drawn, and that attention."""
    model: nn.Module = model_class._from_config(config, attn_implementation=attention)
    return model


# huggingface_hub and datasets


def cache_folders() -> tuple[str, str]:
    """The caches of datasets and of the hub, by the rules of those libraries, without importing them."""
    cache_home = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    home = _expanded(os.environ.get("HF_HOME", os.path.join(cache_home, "huggingface")))
    datasets_cache = os.environ.get("HF_DATASETS_CACHE", os.path.join(home, "datasets"))
    hub_cache = os.environ.get(
        "HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE", os.path.join(home, "hub"))
    )
    return datasets_cache, _expanded(hub_cache)  # datasets takes its own variable as it is


def _expanded(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))


def hub_repository(kind: str, name: str) -> Path:
    """The folder of a repository in the hub's cache; `kind` is models or datasets."""
    return Path(cache_folders()[1]) / f"{kind}--{name.replace('/', '--')}"


def hub_repositories(name: str) -> list[Path]:
    """Where a model may lie: in the hub's cache, and in those that transformers had of its own before its
    fifth version, where their variables still name them.
    """
    old = (os.environ.get(variable, "") for variable in ("TRANSFORMERS_CACHE", "PYTORCH_TRANSFORMERS_CACHE"))
    own = hub_repository("models", name)
    return [own, *(Path(_expanded(path)) / own.name for path in old if path.strip())]


def hub_snapshot(repository: Path, revision: str) -> Path:
    """The folder of what a branch or tag names there; OSError or ValueError where nothing says so."""
    commit = (repository / "refs" / revision).read_text(encoding="ascii").strip()
    return repository / "snapshots" / commit


def prepared_dataset(name: str, config: str) -> bool:
    """Whether datasets has prepared that configuration in its cache."""
    folder = Path(cache_folders()[0]) / name.replace("/", "___") / config
    with suppress(OSError):  # another user's cache
        return any(folder.glob("*/*/dataset_info.json"))
    return False


def fetch_in_pieces_of(num_bytes: int) -> None:
    """Let the hub's library fetch files in pieces of that size: a slow line shows progress, too."""
    from huggingface_hub import constants

    constants.DOWNLOAD_CHUNK_SIZE = num_bytes


def piece_counter(add: Callable[[int], None]) -> Any:
    """The class of a progress bar for `hf_hub_download`, never shown: it tells `add` of every piece, in
    bytes.
    """
    from huggingface_hub.utils import tqdm

    class Counter(tqdm):  # type: ignore[misc]  # the library has no types for it
        def __init__(self, *args: object, **options: Any):
            super().__init__(*args, **{**options, "disable": True})
            add(int(options.get("initial") or 0))

        def update(self, n: float | None = 1) -> None:
            add(int(n or 0))

    return Counter


def before_each_request(look: Callable[[Any], None]) -> None:
    """Let `look` see (change, or raise at) every request of this process to the hub before it is sent."""
    from huggingface_hub.utils import get_session

    session = get_session()
    session.event_hooks = {**session.event_hooks, "request": [*session.event_hooks["request"], look]}


# torch


def divide_gradients(optimizer: Optimizer, divisor: Tensor) -> None:
    """Let the coming step of a fused optimiser divide every gradient by `divisor`, a scalar, as it reads it:
    a pass over all of them less than scaling them before.
    """
    optimizer.grad_scale = divisor  # type: ignore[attr-defined]


# BertViz, and the packages that carry d3 and jQuery

FILES = {
    "mpld3": ("mpld3", "js/d3.v5.min.js"),
    "XStatic-jQuery": ("xstatic.pkg.jquery", "data/jquery.min.js"),
    "bertviz": ("bertviz", "head_view.js"),
}
"""By package: (module, a file inside it)."""
_ID = re.compile(r"bertviz-[0-9a-f]{32}")
_REMOTE_SCRIPT = re.compile(r"<script src=[^>]*></script>")
_COLOUR_OF_LAYER = "config.layers[layer] % 10"


def package_file(package: str) -> Path | None:
    """Where the file of `package` in FILES is, found without importing it; None where it is not installed."""
    module, file = FILES[package]
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return next((Path(folder) / file for folder in folders if (Path(folder) / file).is_file()), None)


def bertviz_body(page: str) -> str:
    """BertViz's page without scripts from other hosts and without its talk on the console; each layer has the
    colour of its own number, not of that number modulo ten.
    """
    page = _REMOTE_SCRIPT.sub("", page)
    page = re.sub(r"// HACK:[^\n]*", "", page)
    return page.replace("console.log(", "void (").replace(_COLOUR_OF_LAYER, "config.layers[layer]")


def bertviz_with_id(body: str, identity: str) -> str:
    """The same page with `identity` (32 hexadecimal digits, or nothing) in place of BertViz's random one."""
    return _ID.sub(f"bertviz-{identity}" if identity else "", body)


def bertviz_with_tokens(body: str, word_of: Callable[[int], str]) -> str:
    """The same page with `word_of(position)`, JavaScript, in place of each of the `bertviz_marks`."""
    return re.sub(r'"kdviz-token-(\d+)-"', lambda mark: word_of(int(mark.group(1))), body)


def bertviz_marks(num_tokens: int) -> list[str]:
    """What BertViz is given for tokens, because it writes them unescaped into a script."""
    return [f"kdviz-token-{place}-" for place in range(num_tokens)]


def bertviz_stand_in(colours: str) -> str:
    """JavaScript in place of require.js; `colours` (a JSON list) are those of heads and layers."""
    return (
        "window.require = {config: function () {}}; window.requirejs = function (names, run) { "
        f"run(window.jQuery, window.d3); }};d3.schemeCategory10 = {colours};"
    )
