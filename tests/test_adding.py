"""A task, a loss term, a strategy and a page of one's own are a file each: those of docs/adding.md, used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = dict(
    re.findall(
        r"`([\w/]+\.py)`:\n\n```python\n(.*?)```", (ROOT / "docs/adding.md").read_text(), flags=re.DOTALL
    )
)
RUN = """
from pathlib import Path
from kdviz.figures.loss_curves import loss_curves
from kdviz.palette import SPARE_STYLES, strategy_style, words_of
from kdviz.training.card import model_card
from kdviz.runs.reader import Run
from kdviz.share.live import mismatch_so_far

run = Run(Path("runs/own"))
assert run.state == "finished" and run.task == "stance" and run.strategy == "late"
assert [probe.id for probe in run.probes] == ["plain", "turned"]
assert [stage["layers"] for stage in run.config["stages"]] == [[], [0, 1]]
assert set(run.evals[-1]["metrics"]) == {"accuracy", "matthews"}
assert "key_relation" not in run.train_lines[0]["losses"]
assert set(run.train_lines[-1]["losses"]["key_relation"]) == {"0", "1"}
assert mismatch_so_far(run).others["key_relation"].shape[1] == 2
assert "Key relation" in loss_curves(run.train_lines, run.pairs, strategy="late").to_json()
assert words_of("late") == "layers late" and strategy_style("late") not in SPARE_STYLES
assert "in the second half of the run" in model_card(run) and "Stance" in model_card(run)
"""
PAGE = """
from streamlit.testing.v1 import AppTest
from kdviz.pages import PAGES
from kdviz.share.roles import check_place

assert PAGES[-1] == "likeness" and check_place("likeness?run=@late").page == "likeness"
app = AppTest.from_file("app.py", default_timeout=120).run()
app.query_params["run"] = "own"
app = app.switch_page("pages/likeness.py").run()
assert not app.exception
assert [metric.label for metric in app.metric] == ["The teacher's answer"]
"""


def test_each_is_one_file_of_a_screenful():
    """The promise of docs/architecture.md: one place each, short enough to be read at once."""
    assert sorted(str(Path(path).parent) for path in FILES) == [
        "kdviz/method/strategies",
        "kdviz/method/terms",
        "kdviz/tasks",
        "pages",
    ]
    assert all(len(text.splitlines()) < 40 for text in FILES.values())


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kdviz with the files of the page in it, and data of the task."""
    root = tmp_path_factory.mktemp("adding")

    def big(folder: str, names: list[str]) -> set[str]:
        return {"__pycache__"} | ({"runs"} if Path(folder).name == "demo" else set())

    shutil.copytree(ROOT / "kdviz", root / "kdviz", ignore=big)
    shutil.copytree(ROOT / "pages", root / "pages")
    shutil.copyfile(ROOT / "app.py", root / "app.py")
    for path, text in FILES.items():
        assert not (root / path).exists()
        (root / path).write_text(text)
    (root / "data" / "Stance").mkdir(parents=True)
    for split, count in (("train", 24), ("dev", 8)):
        rows = [f"Plan {n} is {'good' if n % 2 else 'bad'} for us.\t{n % 2}" for n in range(count)]
        (root / "data" / "Stance" / f"{split}.tsv").write_text("\n".join(["remark\tstance", *rows, ""]))
    return root


def python(copy: Path, *arguments: str) -> None:
    environment = {**os.environ, "KDVIZ_RUNS_DIR": "runs"}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_they_are_found_trained_drawn_and_shown(copy: Path, tiny_checkpoint: Path):
    """Every place that still has a list of its own would be met one by one, as an error in a long run."""
    command = ["-m", "kdviz", "run", "--run-id", "own", "--task", "stance", "--source", "folder"]
    command += ["--data-dir", "data", "--strategy", "late", "--epochs", "2", "--student-layers", "2"]
    command += ["--terms", "kl,key_relation", "--key-relation-weight", "0.5", "--batch-size", "8"]
    command += ["--teacher", str(tiny_checkpoint), "--teacher-epochs", "1", "--eval-size", "none"]
    python(copy, *command, "--threads", "1")
    python(copy, "-c", RUN)
    python(copy, "-c", PAGE)
