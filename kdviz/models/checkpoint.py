"""Checkpoints on disk, looked at but not loaded: finding them, and checking that they can be used.

`resolve` reads config.json and the names, shapes and sums of the weights, without torch where the weights are
safetensors. `kdviz.models.check` goes on to the tokenizer, every parameter and the classes' names.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdviz.data.tokenizer_files import TOKENIZERS, tokenizer_files
from kdviz.errors import RequestError
from kdviz.models import mpnet_packages
from kdviz.models.families import FAMILIES, Family, known_families
from kdviz.models.hub import Downloads, NotHere, hub_folder
from kdviz.models.labels import label_names
from kdviz.models.names import Place, place_of
from kdviz.models.parameters import check_encoder, encoder_prefix
from kdviz.models.refusals import (
    Damaged,
    Unusable,
    check_file,
    not_allowed,
    read_json_object,
    what_config_is_this,
    what_folder_is_this,
)
from kdviz.models.registry import MINILM_SHA256, fitting_teachers, minilm_folder
from kdviz.models.weights_files import Weights, check_named_file, find_weights

MOST_LAYERS, MOST_CLASSES = 200, 100_000
_SHA256 = {"minilm-l6": MINILM_SHA256, "mpnet-base": mpnet_packages.MPNET_SHA256}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An encoder's checkpoint on disk, looked at but not loaded.

    `name` means the same from every working directory. `max_positions`: tokens a text can have. `num_labels`:
    classes of the classifier in it, None where it has none; `label_names` what its config.json calls them,
    None where that says nothing. `encoder_prefix`: what stands before the encoder's parts in `weights`.
    """

    name: str
    folder: Path
    config: Mapping[str, Any]
    weights: Weights
    encoder_prefix: str
    num_layers: int
    num_heads: int
    hidden_size: int
    vocab_size: int
    max_positions: int
    weights_sha256: str
    num_labels: int | None
    label_names: tuple[str, ...] | None

    @property
    def family(self) -> Family:
        return FAMILIES[self.config["model_type"]]

    @property
    def shape(self) -> dict[str, int]:
        """What teacher and student must share."""
        return {"heads": self.num_heads, "width": self.hidden_size, "vocabulary": self.vocab_size}


def resolve(name: str, *, field: str = "teacher", downloads: Downloads | None = None) -> Checkpoint:
    """Find a checkpoint by what somebody typed (see `names.place_of`), and check that it can be used.

    Without `downloads` nothing is fetched or written: a page may ask while somebody types. A model that is
    not on this machine is then `hub.NotHere`, which the caller turns into a question; with
    `Downloads(most_bytes=…)`, after permission, it is fetched. RequestError with one line where it cannot be
    had or used. No code that comes with a checkpoint is ever run.
    """
    place = place_of(name, field=field)
    if sys.flags.optimize > 1:
        raise RequestError(
            "Python: expected one that keeps its docstrings, which transformers reads, got one started with "
            "-OO or PYTHONOPTIMIZE=2; start it without",
            field=field,
        )
    folder = _folder_of(place, field, downloads)
    try:
        found = inspect(place.name, folder, _SHA256.get(place.name))
        check_named_file(place.file, found.weights)
        return found
    except OSError as error:  # another user's folder, a network disk that is gone
        where = error.filename or folder
        why = f"{where} cannot be read ({error.strerror or error}); choose another checkpoint"
        text = not_allowed(where) if isinstance(error, PermissionError) else why
        raise RequestError(f"{field}: {text}", field=field) from None
    except Unusable as error:
        is_kept = isinstance(error, Damaged) and place.hub_id and not place.folder
        again = f" (the hub's cache keeps it: remove {folder.parents[1]} first)" if is_kept else ""
        raise RequestError(f"{field}: {error}{again}", field=field) from None


def _folder_of(place: Place, field: str, downloads: Downloads | None) -> Path:
    if place.folder:
        return place.folder
    if place.hub_id:
        return hub_folder(place, field=field, downloads=downloads)
    if place.name == "minilm-l6":
        return minilm_folder()
    if mpnet_packages.parts() and not mpnet_packages.is_joined() and downloads is None:
        raise NotHere(
            f"{field}: the five packages of {place.name} are on this machine and are to be joined once (440 "
            f"MB of disk in {mpnet_packages.cache_root()}); prepare it ('kdviz teachers --download "
            f"{place.name}')",
            field=field,
            place=place,
        )
    leave = downloads or Downloads()
    return mpnet_packages.mpnet_folder(field, progress=leave.progress, check_stop=leave.check_stop)


def inspect(name: str, folder: Path, expected_sha256: str | None = None) -> Checkpoint:
    """The checkpoint in `folder`. Unusable with the reason where it is none."""
    if not (folder / "config.json").exists():
        raise Unusable(what_folder_is_this(folder))
    config = read_json_object(folder / "config.json")
    if "model_type" not in config and (better := what_config_is_this(folder)):
        raise Unusable(better)
    family = check_config(config, f" in {folder}")
    weights = find_weights(folder)
    if not any((folder / file).exists() for file in TOKENIZERS):
        raise Unusable(
            f"expected tokenizer.json or vocab.txt in {folder}, found neither; add the checkpoint's tokenizer"
        )
    for path in tokenizer_files(folder):
        check_file(path)
    if expected_sha256 and weights.sha256 != expected_sha256:
        raise Unusable(
            f"the weights of {name} are damaged (sha256 {weights.sha256[:12]}…, expected "
            f"{expected_sha256[:12]}…); remove {folder} and install its package again"
        )
    try:
        prefix = encoder_prefix(family, config, weights)
        check_encoder(family, config, weights, prefix)
    except Unusable as error:
        raise Unusable(f"{folder}: {error}") from None
    head = weights.shapes.get(f"{prefix.removesuffix(family.base + '.')}{family.output}.weight")
    num_labels = head[0] if head else None
    return Checkpoint(
        name=name,
        folder=folder,
        config=config,
        weights=weights,
        encoder_prefix=prefix,
        num_layers=config[family.num_layers_name],
        num_heads=config[family.num_heads_name],
        hidden_size=config[family.width_name],
        vocab_size=config["vocab_size"],
        max_positions=config["max_position_embeddings"] - family.reserved_positions(config),
        weights_sha256=weights.sha256,
        num_labels=num_labels,
        label_names=label_names(config, num_labels),
    )


def check_config(config: Mapping[str, Any], where: str = "") -> Family:
    """The family that a config.json names. Unusable where kdviz would run another model than the one it
    describes: whatever it says is obeyed or refused, never dropped.
    """
    kind = config.get("model_type")
    if "model_type" not in config:
        raise Unusable(
            f"config.json{where} does not say which model it is of (its key model_type is missing); add it, "
            f"one of {', '.join(FAMILIES)}"
        )
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise Unusable(
            f"expected a checkpoint of a known encoder family ({known_families()}), got model_type "
            f"{str(kind)[:60]!r}{where}"
        )
    for key, is_wrong, why in _NOT_OBEYED:
        if is_wrong(config.get(key)):
            raise Unusable(f"config.json{where} says {key}: {_shown(config[key])}, {why}")
    family = FAMILIES[kind]
    if family.counts_from_padding and config.get("pad_token_id", 1) is None:
        raise Unusable(
            f"config.json{where} says pad_token_id: None, and {family.title} counts positions from it; "
            "set it to the padding token's number (1 in published checkpoints)"
        )
    names = (
        family.num_heads_name,
        family.width_name,
        family.num_layers_name,
        "vocab_size",
        "max_position_embeddings",
    )
    missing = [name for name in names if name not in config]
    if missing:
        raise Unusable(f"config.json{where} lacks {missing[0]!r}; choose a complete checkpoint")
    numbers = {name: config[name] for name in names}
    if not all(type(number) is int and 0 < number < 1 << 31 for number in numbers.values()) or (
        numbers[family.width_name] % numbers[family.num_heads_name]
    ):
        raise Unusable(
            f"expected whole numbers and a width that the heads divide in config.json{where}, got "
            + ", ".join(f"{name} {_shown(number)}" for name, number in numbers.items())
        )
    if numbers[family.num_layers_name] > MOST_LAYERS:
        raise Unusable(
            f"config.json{where} says {numbers[family.num_layers_name]} layers; at most {MOST_LAYERS} are run"
        )
    return family


def _is_set(value: object) -> bool:
    return value not in (None, False, {}, [], "")


def _is_number(value: Any) -> bool:
    """Whether it is a finite number from 0."""
    return type(value) in (int, float) and 0 <= value <= sys.float_info.max


def _is_share(value: Any) -> bool:
    """Whether it is a share of numbers that dropout can leave out: not all of them."""
    return type(value) in (int, float) and 0 <= value < 1


def _is_full(value: Any) -> bool:
    """Whether a list of the layers' kinds names none but those with full attention."""
    return isinstance(value, list) and all(kind == "full_attention" for kind in value)


_DROPOUTS = (
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dropout",
    "attention_dropout",
    "seq_classif_dropout",
)


_NOT_OBEYED = (
    ("is_decoder", _is_set, "so each word sees only those before it; an encoder is needed"),
    ("is_causal", _is_set, "so each word sees only those before it; an encoder is needed"),
    (
        "layer_types",
        lambda value: value is not None and not _is_full(value),
        "and only layers in which each word sees all are run",
    ),
    ("is_encoder_decoder", _is_set, "which is more than an encoder; an encoder is needed"),
    ("add_cross_attention", _is_set, "which needs a second model; an encoder is needed"),
    (
        "position_embedding_type",
        lambda value: value not in (None, "absolute"),
        "which the installed transformers no longer computes; choose a checkpoint with absolute positions",
    ),
    ("quantization_config", _is_set, "so its weights are quantised; choose the checkpoint in full precision"),
    ("compression_config", _is_set, "so its weights are quantised; choose the checkpoint in full precision"),
    (
        "transformers_weights",
        _is_set,
        "so transformers reads another file than kdviz would; call that one model.safetensors, and remove "
        "the key",
    ),
    (
        "relative_attention_num_buckets",
        lambda value: not (value is None or type(value) is int and value >= 32),
        "and transformers looks up 32 of MPNet's, whatever it says",
    ),
    ("pruned_heads", _is_set, "so its layers differ in heads, and maps cannot be compared"),
    *(
        (name, lambda value: not (value is None or type(value) is int and value > 0), "which is no size")
        for name in ("type_vocab_size", "embedding_size")
    ),
    (
        "num_labels",
        # transformers makes a name for each class, whatever the weights have: a billion take all memory.
        lambda value: not (value is None or type(value) is int and value <= MOST_CLASSES),
        "which is no number of classes",
    ),
    (
        "pad_token_id",
        lambda value: not (value is None or type(value) is int),
        "which is no token's number",
    ),
    *(
        (name, lambda value: not (value is None or _is_number(value)), "which is no number from 0")
        for name in ("initializer_range", "layer_norm_eps")
    ),
    *(
        (name, lambda value: not (value is None or _is_share(value)), "which is no share below 1")
        for name in _DROPOUTS
    ),
)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def check_fit(
    teacher: Checkpoint, student: Checkpoint, max_length: int, *, compares_vectors: bool = True
) -> None:
    """RequestError where what is compared of the two could not be, with the numbers of both and what would
    fit. Maps need the same heads; widths may differ unless [CLS] vectors are compared.
    """
    why = {
        "heads": "each head's map is compared with one of the teacher's",
        "width": "the term cos and cosine_threshold compare [CLS] vectors, which have no angle in two "
        "widths; with terms kl alone a narrower student fits",
        "vocabulary": "both read the teacher's tokens",
    }
    for what, reason in why.items():
        ours, theirs = teacher.shape[what], student.shape[what]
        if ours != theirs and (what != "width" or compares_vectors):
            fitting = fitting_teachers(
                teacher.num_heads, teacher.vocab_size, teacher.hidden_size if compares_vectors else None
            )
            raise RequestError(
                f"student_checkpoint: {what} must be the teacher's ({reason}); teacher {teacher.name} has "
                f"{ours}, student {student.name} has {theirs}; fitting: "
                f"{', '.join([*fitting, 'none (the student starts from the teacher)'])}",
                field="student_checkpoint",
            )
    shortest = min(teacher.max_positions, student.max_positions)
    if max_length > shortest:
        raise RequestError(
            f"max_length: expected at most {shortest} (positions: teacher {teacher.max_positions}, student "
            f"{student.max_positions}), got {max_length}",
            field="max_length",
        )
