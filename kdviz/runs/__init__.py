"""Run folders: reading, writing, checkpoints and the kept weights of every epoch."""

from kdviz.runs.reader import Run

__all__ = ["Run"]
