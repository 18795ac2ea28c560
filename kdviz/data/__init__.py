"""Sources of GLUE-style examples: a folder, the hub, or sample data."""

from kdviz.data.examples import Example

__all__ = ["Example"]
