"""Lectures are files: a list of steps in TOML, read strictly. The shipped one is `lectures/the-paper.toml`.

    title = "My seminar"
    task = "cola"                      # whose demo the roles of the steps mean; optional

    [[steps]]
    title = "Same answer, different inside"
    text = "At most 60 words of Markdown. HTML and pictures stay text."
    view = "attention?run=@soft&preset=gap&layer=@top"     # a page and its link, see kdviz.share.roles
    numbers = "row"                    # optional: what is worked out in numbers below the text
    question = "Which student ...?"    # optional, with its hidden answer
    choices = ["soft", "internal"]     # optional: what the room may choose from
    answer = "The internal one."
    try = "Go back to before training."
    done_when = "step=@first"          # a condition on the view that ticks the task off
    notes = "For the speaker alone."

A file that is anything else is refused with its name, the step and the field; nothing of it is shown.
"""

import os
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

from kdviz.errors import RequestError, one_line
from kdviz.files import Stamp, open_regular, stamp_of
from kdviz.paths import user_path
from kdviz.share.roles import Place, check_place
from kdviz.tasks import TASKS
from kdviz.visible import has_visible

SHIPPED = Path(__file__).parent / "lectures"
DEFAULT = "the-paper"
MAX_WORDS = 60
MAX_STEPS = 60
MAX_CHOICES = 6
MAX_FILE_BYTES = 400_000
MAX_TITLE_CHARACTERS, MAX_LINE_CHARACTERS, MAX_NOTES_CHARACTERS = 80, 400, 4000
NUMBERS = ("losses", "row", "cls", "layers", "strategies", "scores")
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class LectureError(RequestError):
    """A lecture that is malformed. The message names file, step (from 1) and field."""

    def __init__(self, file: str, problem: str, *, step: int | None = None, field: str | None = None):
        where = ", ".join([file, *([f"step {step}"] if step else []), *([f"field {field}"] if field else [])])
        super().__init__(f"lecture {where}: {problem}", field=field)
        self.file, self.step = file, step


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. Empty texts stand for what the file leaves out; `try_this` is the file's `try`."""

    title: str
    text: str
    view: str
    numbers: str = ""
    question: str = ""
    choices: tuple[str, ...] = ()
    answer: str = ""
    try_this: str = ""
    done_when: str = ""
    notes: str = ""

    @property
    def place(self) -> Place:
        """The page and the link's parameters, roles not yet resolved."""
        return check_place(self.view)


@dataclass(frozen=True, kw_only=True)
class Lecture:
    """A whole lecture. `name` is the file's name without its ending, and what stands in links."""

    name: str
    title: str
    steps: tuple[Step, ...]
    task: str = "cola"
    about: str = ""


def read_lecture(path: Path) -> Lecture:
    """The lecture in `path`. LectureError with file, step and field where it is not of the form above."""
    path = Path(path)
    file = path.name
    if not NAME.fullmatch(path.stem):
        raise LectureError(
            file, f"its name was expected as 1 to 40 of a-z 0-9 -, got {path.stem[:60]!r}; rename the file"
        )
    table = _table(path)
    _only(table, {"title", "task", "about", "steps"}, file, None)
    steps = table.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= MAX_STEPS:
        got = f"{len(steps)} of them" if isinstance(steps, list) else _kind(steps)
        raise LectureError(file, f"expected 1 to {MAX_STEPS} tables [[steps]], got {got}", field="steps")
    task = _text(table, "task", file, None, most=20, optional=True) or "cola"
    if task not in TASKS:
        raise LectureError(file, f"expected one of {', '.join(TASKS)}, got {task!r}", field="task")
    return Lecture(
        name=path.stem,
        title=_text(table, "title", file, None, most=MAX_TITLE_CHARACTERS),
        about=_text(table, "about", file, None, most=MAX_LINE_CHARACTERS, optional=True),
        task=task,
        steps=tuple(_step(step, file, number) for number, step in enumerate(steps, start=1)),
    )


def _table(path: Path) -> dict:
    try:
        with open_regular(path) as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise LectureError(path.name, f"it cannot be read ({reason}); check the path") from None
    if len(content) > MAX_FILE_BYTES:
        raise LectureError(path.name, f"expected at most {MAX_FILE_BYTES:,} bytes, got more; shorten it")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise LectureError(path.name, "expected UTF-8 text; save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LectureError(path.name, f"expected TOML, got a mistake: {one_line(error, 200)}") from None


def _step(step: object, file: str, number: int) -> Step:
    if not isinstance(step, dict):
        raise LectureError(file, f"expected a table, got {_kind(step)}", step=number)
    names = {"try" if item.name == "try_this" else item.name for item in fields(Step)}
    _only(step, names, file, number)

    def text(field: str, most: int = MAX_LINE_CHARACTERS, optional: bool = True) -> str:
        return _text(step, field, file, number, most=most, optional=optional)

    made = Step(
        title=text("title", MAX_TITLE_CHARACTERS, optional=False),
        text=text("text", 2000, optional=False),
        view=text("view", 2000, optional=False),
        numbers=text("numbers"),
        question=text("question"),
        choices=_choices(step, file, number),
        answer=text("answer", 1000),
        try_this=text("try"),
        done_when=text("done_when"),
        notes=text("notes", MAX_NOTES_CHARACTERS),
    )
    _check_step(made, file, number)
    return made


def _check_step(step: Step, file: str, number: int) -> None:
    """What spans fields, and what the words and links of a step have to be."""
    words = len(step.text.split())
    problem: tuple[str, str] | None = None
    if words > MAX_WORDS:
        problem = "text", f"expected at most {MAX_WORDS} words, got {words}; move some to the notes"
    elif step.numbers and step.numbers not in NUMBERS:
        problem = "numbers", f"expected one of {', '.join(NUMBERS)}, got {step.numbers[:40]!r}"
    elif step.question and not step.answer:
        problem = "answer", "a question needs its hidden answer, got none"
    elif (step.answer or step.choices) and not step.question:
        problem = "question", "expected where there is an answer or choices, got none"
    elif step.done_when and not step.try_this:
        problem = "try", "expected where there is a done_when, got none"
    if problem:
        raise LectureError(file, problem[1], step=number, field=problem[0])
    for field in ("view", "done_when"):
        link = getattr(step, field)
        if field == "done_when" and not link:
            continue
        try:
            check_place(link, is_condition=field == "done_when")
        except ValueError as error:
            raise LectureError(file, str(error), step=number, field=field) from None


def _choices(step: dict, file: str, number: int) -> tuple[str, ...]:
    choices = step.get("choices", [])
    fits = (
        isinstance(choices, list)
        and all(isinstance(each, str) and has_visible(each) and len(each.strip()) <= 80 for each in choices)
        and len(choices) in (0, *range(2, MAX_CHOICES + 1))
        and len(set(choices)) == len(choices)
    )
    if not fits:
        raise LectureError(
            file,
            f"expected 2 to {MAX_CHOICES} different texts of at most 80 characters, "
            f"got {str(choices)[:60]!r}",
            step=number,
            field="choices",
        )
    return tuple(choices)


def _text(table: dict, field: str, file: str, step: int | None, *, most: int, optional: bool = False) -> str:
    value = table.get(field, "" if optional else None)
    if value is None:
        raise LectureError(file, "expected a text, got none; write it", step=step, field=field)
    if not isinstance(value, str):
        raise LectureError(file, f"expected a text, got {_kind(value)}", step=step, field=field)
    value = value.strip() if has_visible(value) else ""
    if not value and not optional:
        raise LectureError(file, "expected a text, got an empty one; write it", step=step, field=field)
    if len(value) > most:
        raise LectureError(
            file, f"expected at most {most:,} characters, got {len(value):,}", step=step, field=field
        )
    return value


def _only(table: Mapping, names: set[str], file: str, step: int | None) -> None:
    for name in table:
        if name not in names:
            known = ", ".join(sorted(names))
            raise LectureError(
                file, f"it is not known; expected one of {known}", step=step, field=str(name)[:40]
            )


def _kind(value: object) -> str:
    return {
        "NoneType": "none", "list": "a list", "dict": "a table", "int": "a number", "float": "a number",
        "bool": "a switch",
    }.get(type(value).__name__, type(value).__name__)  # fmt: skip


# ---- where lectures are


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """The lectures there are, the lecturer's own first, and one line for each that is refused."""

    lectures: tuple[Lecture, ...]
    refused: tuple[LectureError, ...]

    def find(self, name: str) -> Lecture | None:
        """The lecture of that name."""
        return next((lecture for lecture in self.lectures if lecture.name == name), None)

    def refusal(self, name: str) -> LectureError | None:
        """Why the lecture of that name is not there, where its file is."""
        return next((error for error in self.refused if Path(error.file).stem == name), None)


def shelf(environment: Mapping[str, str] = os.environ, arguments: Sequence[str] | None = None) -> Shelf:
    """Every lecture: own files first (KDVIZ_LECTURES or `-- --lectures`, files and folders separated by the
    system's path separator), then the shipped one. A refused file costs that lecture alone.
    """
    lectures: dict[str, Lecture] = {}
    refused = []
    own = []
    for name in own_names(environment, sys.argv[1:] if arguments is None else arguments):
        try:
            own.append(user_path(name, field="KDVIZ_LECTURES or --lectures"))
        except RequestError as error:
            refused.append(LectureError("files", f"one of yours is not read; {error}"))
    for path in (*own, SHIPPED):
        for file in _files(path):
            try:
                lecture = _read_again(file, _saved(file))
                lectures.setdefault(lecture.name, lecture)
            except LectureError as error:
                refused.append(error)
    return Shelf(lectures=tuple(lectures.values()), refused=tuple(refused))


def own_names(environment: Mapping[str, str], arguments: Sequence[str]) -> list[str]:
    """The files and folders a lecturer named: those of the command line, else of KDVIZ_LECTURES."""
    given = ""
    for place, argument in enumerate(arguments):
        if argument == "--lectures":
            given = arguments[place + 1] if place + 1 < len(arguments) else ""
        elif argument.startswith("--lectures="):
            given = argument.partition("=")[2]
    given = given or environment.get("KDVIZ_LECTURES", "")
    return [part for part in given.split(os.pathsep) if part.strip()]


def _files(path: Path) -> list[Path]:
    """The lecture files of a folder by name; a file, also one that is not there, is itself."""
    return sorted(path.glob("*.toml")) if os.path.isdir(path) else [path]


def _saved(path: Path) -> Stamp:
    """The stamp of a file; nothing where it has none."""
    try:
        return stamp_of(path)
    except (OSError, ValueError):
        return ()


@lru_cache(maxsize=64)
def _read_again(path: Path, saved: Stamp) -> Lecture:
    """The lecture, read once for each time it was saved."""
    return read_lecture(path)


def safe_markdown(text: str) -> str:
    """A lecture's Markdown with the one thing taken out that Streamlit would act upon and the reader did not
    ask for: a picture, which is a request to another host. HTML is text there anyway.
    """
    return text.replace("![", "&#33;[")
