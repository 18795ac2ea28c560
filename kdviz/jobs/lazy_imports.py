"""Importing torch and transformers, one thread at a time, and giving back the memory they leave.

transformers loads its parts when they are first asked for, and that is not safe in several threads at once:
the second may see a half-made package ("cannot import name 'AutoConfig'"). Every thread that will need them
comes through here first.
"""

import contextlib
import ctypes
import gc
import importlib
import platform
import threading
from collections.abc import Iterator

from kdviz.models.families import FAMILIES

MODULES = (
    "torch",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.auto.modeling_auto",
)
NAMES = (
    "AutoConfig",
    "AutoModelForSequenceClassification",
    "AutoTokenizer",
    "PreTrainedTokenizerFast",
)
_lock = threading.Lock()
_done = threading.Event()


def import_torch() -> None:
    """Import torch alone: half of the wait for a third of the memory. transformers brings torch's compiler
    with it.
    """
    with _lock:
        importlib.import_module("torch")


def import_heavy() -> None:
    """Import what training and asking a model need; at once where it has been done. ImportError where a
    package is missing.

    What was imported stays for good, so the garbage collector rests meanwhile, a ninth of the time, and is
    told not to look at it again: half a million objects, 0.3 s of every full collection, in which no other
    thread gets on.
    """
    with _lock:
        if _done.is_set():
            return
        with _collector_at_rest():
            for name in MODULES:
                importlib.import_module(name)
            transformers = importlib.import_module("transformers")
            for name in NAMES:
                getattr(transformers, name)
            for family in FAMILIES.values():
                family.classifier_class()
        gc.collect()
        gc.freeze()
        _done.set()


@contextlib.contextmanager
def _collector_at_rest() -> Iterator[None]:
    was_at_work = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_at_work:
            gc.enable()


def is_imported() -> bool:
    """Whether `import_heavy` has been done, so that asking torch something costs no wait."""
    return _done.is_set()


def give_back_memory() -> None:
    """Return freed memory to the system. glibc keeps it, some 400 MiB after a run; elsewhere nothing
    happens.
    """
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
