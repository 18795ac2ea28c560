"""Building models: a classifier from a checkpoint, a student from a teacher."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kdviz.compat import HOW_IT_RUNS, new_model
from kdviz.errors import RequestError, one_line
from kdviz.models.families import (
    CLASSIFIER,
    FAMILIES,
    EncoderConfig,
    Family,
    as_classifier,
    family_of,
)
from kdviz.models.matching import match_layers
from kdviz.models.parameters import encoder_prefix, match_parameters
from kdviz.models.refusals import Unusable, read_json_object
from kdviz.models.weights_files import find_weights, read_weights

if TYPE_CHECKING:
    import torch

T = TypeVar("T")
_BUILDING = threading.Lock()


def load_classifier(
    folder: Path,
    num_labels: int,
    generator: torch.Generator | None = None,
    *,
    is_whole: bool = False,
    role: str = "teacher",
) -> torch.nn.Module:
    """A classifier of the family that config.json in `folder` names, on the CPU, in eval mode, with our
    attention.

    Where the checkpoint has no classifier of that many classes, or no pooler, they are drawn from
    `generator`, but not where it `is_whole`, a model that a run has saved: its answers would be chance.
    RequestError, which calls it its `role`, where anything else is missing.
    """
    import kdviz.models.trace  # noqa: F401 (registers our attention with transformers)

    try:
        config, weights = transformers_config(folder, num_labels), find_weights(folder)
        family = FAMILIES[config.model_type]
        prefix = encoder_prefix(family, read_json_object(folder / "config.json"), weights)
        match = match_parameters(family, parameter_shapes(config), weights, prefix)
        if is_whole and match.fresh:
            raise Unusable(f"its weights lack {min(match.fresh)} of {num_labels} classes, which the run had")
    except Unusable as error:
        raise RequestError(f"{role}: {folder}: {error}", field=role) from None
    tensors = read_weights(weights, set(match.sources.values()))
    state = {name: tensors[source] for name, source in match.sources.items()}
    model: torch.nn.Module = quietly(
        lambda: family.classifier_class().from_pretrained(
            None, config=config, state_dict=state, attn_implementation=family.attention, dtype="float32"
        )
    )
    draw_weights(model, match.fresh, generator)
    return model.float().eval()


def transformers_config(folder: Path, num_labels: int) -> EncoderConfig:
    """transformers' config of a checkpoint, as a classifier of that many classes. Unusable where it is
    none.
    """
    from transformers import AutoConfig

    try:
        config: EncoderConfig = AutoConfig.from_pretrained(
            folder, num_labels=num_labels, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # its values are checked by many libraries, each with errors of its own
        raise Unusable(f"config.json cannot be used ({type(error).__name__}: {one_line(error)})") from None
    config.problem_type = "single_label_classification"
    for name, value in HOW_IT_RUNS.items():
        setattr(config, name, value)
    return config


def parameter_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """The parameters of the classifier of `config`, without making them. Unusable where it describes no
    model.
    """
    import torch

    def build() -> torch.nn.Module:
        with torch.device("meta"):
            made: torch.nn.Module = FAMILIES[config.model_type].classifier_class()(config)
            return made

    try:
        model = quietly(build)
    except Exception as error:  # an unknown activation, a width of another kind: errors of every kind
        raise Unusable(
            f"config.json describes no model ({type(error).__name__}: {one_line(error)})"
        ) from None
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def draw_weights(model: torch.nn.Module, names: Collection[str], generator: torch.Generator | None) -> None:
    """Draw the named parameters as these encoders do: matrices normal, biases 0, layer norms 1."""
    import torch

    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.LayerNorm)}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name not in names:
                continue
            if name.endswith("bias"):
                parameter.zero_()
            elif name.rpartition(".")[0] in norms:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, as_classifier(model).config.initializer_range, generator=generator)


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

    origin = teacher if init == "teacher" else source
    origin_config, teacher_config = as_classifier(origin).config, as_classifier(teacher).config
    config = copy.deepcopy(origin_config)
    config.num_hidden_layers, config.num_labels = len(pairs), teacher_config.num_labels
    student: torch.nn.Module = quietly(lambda: type(origin)(config))
    draw_weights(student, {name for name, _ in student.named_parameters()}, generator)
    if init != "random":
        # A student checkpoint of another depth than the teacher's is thinned by the uniform rule.
        depth, teacher_depth = origin_config.num_hidden_layers, teacher_config.num_hidden_layers
        sources = pairs if depth == teacher_depth else match_layers("uniform", len(pairs), depth)
        _copy_parts(origin, student, dict(sources), with_classifier=init == "teacher")
    return student.float().eval()


def _copy_parts(
    origin: torch.nn.Module, student: torch.nn.Module, layers: dict[int, int], *, with_classifier: bool
) -> None:
    """Copy embeddings (with what all layers share), pooler and the layers {student layer: origin layer}."""
    import torch

    family, weights = family_of(student), origin.state_dict()
    with torch.no_grad():
        for name, tensor in student.state_dict().items():
            part = family.part_of(name)
            if part == CLASSIFIER and not with_classifier:
                continue
            if isinstance(part, int):
                name = name.replace(f"{family.layers}.{part}.", f"{family.layers}.{layers[part]}.", 1)
            tensor.copy_(weights[name])


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def reorder_classes(model: torch.nn.Module, rows: Sequence[int]) -> None:
    """Give the classifier its classes in another order: class k becomes what row `rows[k]` answered."""
    import torch

    output, order = model.get_submodule(family_of(model).output), torch.tensor(rows)
    with torch.no_grad():
        for parameter in output.parameters():
            parameter.copy_(parameter[order].clone())


def random_classifier(
    family: Family, *, num_layers: int, num_heads: int, width: int, vocab_size: int
) -> torch.nn.Module:
    """A classifier of that shape with random weights and inner layers four times as wide, in eval mode."""
    from transformers import AutoConfig

    import kdviz.models.trace  # noqa: F401 (registers our attention with transformers)

    config = AutoConfig.for_model(
        family.model_type,
        vocab_size=vocab_size,
        **{
            family.num_layers_name: num_layers,
            family.num_heads_name: num_heads,
            family.width_name: width,
            family.inner_width_name: 4 * width,
        },
    )
    return quietly(lambda: new_model(family.classifier_class(), config, family.attention)).eval()


def quietly(build: Callable[[], T]) -> T:
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


def weights_digest(model: torch.nn.Module) -> str:
    """32 hex digits, the same for models whose parameters and buffers are the same to the last bit."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in model.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
