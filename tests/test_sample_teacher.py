"""Sample data is worth learning: the real MiniLM learns it in the default short fine-tuning, and depth
counts.
"""

from pathlib import Path

import pytest

from kdviz.config import RunConfig
from kdviz.data.sample import TASKS
from kdviz.jobs.launch import create_run, execute
from kdviz.runs.reader import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that the CoLA teacher is fine-tuned once."""
    return tmp_path_factory.mktemp("runs")


def finished(runs_dir: Path, **settings: object) -> Run:
    folder = create_run(
        RunConfig(source="sample", strategy="hard", keep_checkpoints=False, snapshots=2, **settings), runs_dir
    )
    execute(folder, num_threads=1)  # one thread: two wait for each other where the machine is busy
    return Run(folder)


@pytest.mark.parametrize("task", TASKS)
def test_a_short_fine_tuning_learns_it(task, runs_dir):
    """Below 0.80 a student has little to learn from the teacher, above 0.97 nothing is left to tell students
    apart.
    """
    (score,) = finished(runs_dir, task=task, student_layers=1, epochs=1).lines("teacher_score")
    assert score["n"] == 400
    assert 0.80 <= score["accuracy"] <= 0.97


def test_one_layer_falls_below_three(runs_dir):
    """If one layer were enough, the comparison of depths would show flat lines."""
    one, three = (
        finished(runs_dir, task="cola", student_layers=num_layers, epochs=6).evals[-1]["metrics"]["accuracy"]
        for num_layers in (1, 3)
    )
    assert three - one >= 0.05
