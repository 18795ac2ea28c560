"""Models as transformers alone reads them: what a run's student/ and teachers/<fingerprint>/ hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdviz.compat import NOT_SAVED
from kdviz.data.tokenizer_files import copy_tokenizer
from kdviz.files import write_bytes, write_json
from kdviz.models.build import quietly
from kdviz.models.families import as_classifier, takes_token_types
from kdviz.models.weights_files import SAFETENSORS

if TYPE_CHECKING:
    import torch


def save_model(
    model: torch.nn.Module, tokenizer_folder: Path, folder: Path, labels: Sequence[str] | None = None
) -> None:
    """Write `model` as a folder that AutoModelForSequenceClassification.from_pretrained loads, tokenizer
    included. `labels` name its classes (default: as its config does).
    """
    from safetensors.torch import save

    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_beside_weights(folder, config_of(model, labels), tokenizer_folder)
    write_bytes(folder / SAFETENSORS, save(state, {"format": "pt"}))


def save_beside_weights(folder: Path, config: dict[str, Any], tokenizer_folder: Path) -> None:
    """Write into `folder` what from_pretrained reads beside the weights: config.json and the tokenizer."""
    copy_tokenizer(
        tokenizer_folder, folder, model_type=config["model_type"], token_types=takes_token_types(config)
    )
    write_json(folder / "config.json", config)


def config_of(model: torch.nn.Module, labels: Sequence[str] | None = None) -> dict[str, Any]:
    """The config.json with which AutoModelForSequenceClassification loads this model. `labels` name its
    classes: those of the checkpoint that it comes from may have been another task's.
    """
    config = as_classifier(model).config.to_dict() | {
        "architectures": [type(model).__name__],
        "dtype": "float32",
    }
    if labels is not None:
        config["id2label"] = {str(number): label for number, label in enumerate(labels)}
        config["label2id"] = {label: number for number, label in enumerate(labels)}
    return {key: value for key, value in config.items() if key not in NOT_SAVED}


def load_as_a_stranger(folder: Path) -> tuple[torch.nn.Module, Callable[..., Mapping[str, torch.Tensor]]]:
    """(model in eval mode, tokenizer) of a saved folder, as transformers alone loads it."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    known = {"local_files_only": True, "trust_remote_code": False}
    model: torch.nn.Module = quietly(
        lambda: AutoModelForSequenceClassification.from_pretrained(folder, **known)
    )
    return model.float().eval(), AutoTokenizer.from_pretrained(folder, **known)
