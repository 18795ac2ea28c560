"""kdviz: see what knowledge distillation does inside a model."""

__version__ = "0.1.0"
