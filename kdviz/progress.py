"""How progress is told, the same on screens and terminals: a run's phases, and how long something takes."""

import math

PHASES = {
    "loading": "Loading models and data",
    "teacher": "Fine-tuning the teacher",
    "teacher_outputs": "Computing the teacher's outputs",
    "distilling": "Distilling",
    "evaluating": "Evaluating",
    "measuring cost": "Measuring time per sentence",
    "done": "Done",
}
"""The phases in status.json, in their order, in words."""


def phase_words(status: dict) -> str:
    """What the run is doing, in words."""
    return PHASES.get(str(status.get("phase")), "Starting")


def duration_words(seconds: float | None) -> str:
    """A duration as people say it: "40 s", "110 s", "3 min", "2 h 10 min"; "unknown" where there is no
    estimate.
    """
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "unknown"
    if seconds < 175:  # "2 min" for 91 s would be a third too much
        return f"{round(seconds) if seconds < 90 else 10 * round(seconds / 10)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
