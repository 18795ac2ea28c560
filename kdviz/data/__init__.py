"""Sources of GLUE-style examples: a folder, the hub, or sample data."""

from kdviz.data.examples import Example, fingerprint
from kdviz.data.sources import Loaded, available, examples_of, folder_of_run, load_examples, named_folder
from kdviz.data.subset import subset

__all__ = [
    "Example",
    "Loaded",
    "available",
    "examples_of",
    "fingerprint",
    "folder_of_run",
    "load_examples",
    "named_folder",
    "subset",
]
