"""What importing the heavy packages leaves behind in the process that did it."""

import gc
import importlib.util
from types import ModuleType

import pytest


@pytest.fixture
def fresh() -> ModuleType:
    """kdviz.jobs.lazy_imports as a process has it that has imported nothing yet."""
    spec = importlib.util.find_spec("kdviz.jobs.lazy_imports")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("was_at_work", [True, False])
def test_the_garbage_collector_is_left_as_it_was(fresh, was_at_work):
    """Left off after a package that is missing, it would let the memory of a server grow while it runs."""
    fresh.MODULES = ("kdviz.a_package_that_is_not_there",)
    (gc.enable if was_at_work else gc.disable)()
    try:
        with pytest.raises(ImportError):
            fresh.import_heavy()
        assert gc.isenabled() == was_at_work and not fresh.is_imported()
        fresh.MODULES = ("json",)
        fresh.import_heavy()
        assert gc.isenabled() == was_at_work and fresh.is_imported()
    finally:
        gc.unfreeze()
        gc.enable()
