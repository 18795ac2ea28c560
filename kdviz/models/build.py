"""Building models: a classifier from a checkpoint, a student from a teacher, and saving both."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError
from kdviz.models.checkpoint import copy_tokenizer
from kdviz.models.matching import match_layers

if TYPE_CHECKING:
    import torch


_BUILDING = threading.Lock()


def load_classifier(
    folder: Path, num_labels: int, generator: torch.Generator | None = None
) -> torch.nn.Module:
    """A BertForSequenceClassification from `folder`, on the CPU, in eval mode, with our attention.

    Where the checkpoint has no classifier of that many classes, or no pooler, they are drawn from
    `generator`; RequestError where anything else is missing.
    """
    from transformers import AutoConfig, BertForSequenceClassification

    from kdviz.models.trace import IMPLEMENTATION

    config = AutoConfig.from_pretrained(
        folder, num_labels=num_labels, local_files_only=True, trust_remote_code=False
    )
    config.problem_type = "single_label_classification"
    model, report = _quiet(
        lambda: BertForSequenceClassification.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation=IMPLEMENTATION,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            dtype="float32",
        )
    )
    fresh = set(report["missing_keys"]) | {item[0] for item in report["mismatched_keys"]}
    lacking = sorted(name for name in fresh if not name.startswith(("bert.pooler.", "classifier.")))
    if lacking:
        raise RequestError(
            f"teacher: the weights in {folder} lack {len(lacking)} of the encoder's parameters, "
            f"{lacking[0]} first; choose a complete BERT checkpoint",
            field="teacher",
        )
    draw_weights(model, fresh, generator)
    return model.float().eval()


def draw_weights(model: torch.nn.Module, names: set[str], generator: torch.Generator | None) -> None:
    """Draw the named parameters as BERT does: normal for matrices, 0 for biases, 1 for layer norms."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in names:
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif "LayerNorm" in name:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, model.config.initializer_range, generator=generator)


def build_student(
    *,
    init: str,
    pairs: tuple[tuple[int, int], ...],
    teacher: torch.nn.Module,
    source: torch.nn.Module,
    generator: torch.Generator,
) -> torch.nn.Module:
    """A student with one layer for each matched pair, in eval mode; the models given are not changed.

    `source` is the pretrained checkpoint. `init`: pretrained (each layer from the pretrained layer it is
    matched with, the paper's), teacher (the same from the fine-tuned teacher, classifier included) or random
    (everything drawn).
    """
    import copy

    from transformers import BertForSequenceClassification

    origin = teacher if init == "teacher" else source
    config = copy.deepcopy(origin.config)
    config.num_hidden_layers, config.num_labels = len(pairs), teacher.config.num_labels
    student = _quiet(lambda: BertForSequenceClassification(config))
    draw_weights(student, {name for name, _ in student.named_parameters()}, generator)
    if init != "random":
        student.bert.embeddings.load_state_dict(origin.bert.embeddings.state_dict())
        student.bert.pooler.load_state_dict(origin.bert.pooler.state_dict())
        depth = len(origin.bert.encoder.layer)
        # A student checkpoint of another depth than the teacher's is thinned by the uniform rule.
        sources = (
            pairs if depth == len(teacher.bert.encoder.layer) else match_layers("uniform", len(pairs), depth)
        )
        for student_layer, origin_layer in sources:
            student.bert.encoder.layer[student_layer].load_state_dict(
                origin.bert.encoder.layer[origin_layer].state_dict()
            )
    if init == "teacher":
        student.classifier.load_state_dict(teacher.classifier.state_dict())
    return student.float().eval()


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def save_model(model: torch.nn.Module, tokenizer_folder: Path, folder: Path) -> None:
    """Write `model` as a folder that AutoModelForSequenceClassification.from_pretrained loads, tokenizer
    included.
    """
    from safetensors.torch import save

    from kdviz.files import write_bytes, write_json

    folder.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    copy_tokenizer(tokenizer_folder, folder)
    write_json(folder / "config.json", config_of(model))
    write_bytes(folder / "model.safetensors", save(state, {"format": "pt"}))


def config_of(model: torch.nn.Module) -> dict:
    """The config.json with which AutoModelForSequenceClassification loads this model."""
    config = model.config.to_dict() | {"architectures": ["BertForSequenceClassification"], "dtype": "float32"}
    return {
        key: value
        for key, value in config.items()
        if key not in ("_name_or_path", "_attn_implementation", "attn_implementation")
    }


def _quiet(build):
    """Run `build` without transformers' loading reports, one at a time: it patches torch's initialisers while
    it builds.
    """
    from transformers.utils import logging

    with _BUILDING:
        level = logging.get_verbosity()
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        try:
            return build()
        finally:
            logging.set_verbosity(level)
