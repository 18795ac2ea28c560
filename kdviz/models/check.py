"""The check of a run's checkpoints that page, plan and run share: made before anything is made.

It ends where a run would otherwise fail late, or go on with other words than it says: the tokenizer is built
and encodes a text (or a pair), none of its tokens lies beyond the model's table, every parameter of the
encoder is in the weights, a student's own checkpoint has the teacher's words, and the classes of a
fine-tuned teacher are those of the task.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kdviz.config import RunConfig
from kdviz.data.tokenizer_files import TOKENIZER_JSON, Stamps, stamps_of
from kdviz.errors import RequestError
from kdviz.method.targets import compares_vectors
from kdviz.models.checkpoint import Checkpoint, check_fit, resolve
from kdviz.models.hub import Downloads
from kdviz.models.labels import rows_by_name
from kdviz.models.parameters import match_parameters
from kdviz.models.refusals import Unusable, read_json_object
from kdviz.task import Task
from kdviz.tasks import TASKS

if TYPE_CHECKING:
    from kdviz.data.encoded import Tokenizer

_TEXTS = ("The dog sees the cat.", "A cat is seen by the dog \ua66e.")
"""The second has a sign that is in no vocabulary: what the tokenizer makes of such shows before training."""

_TO_COME = re.compile(r"\[unused\d+\]")

MOST_SPARE_ROWS, MOST_SPARE_SHARE = 1024, 0.5
"""Rows of a table that no word has. Tables are rounded up, and some models were published with 50,000 rows
and 30,000 words: of fewer spare rows than these one is warned (`kdviz.data.doubtful_words`).
"""

_OTHER_HEADS = ("ForTokenClassification", "ForMultipleChoice", "ForQuestionAnswering")

LEAST_MADE_SHARE = 0.5
"""Of a byte-level BPE's longer words nearly all come of its merges; bytes and added words do not."""


@dataclass(frozen=True, kw_only=True)
class Models:
    """The checkpoints of a run. `student` is None where the student starts from the teacher's.

    `label_rows`: by the names in its config.json, the classifier's row of each class of the task; None where
    it has no classifier of the task, or does not name its classes (with no epochs of fine-tuning their order
    is then measured when the run begins).
    """

    teacher: Checkpoint
    student: Checkpoint | None
    label_rows: tuple[int, ...] | None


def check_models(config: RunConfig, *, downloads: Downloads | None = None, thorough: bool = True) -> Models:
    """Find the checkpoints that `config` names, and check them.

    `downloads`: see `checkpoint.resolve`; without it nothing is fetched and nothing written. `thorough`
    imports transformers (seconds, the first time); without it the tokenizer and the single parameters are
    left unchecked, which is enough to draw a page while the libraries are being imported, never to start a
    run. RequestError naming the setting at fault.
    """
    task = TASKS[config.task]
    teacher = resolve(config.teacher, downloads=downloads)
    student = None
    if config.student_checkpoint:
        student = resolve(config.student_checkpoint, field="student_checkpoint", downloads=downloads)
    check_pair(config, teacher, student)
    rows = None if _trained_for(teacher, task) else rows_by_name(teacher.label_names, task)
    if config.teacher_epochs == 0:
        _check_classes(teacher, task, rows)
    if thorough:
        words, missing = _check_loads(teacher, task, "teacher")
        if config.teacher_epochs == 0 and missing:
            raise RequestError(
                f"{_wanted(task)}, and the weights of {teacher.name} lack {missing[0]} of the classifier's "
                "way to its answers; give at least 1 epoch",
                field="teacher_epochs",
            )
        if student and _check_loads(student, task, "student_checkpoint")[0] != words:
            raise RequestError(
                f"student_checkpoint: its vocabulary must be the teacher's; {student.name} and "
                f"{teacher.name} have {student.vocab_size} tokens each, but not the same ones",
                field="student_checkpoint",
            )
    return Models(teacher=teacher, student=student, label_rows=rows)


def check_pair(config: RunConfig, teacher: Checkpoint, student: Checkpoint | None) -> None:
    """RequestError where what training by `config` compares of the two could not be; see `check_fit`."""
    check_fit(teacher, student or teacher, config.max_length, compares_vectors=compares_vectors(config))


def _check_classes(teacher: Checkpoint, task: Task, rows: tuple[int, ...] | None) -> None:
    """RequestError where a checkpoint that is to be used as it is does not answer the task."""
    wanted = _wanted(task)
    if other := _trained_for(teacher, task):
        raise RequestError(
            f"{wanted}, got {teacher.name}, whose config.json says finetuning_task: "
            f"{str(teacher.config['finetuning_task'])[:40]}, that is {other.title}; give at least 1 epoch "
            "(or remove the key where it is of an earlier training)",
            field="teacher_epochs",
        )
    if teacher.num_labels != task.num_labels:
        raise RequestError(
            f"{wanted}, got {teacher.name} with "
            + (_output_words(teacher.num_labels) if teacher.num_labels else "no classifier")
            + "; give at least 1 epoch",
            field="teacher_epochs",
        )
    if head := _other_head(teacher.config.get("architectures")):
        raise RequestError(
            f"{wanted}, got {teacher.name}, whose config.json says architectures: {head}, which answers "
            "another question; give at least 1 epoch",
            field="teacher_epochs",
        )
    kind = teacher.config.get("problem_type")
    if kind not in (None, "single_label_classification"):
        raise RequestError(
            f"{wanted}, got {teacher.name}, whose problem_type is {str(kind)[:40]}; give at least 1 epoch",
            field="teacher_epochs",
        )
    if teacher.label_names and rows is None:
        raise RequestError(
            f"{wanted} ({', '.join(task.labels)}), got {teacher.name} with the classes "
            f"{', '.join(teacher.label_names)[:120]}; give at least 1 epoch",
            field="teacher_epochs",
        )


def _trained_for(teacher: Checkpoint, task: Task) -> Task | None:
    """The other task that config.json says a classifier is of ("glue:mrpc", as its scripts wrote); None where
    it says none, or where number and names of the classes say that it has been trained since.
    """
    said = str(teacher.config.get("finetuning_task") or "").rpartition(":")[2]
    other = next((other for other in TASKS.values() if _letters(other.name) == _letters(said)), task)
    is_left_over = other.num_labels != teacher.num_labels or (
        teacher.label_names and rows_by_name(teacher.label_names, other) is None
    )
    return None if other is task or is_left_over else other


def _other_head(architectures: object) -> str | None:
    """The class that a config.json names, where its head is of another kind than a text's classifier and yet
    of the same shape.
    """
    names = architectures if isinstance(architectures, list) else []
    return next((str(name)[:60] for name in names if str(name).endswith(_OTHER_HEADS)), None)


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def _wanted(task: Task) -> str:
    classes = f"the {task.num_labels} classes of {task.title}"
    return f"teacher_epochs: 0 needs a checkpoint already fine-tuned for {classes}"


def _output_words(num_labels: int) -> str:
    return f"{num_labels} classes" if num_labels > 1 else "one output, which is a regression's"


def _check_loads(checkpoint: Checkpoint, task: Task, field: str) -> tuple[str, tuple[str, ...]]:
    """A digest of the vocabulary, and what of pooler and classifier would have to be drawn. RequestError
    where tokenizer or parameters cannot be used.
    """
    stamps = stamps_of(checkpoint.folder)
    try:
        # In this order: transformers reads config.json for a tokenizer too, and would blame that.
        missing = _check_parameters(checkpoint.folder, checkpoint.weights_sha256, stamps)
        digest = _tokenizer_words(checkpoint.folder, checkpoint.vocab_size, task.is_pair, stamps)
    except Unusable as error:
        raise RequestError(f"{field}: {checkpoint.folder}: {error}", field=field) from None
    except RequestError as error:
        raise RequestError(f"{field}: {str(error).partition(': ')[2]}", field=field) from None
    return digest, missing


@lru_cache(maxsize=64)
def _tokenizer_words(folder: Path, vocab_size: int, is_pair: bool, stamps: Stamps) -> str:
    """Build the tokenizer and encode a text or a pair; a digest of its words and their ids."""
    from kdviz.data.encoded import Tokenizer

    tokenizer = Tokenizer(folder, 32)
    words = {word: number for word, number in tokenizer.vocabulary.items() if word}  # an empty line is none
    _check_numbers(words, vocab_size)
    _check_other_files(folder, words, tokenizer.kind)
    _check_settings(tokenizer, vocab_size)
    _check_encoding(tokenizer, folder, words, is_pair)
    digest = hashlib.sha256(repr(sorted(words.items())).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def _check_numbers(words: dict[str, int], vocab_size: int) -> None:
    """That the words' numbers are rows of a table of `vocab_size`, and fill it."""
    beyond = sorted((number, word) for word, number in words.items() if number >= vocab_size)
    if beyond:
        more = f" and {len(beyond) - 1} more tokens" if len(beyond) > 1 else ""
        raise Unusable(
            f"the tokenizer has tokens beyond the model's vocabulary of {vocab_size}: {beyond[0][1]!r} is "
            f"number {beyond[0][0]}{more}; choose a checkpoint with its own tokenizer"
        )
    if vocab_size - len(words) > max(MOST_SPARE_ROWS, MOST_SPARE_SHARE * vocab_size):
        raise Unusable(
            f"the tokenizer has {len(words):,} words, and the model's table {vocab_size:,}: it is another "
            "model's, or its vocabulary is cut; choose a checkpoint with its own tokenizer"
        )


def _check_other_files(folder: Path, words: dict[str, int], kind: str) -> None:
    """That the files beside the one that is read give the words the same numbers."""
    for word, number in _added(folder).items():
        if words.get(word) != number:
            raise Unusable(
                f"added_tokens.json says that {word!r} is number {number}, and the tokenizer built of this "
                f"folder makes it {words.get(word, 'none')}; save the tokenizer anew, with a tokenizer.json"
            )
    for name, word, numbers in _listed(folder, kind):
        if words.get(word) not in numbers:
            raise Unusable(
                f"{name} says that {word!r} is number {numbers[0]}, and tokenizer.json, which is read where "
                f"both are there, makes it {words.get(word, 'none')}; remove the one that is not the model's"
            )


def _check_settings(tokenizer: Tokenizer, vocab_size: int) -> None:
    """That its merges make its words, a text has always the same tokens, and padding has a row."""
    made, long = tokenizer.made_by_merges
    if made < LEAST_MADE_SHARE * long:
        raise Unusable(
            f"the tokenizer's merges make {made:,} of the {long:,} longer words in its vocabulary: its "
            "merges.txt is cut, or another model's; choose a checkpoint with its own tokenizer"
        )
    if tokenizer.dropout:
        raise Unusable(
            f"tokenizer.json says dropout: {tokenizer.dropout:.3g}, so a text has other tokens each time it "
            "is read; set it to null"
        )
    if tokenizer.pad_id >= vocab_size:
        raise Unusable(
            f"its padding token is number {tokenizer.pad_id}, beyond the model's vocabulary of {vocab_size}"
        )


def _check_encoding(tokenizer: Tokenizer, folder: Path, words: dict[str, int], is_pair: bool) -> None:
    """That a text, or a pair, comes to tokens with one of the model's own in front and behind."""
    try:
        ids, types, _ = tokenizer.encode(*(_TEXTS if is_pair else _TEXTS[:1]))
        others, _, _ = tokenizer.encode(*(_TEXTS[::-1] if is_pair else _TEXTS[1:]))
    except Exception as error:  # a template or a model of the tokenizer's that does not fit its words
        raise Unusable(
            f"the tokenizer cannot encode a {'pair' if is_pair else 'text'} ({type(error).__name__}: "
            f"{str(error)[:120]})"
        ) from None
    made_up = sorted(tokenizer.made_up.intersection(ids))
    unnamed = [] if (folder / TOKENIZER_JSON).exists() else sorted({ids[0], ids[-1]} - tokenizer.special_ids)
    if unnamed and not made_up:
        word = next(word for word, number in words.items() if number == unnamed[0])
        raise Unusable(
            f"the tokenizer puts {word} around a text, which is none of its special tokens; name the tokens "
            "that the vocabulary has as cls_token and sep_token in tokenizer_config.json"
        )
    if made_up:
        word = next(word for word, number in words.items() if number == made_up[0])
        raise Unusable(
            f"the tokenizer puts {word} around a text, which none of its files has (transformers made it "
            f"number {made_up[0]}, a row that nothing was trained in); name the tokens that the vocabulary "
            "has as cls_token and sep_token in tokenizer_config.json"
        )
    if len(ids) < 3 or len(ids) != len(types):
        raise Unusable(
            f"the tokenizer makes {len(ids)} tokens of {_TEXTS[0]!r}; choose one of the model's own"
        )
    if (ids[0], ids[-1]) != (others[0], others[-1]):
        raise Unusable(
            "the tokenizer puts no token of its own in front of a text and behind it, and the first one's "
            "vector is what the classifier reads; choose a checkpoint with its own tokenizer"
        )


def _added(folder: Path) -> Mapping[str, int]:
    """The words that added_tokens.json adds, with their numbers."""
    path = folder / "added_tokens.json"
    return read_json_object(path) if path.exists() else {}


def _listed(folder: Path, kind: str) -> Iterator[tuple[str, str, list[int]]]:
    """(file, word, its numbers) of every word in the list of words that lies beside a tokenizer.json; BERT's
    places for words to come may have been filled since.
    """
    name = {"WordPiece": "vocab.txt", "BPE": "vocab.json"}.get(kind, "")
    if not name or not all((folder / file).exists() for file in (name, TOKENIZER_JSON)):
        return
    numbers: dict[str, list[int]] = {}
    if name == "vocab.json":
        numbers = {word: [number] for word, number in read_json_object(folder / name).items()}
    else:
        lines = (folder / name).read_bytes().decode("utf-8", "replace").split("\n")
        for number, line in enumerate(lines):
            numbers.setdefault(line.strip(), []).append(number)
    for word, found in numbers.items():
        if word and "\ufffd" not in word and not _TO_COME.fullmatch(word):
            yield name, word, found


@lru_cache(maxsize=64)
def _check_parameters(folder: Path, weights_sha256: str, stamps: Stamps) -> tuple[str, ...]:
    from kdviz.models.build import parameter_shapes, transformers_config
    from kdviz.models.checkpoint import inspect

    checkpoint = inspect(str(folder), folder)
    shapes = parameter_shapes(transformers_config(folder, checkpoint.num_labels or 2))
    found = match_parameters(checkpoint.family, shapes, checkpoint.weights, checkpoint.encoder_prefix)
    return tuple(sorted(found.fresh))
