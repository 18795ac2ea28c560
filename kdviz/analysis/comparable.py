"""Which runs may be compared: those that differ in the named settings alone, and have finished."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import fields
from weakref import WeakKeyDictionary

from kdviz.analysis.divergence import divergence
from kdviz.config import RunConfig, has_effect
from kdviz.runs.reader import Run

RECORDING = frozenset(
    {
        "snapshots",
        "cache",
        "cache_memory_mb",
        "cache_disk_mb",
        "keep_checkpoints",
        "checkpoints_mb",
        "device_choice",
        "dtype_choice",
    }
)
"""Settings of how a run is recorded and computed; what the arithmetic came to be is compared instead."""

SETTLED = {
    "data.fingerprint": ("task", "source", "data_dir", "data_seed"),
    "data.num_train": ("task", "source", "data_dir", "train_size"),
    "data.num_eval": ("task", "source", "data_dir", "eval_size"),
    "teacher_weights_sha256": ("teacher",),
    "dtype": ("dtype_choice",),
}
"""What the settings on the right came to when the run was made: compared in their stead, because the same
data may be asked for in several ways, and other data in the same words.
"""
_ASKED = {name for names in SETTLED.values() for name in names} - {"task", "data_seed"}
_known: WeakKeyDictionary[Run, dict] = WeakKeyDictionary()
_kinds: WeakKeyDictionary[Run, dict[tuple[str, ...], tuple]] = WeakKeyDictionary()


def comparable(
    run: Run, runs: Iterable[Run], *, apart_from: tuple[str, ...] = ("strategy", "seed")
) -> list[Run]:
    """The finished runs of which any two, and `run` with each, differ in the settings `apart_from` alone; in
    the order of `runs`, `run` among them where it has finished. Runs that diverged are left out.

    A setting without effect on one of two runs (the layers' epochs beside soft labels alone) does not part
    them. Runs of the stored demo and runs made here are kept apart: another machine fine-tuned their teacher.
    """
    chosen = {run.id} if run.state == "finished" and not divergence(run) else set()
    # Many runs share their settings: of each kind one is looked at. Who is refused once stays so, because the
    # family only grows.
    family, refused = {_kind(run, apart_from): run}, set()
    for other in runs:
        if other.id == run.id or other.is_demo != run.is_demo:
            continue
        kind = _kind(other, apart_from)
        if kind in refused:
            continue
        if kind not in family and any(any(_differing(other, one, apart_from)) for one in family.values()):
            refused.add(kind)
        elif other.state == "finished" and not divergence(other):
            family.setdefault(kind, other)
            chosen.add(other.id)
    return [one for one in dict.fromkeys((*runs, run)) if one.id in chosen]


def same_examples(first: Run, second: Run) -> bool:
    """Whether a row of one run's evaluation is the same sentence in the other's (the same task and data).
    Where it is not, no number of theirs may be laid over the other's.
    """
    ours, theirs = ((run.task, _at(run.config, "data.fingerprint")) for run in (first, second))
    return None not in ours and ours == theirs


def can_stand_beside(run: Run, other: Run) -> bool:
    """Whether both learn from the same teacher, layer for layer, so that one picture can hold their maps.
    That a sentence came to the same tokens in both is seen in its packs (`hold_the_same` of explorer.pack).
    """
    first, second = (
        (each.task, each.pairs, each.num_heads, each.config.get("teacher_fingerprint"))
        for each in (run, other)
    )
    return other.id != run.id and first == second


def differences(first: Run, second: Run, *, apart_from: Collection[str] = ()) -> list[str]:
    """The settings in which two runs differ, those in `apart_from` left out, in the order of RunConfig."""
    return list(_differing(first, second, apart_from))


def _differing(first: Run, second: Run, apart_from: Collection[str]) -> Iterator[str]:
    ours, theirs = _settings(first), _settings(second)
    for name, value in ours.items():
        if (
            value != theirs[name]
            and name not in apart_from
            and not set(SETTLED.get(name, ())) & set(apart_from)
            and has_effect(name, ours)
            and has_effect(name, theirs)
        ):
            yield name


def _kind(run: Run, apart_from: tuple[str, ...]) -> tuple:
    """Equal for two runs that may differ in `apart_from` alone, whatever has an effect on them."""
    known = _kinds.setdefault(run, {})
    if apart_from not in known:
        values = (value for name, value in _settings(run).items() if name not in apart_from)
        known[apart_from] = (run.strategy, *values)
    return known[apart_from]


def _settings(run: Run) -> dict:
    """Everything about a run that decides on its numbers, the defaults for what an older version did not
    record.
    """
    if run not in _known:
        config = run.config
        found = {
            item.name: _plain(config.get(item.name, item.default))
            for item in fields(RunConfig)
            if item.name not in RECORDING and item.name not in _ASKED
        }
        settled = {name: _plain(_at(config, name)) for name in SETTLED}
        settled["teacher_weights_sha256"] = settled["teacher_weights_sha256"] or config.get("teacher")
        if own := _plain(config.get("student_weights_sha256")):  # the name may have meant other weights
            found["student_checkpoint"] = own
        _known[run] = found | settled
    return _known[run]


def _at(config: Mapping, name: str) -> object:
    value: object = config
    for key in name.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _plain(value: object) -> object:
    """`value` as something that can be compared and hashed, whatever a file holds."""
    if isinstance(value, (list, tuple)):
        return tuple(map(_plain, value))
    return repr(value) if isinstance(value, dict) else value
