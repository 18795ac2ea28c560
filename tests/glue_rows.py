"""Every task's files in the GLUE release layout, with rows of our own."""

from collections.abc import Callable
from pathlib import Path

_NOUNS = ("dog", "cat", "teacher", "child", "lawyer", "horse", "doctor", "artist")
_VERBS = ("sees", "chases", "likes", "helps", "knows")
_ADVERBS = ("today", "in the old garden near the river", "slowly", "again and again")


def _sentence(number: int, *, label: int) -> str:
    """A sentence of one of several lengths; word order tells the label."""
    subject, verb = _NOUNS[number % 8], _VERBS[number // 3 % 5]
    rest = f"the {_NOUNS[(number * 5 + 3) % 8]} {_ADVERBS[number // 2 % 4]}"
    return (
        f"The {subject} {verb} {rest} ({number})."
        if label
        else f"{verb} subject the {subject} {rest} ({number})."
    )


def write_glue(folder: Path, *, num_train: int = 40, num_dev: int = 14) -> Path:
    """Every task's files in the GLUE release layout, with rows written for these tests."""

    def rows(split: str) -> list[tuple[int, str, str]]:
        start, count = (0, num_train) if split == "train" else (1000, num_dev)
        return [
            (number % 2, _sentence(number, label=number % 2), _sentence(number + 1, label=1))
            for number in range(start, start + count)
        ]

    entailment = ("entailment", "not_entailment")
    nli = ("entailment", "neutral", "contradiction")
    tables: dict[str, tuple[str | None, Callable[[int, int, str, str], str]]] = {
        "CoLA": (None, lambda n, label, a, b: f"own\t{label}\t{'' if label else '*'}\t{a}"),
        "MRPC": (
            "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
            lambda n, label, a, b: f"{label}\t{n}\t{n + 1}\t{a}\t{b}",
        ),
        "RTE": (
            "index\tsentence1\tsentence2\tlabel",
            lambda n, label, a, b: f"{n}\t{a}\t{b}\t{entailment[label]}",
        ),
        "QNLI": (
            "index\tquestion\tsentence\tlabel",
            lambda n, label, a, b: f"{n}\t{a}\t{b}\t{entailment[label]}",
        ),
        "QQP": (
            "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
            lambda n, label, a, b: f"{n}\t{2 * n}\t{2 * n + 1}\t{a}\t{b}\t{label}",
        ),
        "SST-2": ("sentence\tlabel", lambda n, label, a, b: f"{a}\t{label}"),
        "WNLI": ("index\tsentence1\tsentence2\tlabel", lambda n, label, a, b: f"{n}\t{a}\t{b}\t{label}"),
        "MNLI": (
            "index\tsentence1\tsentence2\tgold_label",
            lambda n, label, a, b: f"{n}\t{a}\t{b}\t{nli[n % 3]}",
        ),
    }
    for name, (header, row) in tables.items():
        for split in ("train", "dev"):
            lines = [row(number, *parts) for number, parts in enumerate(rows(split))]
            for file in ("dev_matched", "dev_mismatched") if (name, split) == ("MNLI", "dev") else (split,):
                path = folder / name / f"{file}.tsv"
                path.parent.mkdir(parents=True, exist_ok=True)
                # The mismatched set is another one: fewer rows, so that mixing the two up shows.
                kept = lines[: len(lines) - 3] if file == "dev_mismatched" else lines
                path.write_text("\n".join([*([header] if header else []), *kept]) + "\n", encoding="utf-8")
    return folder
