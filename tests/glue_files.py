"""Files in the layout of the GLUE release, with rows made up for a test."""

import tempfile
from pathlib import Path

import pytest

from kdviz.data import Example, load_examples
from kdviz.tasks import TASKS

# The columns of the GLUE release's files ("" where a file has no header).
HEADERS = {
    "cola": "",
    "qqp": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "mrpc": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "rte": "index\tsentence1\tsentence2\tlabel",
    "sst2": "sentence\tlabel",
    "mnli": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
    "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
    "qnli": "index\tquestion\tsentence\tlabel",
    "wnli": "index\tsentence1\tsentence2\tlabel",
}


def row(task_name: str, texts: list[str], label: int) -> str:
    """A line of the release's layout, other columns filled with anything."""
    task = TASKS[task_name]
    if task_name == "cola":
        return f"src\t{label}\t\t{texts[0]}"
    by_column = dict(zip(task.folder_columns, texts, strict=True)) | {
        task.label_column: task.label_names[label]
    }
    return "\t".join(by_column.get(column, "x") for column in HEADERS[task_name].split("\t"))


def file_text(task_name: str, rows: list[tuple[list[str], int]]) -> str:
    header = [HEADERS[task_name]] if HEADERS[task_name] else []
    return "\n".join(header + [row(task_name, texts, label) for texts, label in rows]) + "\n"


def write_task(root: Path, task_name: str, num_train: int = 12, num_dev: int = 6) -> Path:
    """A folder in the release's layout with a few rows, each split with its own texts."""
    task = TASKS[task_name]
    folder = root / task.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train.tsv": num_train} | {file: num_dev for _, file, _ in task.dev_splits}
    for file, num_rows in files.items():
        rows = [
            (
                [f"{file} text {number} part {part}" for part in range(1 + task.is_pair)],
                number % task.num_labels,
            )
            for number in range(num_rows)
        ]
        (folder / file).write_text(file_text(task_name, rows), encoding="utf-8")
    return root


def read_content(task_name: str, content: bytes) -> tuple[Example, ...]:
    """What is read of a file of that content: every split's."""
    task = TASKS[task_name]
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / task.folder
        folder.mkdir()
        for file in ("train.tsv", *(file for _, file, _ in task.dev_splits)):
            (folder / file).write_bytes(content)
        return load_examples(task_name, "folder", root).train


def forbid_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test may depend on what the machine has in its caches or reaches."""
    monkeypatch.delenv("KDVIZ_GLUE_DIR", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
