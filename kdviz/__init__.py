"""kdviz: see what knowledge distillation does inside a model."""

__version__ = "0.2.0.dev0"
