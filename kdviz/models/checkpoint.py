"""Checkpoints on disk, looked at but not loaded: finding them, and checking that they can be used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.models.families import FAMILIES, Family, known_families
from kdviz.models.hub import hub_folder
from kdviz.models.mpnet_packages import MPNET_SHA256, mpnet_folder
from kdviz.models.registry import MINILM_SHA256, TEACHERS, fitting_teachers, minilm_folder

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An encoder's checkpoint on disk, looked at but not loaded. `max_positions`: tokens a text can have."""

    name: str
    folder: Path
    family: Family
    num_layers: int
    num_heads: int
    hidden_size: int
    vocab_size: int
    max_positions: int
    weights_sha256: str
    num_labels: int | None

    @property
    def shape(self) -> dict[str, int]:
        """What teacher and student must share."""
        return {
            "heads": self.num_heads,
            "width": self.hidden_size,
            "vocabulary": self.vocab_size,
            "positions": self.max_positions,
        }


def resolve(name: str, *, field: str = "teacher") -> Checkpoint:
    """Find a checkpoint by registry name, local folder or hub id, and check that it can be used.

    Only known families, only safetensors, no remote code. RequestError with one line where it cannot be had.
    """
    if name == "minilm-l6":
        return _inspect(name, minilm_folder(), field, expected_sha256=MINILM_SHA256)
    if name == "mpnet-base":
        return _inspect(name, mpnet_folder(field), field, expected_sha256=MPNET_SHA256)
    if name in TEACHERS:
        return _inspect(name, hub_folder(TEACHERS[name].location, field), field)
    if Path(name).is_dir():
        return _inspect(name, Path(name), field)
    if (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and all(part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in name.split("/"))
    ):
        return _inspect(name, hub_folder(name, field), field)
    raise RequestError(
        f"{field}: expected one of {', '.join(TEACHERS)}, a local folder or a hub id owner/name, got "
        f"{name[:80]!r}",
        field=field,
    )


def _inspect(name: str, folder: Path, field: str, expected_sha256: str | None = None) -> Checkpoint:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{field}: expected a readable config.json in {folder}, got {type(error).__name__}; choose a "
            "folder with a checkpoint",
            field=field,
        ) from None
    kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
    if not isinstance(config, dict) or kind not in FAMILIES:
        raise RequestError(
            f"{field}: expected a checkpoint of a known encoder family ({known_families()}), got model_type "
            f"{kind!r} in {folder}",
            field=field,
        )
    family = FAMILIES[kind]
    weights = folder / "model.safetensors"
    if not weights.exists():
        raise RequestError(
            f"{field}: expected model.safetensors in {folder}, found none (pickled weights are not read); "
            "convert the checkpoint to safetensors",
            field=field,
        )
    if not any((folder / file).exists() for file in ("tokenizer.json", "vocab.txt")):
        raise RequestError(
            f"{field}: expected tokenizer.json or vocab.txt in {folder}, found neither; add the "
            "checkpoint's tokenizer",
            field=field,
        )
    names = _weight_names(weights, field)
    stat = weights.stat()
    sha256 = file_sha256(weights, stat.st_mtime_ns, stat.st_size)
    if expected_sha256 and sha256 != expected_sha256:
        raise RequestError(
            f"{field}: the weights of {name} are damaged (sha256 {sha256[:12]}…, expected "
            f"{expected_sha256[:12]}…); remove {folder} and install its package again",
            field=field,
        )
    classifier = names.get(f"{family.output}.weight")
    try:
        _check_weights(family, config, names, folder, field)
        return Checkpoint(
            name=name,
            folder=folder,
            family=family,
            num_layers=config[family.num_layers_name],
            num_heads=config[family.num_heads_name],
            hidden_size=config[family.width_name],
            vocab_size=config["vocab_size"],
            max_positions=config["max_position_embeddings"] - family.reserved_positions(config),
            weights_sha256=sha256,
            num_labels=classifier[0] if classifier else None,
        )
    except KeyError as error:
        raise RequestError(
            f"{field}: config.json in {folder} lacks {error}; choose a complete checkpoint", field=field
        ) from None


def _check_weights(
    family: Family, config: dict, names: dict[str, list[int]], folder: Path, field: str
) -> None:
    """RequestError where the weights are not those that config.json describes: transformers would draw what
    is missing.
    """
    heads, width = config[family.num_heads_name], config[family.width_name]
    numbers = (
        heads,
        width,
        config[family.num_layers_name],
        config["vocab_size"],
        config["max_position_embeddings"],
    )
    if not all(isinstance(number, int) and number > 0 for number in numbers) or width % heads:
        raise RequestError(
            f"{field}: expected whole numbers and a width that the heads divide in config.json of "
            f"{folder}, got {heads} heads and width {width}",
            field=field,
        )
    prefix = f"{family.base}." if any(name.startswith(f"{family.base}.") for name in names) else ""
    expected = family.expected_shapes(config)
    for name, shape in expected.items():
        found = names.get(prefix + name)
        if found != shape:
            raise RequestError(
                f"{field}: expected {name} of shape {shape} as config.json in {folder} says, got "
                f"{found or 'none'} in the weights; choose a complete checkpoint",
                field=field,
            )


def _weight_names(weights: Path, field: str) -> dict[str, list[int]]:
    """Shapes by tensor name; RequestError where the file is cut or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise RequestError(
            f"{field}: the weights file {weights} is damaged ({str(error)[:120]}); get it again", field=field
        ) from None


@lru_cache(maxsize=64)
def file_sha256(path: Path, mtime_ns: int, size: int) -> str:
    """sha256 of a file's content, remembered while its time and size stay."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


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


def copy_tokenizer(origin: Path, folder: Path) -> None:
    """Copy the tokenizer's files that `folder` lacks."""
    import shutil

    for name in TOKENIZER_FILES:
        if (origin / name).exists() and not (folder / name).exists():
            shutil.copyfile(origin / name, folder / name)
