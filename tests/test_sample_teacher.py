"""Sample data is worth learning: the real MiniLM learns it in the default short fine-tuning, and depth
counts.
"""

from pathlib import Path

import pytest
from sample_teachers import known_score, request_of, whole_score

from kdviz.config import RunConfig
from kdviz.data.sample import TASKS
from kdviz.jobs.launch import create_run, execute
from kdviz.runs.reader import Run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs_dir(common: Path) -> Path:
    """Shared, so that the CoLA teacher is fine-tuned once."""
    return common / "sample"


@pytest.mark.parametrize("task", TASKS)
def test_a_short_fine_tuning_learns_it(task, runs_dir):
    """Below 0.80 a student has little to learn from the teacher, above 0.97 nothing is left to tell students
    apart.
    """
    request = request_of(task)
    score = known_score(request, runs_dir) or whole_score(request, runs_dir)
    assert score["n"] == 400
    assert 0.80 <= score["accuracy"] <= 0.97


def test_one_layer_falls_below_three(runs_dir):
    """If one layer were enough, the comparison of depths would show flat lines."""

    def accuracy(num_layers: int) -> float:
        settings = dict(task="cola", source="sample", strategy="hard", student_layers=num_layers)
        folder = create_run(RunConfig(keep_checkpoints=False, snapshots=2, **settings), runs_dir)
        execute(folder, num_threads=1)
        return Run(folder).evals[-1]["metrics"]["accuracy"]

    assert accuracy(3) - accuracy(1) >= 0.05
