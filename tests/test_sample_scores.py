"""Sample data is worth learning: the real MiniLM learns it in the default short fine-tuning, and depth
counts.
"""

import pytest
from sample_scores import Student, Teacher, known_score, whole_score

from kdviz.data.sample import TASKS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("task", TASKS)
def test_a_short_fine_tuning_learns_it(task, tmp_path):
    """Below 0.80 a student has little to learn from the teacher, above 0.97 nothing is left to tell students
    apart.
    """
    score = known_score(Teacher(task), tmp_path) or whole_score(Teacher(task), tmp_path)
    assert score["n"] == 400
    assert 0.80 <= score["accuracy"] <= 0.97


def test_one_layer_falls_below_three(tmp_path):
    """If one layer were enough, the comparison of depths would show flat lines."""
    one, three = (
        known_score(student, tmp_path) or whole_score(student, tmp_path)
        for student in (Student(1), Student(3))
    )
    assert one["n"] == three["n"] == 400
    assert three["accuracy"] - one["accuracy"] >= 0.05


def test_another_training_is_not_taken_for_the_recorded_one(tmp_path, monkeypatch):
    """Scores of a training that is gone would go on passing: here the learning rate never falls."""

    def rises_alone(step: int, *, total_steps: int, peak: float, warmup_share: float) -> float:
        return peak * min(1.0, step / (total_steps * warmup_share))

    monkeypatch.setattr("kdviz.training.epoch.learning_rate_at", rises_alone)
    assert known_score(Student(1), tmp_path) is None
