"""Cached teacher outputs against the live teacher, their budgets, and files that are stale or damaged."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from needs import needs_of

from kdviz.data.encoded import EncodedSet, Tokenizer
from kdviz.data.examples import Example
from kdviz.method import losses
from kdviz.method.targets import Needs
from kdviz.models.build import load_classifier
from kdviz.models.trace import trace
from kdviz.training.outputs_disk import filling
from kdviz.training.teacher_outputs import (
    Budget,
    KeptOutputs,
    LiveOutputs,
    estimate_bytes,
    teacher_outputs,
)

WORDS = [
    "the",
    "dog",
    "sees",
    "a",
    "cat",
    "near",
    "the",
    "old",
    "river",
    "again",
    "and",
    "again",
    "while",
    "the",
    "teacher",
    "sleeps",
]
NEEDS = needs_of(cls={1, 3}, maps={0, 3})
LARGE, NOTHING = 1 << 30, 0
ROUNDING = 5e-6  # float32 over four layers of vectors of size 1 to 3, in batches of other shapes


@pytest.fixture(scope="module")
def teacher(tiny_checkpoint: Path) -> torch.nn.Module:
    return load_classifier(tiny_checkpoint, 2, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def encoded(tiny_checkpoint: Path) -> EncodedSet:
    examples = [
        Example(index=number, text_a=" ".join(WORDS[: 1 + (7 * number) % len(WORDS)]), text_b=None, label=0)
        for number in range(30)
    ]
    return Tokenizer(tiny_checkpoint, 32).encode_set(examples)


def outputs(
    teacher,
    encoded,
    folder: Path,
    *,
    memory: int = LARGE,
    disk: int = LARGE,
    mode: str = "auto",
    needs: Needs = NEEDS,
    **more,
):
    budget = Budget(folder=folder / "outputs", memory_bytes=memory, disk_bytes=disk, mode=mode)
    return teacher_outputs(teacher, encoded, needs, budget, **more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "teachers" / "0123456789abcdef"


def differences(found, expected, batch) -> float:
    """Largest difference of logits, [CLS] vectors (relative where above 1) and of probabilities of real query
    rows.
    """
    rows = batch.attention_mask.bool()[:, None, :, None]
    values = [(found.logits - expected.logits).abs().max()]
    values += [
        (
            (found.readings["cls"][layer] - expected.readings["cls"][layer]).abs()
            / expected.readings["cls"][layer].abs().clamp_min(1)
        ).max()
        for layer in NEEDS.layers("cls")
    ]
    values += [
        ((found.readings["maps"][layer].exp() - expected.readings["maps"][layer].exp()) * rows).abs().max()
        for layer in NEEDS.layers("maps")
    ]
    assert {name: set(by_layer) for name, by_layer in found.readings.items()} == {
        name: set(by_layer) for name, by_layer in expected.readings.items()
    }
    return float(torch.stack(values).max())


@pytest.mark.parametrize(
    ("memory", "disk", "where", "tolerance"),
    [
        (LARGE, LARGE, "in memory", ROUNDING),
        (0, LARGE, "mapped from disk", ROUNDING),
        (0, "half", "float16", 1e-3),
    ],
)
def test_cached_outputs_equal_the_live_teachers(teacher, encoded, folder, memory, disk, where, tolerance):
    """A row mixed up under shuffling gives every example another's targets: training still falls, towards
    noise.
    """
    half = estimate_bytes(encoded, NEEDS, num_heads=4, hidden_size=32, bytes_per_number=2)
    cached = outputs(teacher, encoded, folder, memory=memory, disk=half if disk == "half" else disk)
    assert cached.is_kept and where in cached.reason
    live = LiveOutputs(teacher, "live")
    for seed in range(3):
        positions = np.random.default_rng(seed).permutation(len(encoded))[:9]
        batch = encoded.batch(positions, min_length=20 if seed == 2 else 0)
        assert differences(cached.gather(batch, NEEDS), live.gather(batch, NEEDS), batch) < tolerance


@pytest.mark.parametrize(("in_half", "tolerance"), [(False, 1e-5), (True, 1e-3)])
def test_cached_and_live_give_the_same_losses(teacher, encoded, folder, in_half, tolerance):
    """What counts is what the student feels: padding of cached maps must not enter the loss, and keeping them
    in half precision, which lets a large set into the budget, must not show in it.
    """
    half = estimate_bytes(encoded, NEEDS, num_heads=4, hidden_size=32, bytes_per_number=2)
    budget = dict(memory=0, disk=half) if in_half else {}
    cached, live = outputs(teacher, encoded, folder, **budget), outputs(teacher, encoded, folder, mode="off")
    assert not live.is_kept and "switched off" in live.reason
    assert cached.is_kept and ("float16" in cached.reason) == in_half
    batch = encoded.batch(np.array([4, 0, 9, 2]), min_length=25)
    student = trace(teacher, *batch.inputs, record=[1]).log_probs[1]
    for layer in NEEDS.layers("maps"):
        found, expected = (
            losses.attention_kl(
                source.gather(batch, NEEDS).readings["maps"][layer], student, batch.attention_mask
            )
            for source in (cached, live)
        )
        assert torch.isfinite(found) and found.item() == pytest.approx(expected.item(), rel=tolerance)
    padded = ~batch.attention_mask.bool()[:, None, None, :]
    assert cached.gather(batch, NEEDS).readings["maps"][0].exp().masked_select(padded).max() == 0, (
        "padded keys carry no probability"
    )


def test_a_live_teacher_runs_no_further_than_asked(teacher, encoded):
    """Early stages would otherwise pay for all layers."""
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, layer in enumerate(teacher.bert.encoder.layer)
    ]
    try:
        live, batch = LiveOutputs(teacher, "live"), encoded.batch(np.arange(3))
        live.gather(batch, needs_of(logits=False, maps={1}))
        assert ran == [0, 1]
        nothing = live.gather(batch, Needs(logits=False))
        assert ran == [0, 1] and nothing.logits is None and not nothing.readings
    finally:
        for hook in hooks:
            hook.remove()


def test_what_exceeds_the_budget_is_asked_live_and_the_reason_says_so(teacher, encoded, folder):
    """A full disk in the middle of a run is worse than a slower one."""
    live = outputs(teacher, encoded, folder, memory=NOTHING, disk=NOTHING)
    assert isinstance(live, LiveOutputs) and "exceed the disk budget" in live.reason and not folder.exists()


def files_of(folder: Path) -> dict[str, int]:
    """Every stored array under `folder`'s teachers, with the time it was written."""
    return {str(path): path.stat().st_mtime_ns for path in folder.parent.rglob("*.npy")}


@pytest.mark.parametrize("disk", [NOTHING, 5000])
def test_without_room_on_disk_nothing_is_written_and_nobodys_outputs_go(teacher, encoded, folder, disk):
    """With cache_disk_mb 0 everything was written all the same, and another teacher's outputs deleted."""
    outputs(teacher, encoded, folder.with_name("fedcba9876543210"))
    before = files_of(folder)
    kept = outputs(teacher, encoded, folder, disk=disk)
    assert kept.is_kept and "in memory" in kept.reason and files_of(folder) == before and before
    batch = encoded.batch(np.arange(9))
    live = LiveOutputs(teacher, "live").gather(batch, NEEDS)
    assert differences(kept.gather(batch, NEEDS), live, batch) < ROUNDING
    more = needs_of(cls={0, 1, 3}, maps={0, 3})
    first = outputs(teacher, encoded, folder.with_name("fedcba9876543210"), needs=more, disk=disk)
    assert files_of(folder) == before and set(first.gather(batch, more).readings["cls"]) == {0, 1, 3}, (
        "what is stored is used, and the rest computed"
    )


def test_only_as_many_outputs_go_as_are_in_the_way(teacher, encoded, folder, monkeypatch):
    """Every output that goes is minutes of somebody's next run; the one unused for longest goes first."""
    others = [folder.with_name(f"{number}" * 16) for number in range(3)]
    for age, other in enumerate(others):
        outputs(teacher, encoded, other)
        os.utime(next((other / "outputs").iterdir()), (1000 + age, 1000 + age))
    size = sum(path.stat().st_size for path in others[0].rglob("*.npy"))
    monkeypatch.setattr("kdviz.training.outputs_disk._in_use", {})
    outputs(teacher, encoded, folder, disk=4 * size + 10_000)
    assert all(list(other.rglob("*.npy")) for other in others), "there is room for four"
    shutil.rmtree(folder)
    outputs(teacher, encoded, folder, disk=3 * size + 10_000)
    assert [bool(list(other.rglob("*.npy"))) for other in (*others, folder)] == [False, True, True, True]


def test_what_another_process_fills_is_not_removed_nor_waited_for_in_vain(teacher, encoded, folder):
    """A run that makes room while another fills would take the ground from under it."""
    other = folder.with_name("fedcba9876543210")
    outputs(teacher, encoded, other)
    place = next((other / "outputs").iterdir())
    size = sum(path.stat().st_size for path in place.iterdir())
    code = (
        "import sys; from pathlib import Path; from kdviz.training.outputs_disk import filling\n"
        "with filling(Path(sys.argv[1]), print):\n    print('filling', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as process:
        try:
            assert process.stdout.readline() == "filling\n"
            kept = outputs(teacher, encoded, folder, disk=size + 4096)
            assert place.exists() and kept.is_kept and not list(folder.rglob("*.npy"))

            class Stop(Exception):
                pass

            def tick(share: float) -> None:
                raise Stop

            more = needs_of(cls={0, 1, 3}, maps={0, 3})
            with pytest.raises(Stop):
                outputs(teacher, encoded, other, needs=more, tick=tick)
        finally:
            process.kill()
    assert outputs(teacher, encoded, other, needs=more).is_kept, "the lock ends with the process"


def test_a_strategy_that_needs_no_teacher_stores_nothing(teacher, encoded, folder):
    """The baseline must not depend on the teacher's outputs, nor report a disk that could not be written."""
    found = outputs(teacher, encoded, folder, needs=Needs(logits=False))
    assert "asks the teacher nothing" in found.reason and not folder.exists()


def test_files_are_used_again_and_only_what_is_missing_is_computed(teacher, encoded, folder):
    """The second run with a teacher is to start within seconds; and a new layer must not rewrite the others
    under a reader.
    """
    outputs(teacher, encoded, folder)
    place = next((folder / "outputs").iterdir())
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    calls = []
    outputs(teacher, encoded, folder, tick=calls.append)
    assert not calls
    more = needs_of(cls={0, 1, 3}, maps={0, 3})
    outputs(teacher, encoded, folder, needs=more, tick=calls.append)
    after = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    assert (
        calls[-1] == 1.0
        and set(after) - set(before) == {"cls_00.npy", "cls_00.sha256"}
        and all(after[name] == stamp for name, stamp in before.items())
    )


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "shape", "dtype", "pickle", "numbers"])
@pytest.mark.parametrize("memory", [LARGE, 0])
def test_a_damaged_or_stale_file_is_computed_again(teacher, encoded, folder, damage, memory):
    """After a crash or a full disk a run must not die of a cache, nor train on another teacher's numbers."""
    batch = encoded.batch(np.arange(5))
    expected = outputs(teacher, encoded, folder, memory=memory).gather(batch, NEEDS)
    place = next((folder / "outputs").iterdir())
    for name in ("maps_03", "cls_01", "logits"):
        path = place / f"{name}.npy"
        array, content = np.load(path), path.read_bytes()
        if damage == "shape":
            np.save(path, array[:-1])
        elif damage == "numbers":
            np.save(path, -array)
        elif damage == "dtype":
            np.save(path, array.astype(np.float64))
        elif damage == "pickle":
            np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        else:
            path.write_bytes({"cut": content[:-16], "empty": b"", "garbage": os.urandom(200)}[damage])
    found = outputs(teacher, encoded, folder, memory=memory)
    assert found.is_kept and differences(found.gather(batch, NEEDS), expected, batch) == 0


def test_what_is_stored_does_not_depend_on_who_came_first(teacher, encoded, folder):
    """A run after another strategy's run would start from other last digits, and end with other numbers than
    alone.
    """
    for number, first in enumerate((Needs(logits=True), needs_of(logits=False, cls={0, 1}), NEEDS)):
        outputs(teacher, encoded, folder.with_name(f"{number}"), needs=first)
        outputs(teacher, encoded, folder.with_name(f"{number}"))
    contents = [
        {
            path.name: path.read_bytes()
            for path in folder.with_name(f"{number}").rglob("*.npy")
            if path.name != "cls_00.npy"
        }
        for number in range(3)
    ]
    assert contents[0] == contents[1] == contents[2] and len(contents[0]) == 5


def test_sets_do_not_share_files(teacher, encoded, folder, tiny_checkpoint):
    """Outputs are gathered by position: another subset under the same name would be taken for this one."""
    outputs(teacher, encoded, folder)
    other = Tokenizer(tiny_checkpoint, 32).encode_set(
        [
            Example(index=number, text_a=" ".join(WORDS[number % 7 :]), text_b=None, label=0)
            for number in range(30)
        ]
    )
    batch = other.batch(np.arange(6))
    assert (
        differences(
            outputs(teacher, other, folder).gather(batch, NEEDS),
            LiveOutputs(teacher, "live").gather(batch, NEEDS),
            batch,
        )
        < ROUNDING
    )


def test_outputs_stay_readable_when_another_run_makes_room(teacher, encoded, folder, monkeypatch):
    """Files are removed under a tight budget; a run that began with them must reach its last stage."""
    mapped = outputs(teacher, encoded, folder, memory=0)
    batch = encoded.batch(np.arange(5))
    expected = mapped.gather(batch, NEEDS)
    place = next((folder / "outputs").iterdir())
    size = sum(path.stat().st_size for path in place.iterdir())
    other = folder.with_name("fedcba9876543210")
    outputs(teacher, encoded, other, disk=size + 4096)
    assert place.exists() and not (other / "outputs").exists(), "used in this process: there is no room"
    monkeypatch.setattr("kdviz.training.outputs_disk._in_use", {})  # as another process sees it
    outputs(teacher, encoded, other, disk=size + 4096)
    assert not place.exists() and (other / "outputs").exists(), "the oldest went"
    assert differences(mapped.gather(batch, NEEDS), expected, batch) == 0


def test_stopping_while_they_are_computed_leaves_no_half_file(teacher, encoded, folder):
    """Half a file that looks whole would be trusted by the next run."""

    class Stop(Exception):
        pass

    def tick(share: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        outputs(teacher, encoded, folder, tick=tick)
    assert not [path for path in folder.rglob("*") if path.is_file()]


def test_what_a_killed_process_left_half_written_goes_with_the_next(teacher, encoded, folder):
    """Files of full size lay there for ever, and were counted against the budget: in the end nothing was kept
    for anybody. What somebody fills at this moment stays.
    """
    outputs(teacher, encoded, folder)
    [place] = (folder / "outputs").iterdir()
    (place / "logits.npy").unlink()
    beside = folder.with_name("fedcba9876543210") / "outputs" / "abc-float32-kept-float32"
    filled = folder.with_name("0000000000000000") / "outputs" / "abc-float32-kept-float32"
    with filling(filled, lambda share: None):
        for other in (place, beside, filled):
            other.mkdir(parents=True, exist_ok=True)
            (other / ".maps_00.4711.4711.tmp").write_bytes(bytes(1000))
        outputs(teacher, encoded, folder)
    left = {path.parent for path in folder.parent.glob("*/outputs/*/.*.tmp")}
    assert left == {filled} and (place / "logits.npy").exists()


def test_two_threads_may_compute_the_same_outputs(teacher, encoded, folder):
    """Two runs that start together with one teacher meet here; mixed files would be wrong for both."""
    found: list[KeptOutputs] = []
    threads = [
        threading.Thread(target=lambda: found.append(outputs(teacher, encoded, folder))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    batch = encoded.batch(np.arange(6))
    expected = LiveOutputs(teacher, "live").gather(batch, NEEDS)
    assert len(found) == 2 and all(
        differences(one.gather(batch, NEEDS), expected, batch) < ROUNDING for one in found
    )
    assert not list(folder.rglob("*.tmp"))


def test_the_estimate_is_what_the_files_take(teacher, encoded, folder):
    """The app shows it before Start, and the budget is decided by it."""
    outputs(teacher, encoded, folder)
    taken = sum(path.stat().st_size for path in folder.rglob("*.npy"))
    estimated = estimate_bytes(encoded, NEEDS, num_heads=4, hidden_size=32)
    assert estimated == pytest.approx(taken, rel=0.02)


def test_each_arithmetic_has_its_own_files(teacher, encoded, folder):
    """A bfloat16 run that was first would leave its coarse maps to every float32 run, and to every
    evaluation.
    """

    def in_bfloat16():
        return torch.autocast("cpu", dtype=torch.bfloat16)

    coarse = outputs(teacher, encoded, folder, arithmetic="bfloat16", run_in=in_bfloat16)
    exact = outputs(teacher, encoded, folder)
    batch = encoded.batch(np.arange(6))
    live = LiveOutputs(teacher, "live").gather(batch, NEEDS)
    assert differences(exact.gather(batch, NEEDS), live, batch) < ROUNDING
    assert ROUNDING < differences(coarse.gather(batch, NEEDS), live, batch) < 0.1
