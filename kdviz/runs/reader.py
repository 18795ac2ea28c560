"""Reading run folders: the only thing pages, reports and comparisons know of a run.

Nothing here imports torch, and nothing here writes. A folder that cannot be read is one `Unreadable` entry
with its reason; it never hides the others.
"""

import os
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kdviz.errors import RequestError
from kdviz.files import MEBIBYTE, is_regular
from kdviz.locks import is_locked
from kdviz.models.weights_files import SAFETENSORS
from kdviz.runs.arrays import Damaged, exists, read_arrays, read_maps, stored_in
from kdviz.runs.bounded import read_json
from kdviz.runs.layout import STUDIES, TEACHERS, RunFiles
from kdviz.runs.lines import Lines
from kdviz.runs.parts import Evaluation, Moment, Probe, probe_of, thinned
from kdviz.runs.records import (
    LINES,
    MOST_PROBES,
    Malformed,
    ProbeRow,
    Status,
    Summary,
    check_classes,
    check_config,
    check_sizes,
    checked,
    complete,
)

FORMAT_VERSION = 1
RUN_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_MOMENTS = 501
"""As many as a run of the most `snapshots` has, and the one before its first step."""
MOST_LOOKED_AT = 50
"""Entries of a folder that is no run."""
RESERVED_NAMES = {TEACHERS, STUDIES}
STATES = ("queued", "running", "finished", "stopped", "interrupted", "failed")
DEMO_RUNS = Path(__file__).parents[1] / "demo" / "runs"


@dataclass(frozen=True)
class Unreadable:
    """A folder under the runs folder that is not a run this version can read."""

    id: str
    folder: Path
    reason: str


def check_run_id(run_id: str) -> str:
    """`run_id` if it can be a folder name of a run, else a RequestError."""
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise RequestError(
            "run id: expected 1 to 64 of a-z 0-9 . _ - starting with a letter or digit, got "
            f"{str(run_id)[:80]!r}; choose another name",
            field="run_id",
        )
    if run_id in RESERVED_NAMES:
        raise RequestError(
            "run id: expected 1 to 64 of a-z 0-9 . _ - other than what kdviz keeps for itself "
            f"({', '.join(sorted(RESERVED_NAMES))}), got {run_id!r}; choose another name",
            field="run_id",
        )
    return run_id


class Run:
    """A read-only view of one run folder. Cheap to make; files are read when asked for, lines only once."""

    def __init__(self, folder: Path):
        """Raises ValueError with the reason where `folder` is no run of this format."""
        self.folder = Path(folder)
        self.id, self.files = self.folder.name, RunFiles(self.folder)
        try:
            value = read_json(self.files.config)
            version = value.get("format_version") if isinstance(value, dict) else FORMAT_VERSION
            if version != FORMAT_VERSION:
                raise ValueError(f"format version {FORMAT_VERSION} was expected, got {str(version)[:80]}")
            self.config = check_config(value)
        except FileNotFoundError:
            raise ValueError(_why_no_run(self.folder)) from None
        except (ValueError, OSError) as error:
            raise ValueError(f"its config.json cannot be used: {error}") from None
        self.task: str = self.config["task"]
        self.strategy: str = self.config["strategy"]
        self.seed: int = self.config["seed"]
        self.pairs = tuple((student, teacher) for student, teacher in self.config["pairs"])
        self._faults: dict[str, str] = {}
        self._lines = Lines(self.files.metrics, self._check_line)

    def _check_line(self, value: object, dropped: list[str]) -> dict:
        kind = value.get("kind") if isinstance(value, dict) else None
        if not isinstance(kind, str):
            raise Malformed("an object with its kind was expected")
        if kind not in LINES:
            return value
        line = checked(LINES[kind], value, dropped)
        check_sizes(kind, line, self.config)
        complete(kind, line, self.config)
        return line

    @property
    def faults(self) -> dict[str, str]:
        """One reason for each file that was asked for so far and cannot be used in full, by its name."""
        lines = self._lines.fault()
        return {**self._faults, **({"metrics.jsonl": lines} if lines else {})}

    def _record(self, name: str, kind: type) -> dict:
        """A JSON file of the run as a record of `kind`, without what cannot be used; {} where it is not
        there.
        """
        dropped: list[str] = []
        try:
            found = checked(kind, read_json(self.folder / name, 4 * MEBIBYTE), dropped)
        except FileNotFoundError:
            found = {}
        except (OSError, ValueError) as error:
            found, dropped = {}, [str(error)]
        self._remember(name, dropped)
        return found

    def _remember(self, name: str, faults: list[str]) -> None:
        if faults:
            self._faults[name] = faults[0]
        else:
            self._faults.pop(name, None)

    @property
    def num_layers(self) -> int:
        """Layers of the student."""
        return self.config["student_layers"]

    @property
    def num_heads(self) -> int:
        return self.config["num_heads"]

    @property
    def is_sample_data(self) -> bool:
        """Whether the examples were generated by kdviz: never to be called GLUE."""
        return self.config.get("data", {}).get("source") == "sample"

    @property
    def is_demo(self) -> bool:
        return self.folder.parent == DEMO_RUNS

    @property
    def status(self) -> dict:
        """status.json as it stands now; {} where it is missing or unreadable."""
        return self._record("status.json", Status)

    @property
    def state(self) -> str:
        """One of STATES. A run that says running while nobody holds its lock was interrupted. Asked twice:
        one that ends between the two looks has said so by the second.
        """
        for _ in range(2):
            state = self.status.get("state")
            if state != "running" or is_locked(self.files.lock):
                return state if state in STATES else "interrupted"
        return "interrupted"

    def lines(self, kind: str) -> list[dict]:
        """The lines of one kind in metrics.jsonl so far, in file order."""
        return self._lines.of(kind)

    @property
    def evals(self) -> list[dict]:
        return self.lines("eval")

    @property
    def before_training(self) -> dict | None:
        """The evaluation before the first step; None where it is missing, or its line cannot be used."""
        return next((line for line in self.evals[:1] if line["epoch"] == 0), None)

    @property
    def train_lines(self) -> list[dict]:
        return self.lines("train")

    @property
    def probe_lines(self) -> list[dict]:
        return self.lines("probe")

    @property
    def stage_lines(self) -> list[dict]:
        return self.lines("stage")

    @property
    def stage_starts(self) -> list[tuple[float, str]]:
        """(epoch, name) of every stage that has begun; [] where the run has only one, whose beginning says
        nothing.
        """
        begun = [(line["epoch"], line["stage"].get("name", "")) for line in self.stage_lines]
        return begun if max(len(begun), len(self.config.get("stages") or ())) > 1 else []

    @property
    def probes(self) -> list[Probe]:
        """The probes of this run; [] before they are written. One that cannot be used is left out."""
        path = self.files.probes
        try:
            stamp = path.stat().st_mtime_ns
        except (OSError, ValueError):
            return []
        if self._probes is None or self._probes[0] != stamp:
            self._probes = (stamp, self._read_probes(path))
        return list(self._probes[1])

    _probes: tuple[int, list[Probe]] | None = None

    def _read_probes(self, path: Path) -> list[Probe]:
        found, faults = {}, []
        try:
            rows = read_json(path, 16 * MEBIBYTE)
            if not isinstance(rows, list):
                raise Malformed("a list was expected")
        except (OSError, ValueError) as error:
            rows, faults = [], [str(error)]
        if len(rows) > MOST_PROBES:
            faults.append(f"only the first {MOST_PROBES} of {len(rows):,} presets are read")
        for number, row in enumerate(rows[:MOST_PROBES]):
            try:
                probe = probe_of(checked(ProbeRow, row))
                check_classes(probe.teacher_logits, self.config)
                found.setdefault(probe.id, probe)
            except ValueError as error:
                faults.append(f"preset {number}: {error}")
        self._remember(path.name, faults)
        return list(found.values())

    @property
    def moments(self) -> list[Moment]:
        """Recorded moments in order of step: of more than a run can ask for only as many, evenly spread, the
        first and the last among them. A page that reads thousands of maps stands still.
        """
        found, stored = {}, stored_in(self.files.snapshots)
        for line in self.probe_lines:
            step = line["step"]
            has_maps = self._snapshot(step).name in stored
            found[step] = Moment(step=step, epoch=line["epoch"], has_maps=has_maps)
        moments = [found[step] for step in sorted(found)]
        most = f"only {MOST_MOMENTS} of {len(moments):,} moments are read"
        self._remember(self.files.snapshots.name, [most] if len(moments) > MOST_MOMENTS else [])
        return thinned(moments, MOST_MOMENTS)

    def _snapshot(self, step: int) -> Path:
        return self.files.snapshot(step)

    def student_maps(self, step: int, probe_id: str) -> np.ndarray:
        """Attention probabilities (student layers, heads, query, key), float32. KeyError where not recorded,
        Damaged where they cannot be used.
        """
        return read_maps(self._snapshot(step), probe_id, self._map_shape(self.num_layers, probe_id))

    def teacher_maps(self, probe_id: str) -> np.ndarray:
        """Attention probabilities (teacher layers, heads, query, key), float32. KeyError where not recorded,
        Damaged where they cannot be used.
        """
        own, shared = self.files.snapshot(None), self.files.teacher_probes(self._teacher_name)
        shape = self._map_shape(self.config["teacher_num_layers"], probe_id)
        return read_maps(own if exists(own) else shared, probe_id, shape)

    @property
    def teacher_folder(self) -> Path:
        """Where its fine-tuned teacher lies, as long as nobody has removed it."""
        return self.files.teacher(self._teacher_name)

    @property
    def _teacher_name(self) -> str:
        return self.config.get("teacher_fingerprint") or "none"

    def _map_shape(self, num_layers: int, probe_id: str) -> tuple[int, int, int]:
        probe = next((probe for probe in self.probes if probe.id == probe_id), None)
        if probe is None:
            raise KeyError(f"this run has no preset {probe_id}")
        return num_layers, self.num_heads, len(probe.tokens)

    @property
    def evaluated_epochs(self) -> list[int]:
        """Epochs whose per-example results are stored."""
        try:
            return self.files.evaluated_epochs()
        except OSError:
            return []

    def evaluation(self, epoch: int) -> Evaluation:
        """Per-example results of one epoch. KeyError where not stored, Damaged where they cannot be used."""
        path = self.files.evaluation(epoch)
        arrays = read_arrays(path)
        num, classes = len(arrays.get("index", ())), len(self.config.get("labels") or ()) or None
        shapes = {"index": (num,), "label": (num,), "teacher_logits": (num, classes)}
        shapes |= {"student_logits": (num, classes), "attention_kl": (num, len(self.pairs))}
        shapes |= {"cls_distance": (num, len(self.pairs))}
        found = {}
        for name, wanted in shapes.items():
            array = arrays.get(name)
            shape = () if array is None else array.shape
            fits = len(shape) == len(wanted) and all(a == b or b is None for a, b in zip(shape, wanted))
            whole = name in ("index", "label")
            if not num or not fits or array.dtype.kind not in ("iu" if whole else "fiu"):
                raise Damaged(f"{path.name}: {name} of shape {wanted} was expected, got {shape}")
            found[name] = array.astype(int if whole else np.float32)
        if found["index"].min() < 0 or len(np.unique(found["index"])) != num:
            raise Damaged(f"{path.name}: each row once was expected")
        num_classes = found["teacher_logits"].shape[1]
        if num_classes < 2 or not 0 <= found["label"].min() <= found["label"].max() < num_classes:
            raise Damaged(f"{path.name}: labels of {num_classes} classes were expected")
        if found["student_logits"].shape[1] != num_classes:
            raise Damaged(f"{path.name}: as many classes for the student as for the teacher were expected")
        return Evaluation(**found)

    @property
    def evaluated_rows(self) -> list[int]:
        """The examples of the last stored evaluation by index; [] where there is none that can be used."""
        try:
            return self.evaluation(self.evaluated_epochs[-1]).index.tolist()
        except LookupError:
            return []

    @cached_property
    def phenomena(self) -> dict[int, str]:
        """Phenomenon by example index, for sample data; {} else."""
        path, found = self.files.phenomena, {}
        try:
            for index, name in read_json(path, 64 * MEBIBYTE).items():
                found[int(index)] = str(name)[:100]
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            self._remember(path.name, [str(error)])
            return {}
        return found

    @property
    def summary(self) -> dict:
        """summary.json; {} before the run's first evaluation."""
        return self._record("summary.json", Summary)

    def checkpoint_folder(self, epoch: int) -> Path | None:
        """A folder with the student's weights after `epoch`, where they were kept."""
        folder = self.files.kept_student(epoch)
        return folder if is_regular(folder / SAFETENSORS) else None


class Store:
    """The runs of several folders: the first is the runs folder, the others are read only (the stored
    demo).
    """

    def __init__(self, *roots: Path):
        self.roots = tuple(Path(root) for root in roots)
        self._known: dict[Path, tuple[int, Run]] = {}
        self._lock = threading.Lock()

    def runs(self) -> list[Run]:
        """The readable entries of `list()`."""
        return [entry for entry in self.list() if isinstance(entry, Run)]

    def list(self) -> list[Run | Unreadable]:
        """Every entry, newest first within each root; a missing root is empty. Of several of one name the
        first root's alone, as `open` has it: a copy of a demo run, made in the runs folder, is what that name
        means.
        """
        entries, taken = [], set(RESERVED_NAMES)
        for root in self.roots:
            try:
                folders = [
                    path
                    for path in root.iterdir()
                    if os.path.isdir(path) and path.name[0] != "." and path.name not in taken
                ]
            except FileNotFoundError:
                continue
            except OSError as error:
                entries.append(Unreadable(root.name, root, f"it is the runs folder ({error.strerror})"))
                continue
            taken |= {folder.name for folder in folders}
            found = [self._entry(folder) for folder in folders]
            entries += sorted(
                found,
                key=lambda entry: (getattr(entry, "config", {}).get("created") or "", entry.id),
                reverse=True,
            )
        return entries

    def open(self, run_id: str) -> Run:
        """The run of that id; RequestError where the id is malformed, unknown or unreadable."""
        check_run_id(run_id)
        for root in self.roots:
            if os.path.isdir(root / run_id):
                entry = self._entry(root / run_id)
                if isinstance(entry, Unreadable):
                    raise RequestError(f"run {run_id!r} cannot be read: {entry.reason}", field="run_id")
                return entry
        may_not = os.path.isdir(self.roots[0]) and not os.access(self.roots[0], os.R_OK | os.X_OK)
        why = "and that folder may not be read" if may_not else "but there is none; see 'kdviz list'"
        raise RequestError(f"run {run_id!r} was expected under {self.roots[0]}, {why}", field="run_id")

    def _entry(self, folder: Path) -> Run | Unreadable:
        if not RUN_ID.fullmatch(folder.name):
            return Unreadable(folder.name, folder, "its name is no run id (1 to 64 of a-z 0-9 . _ -)")
        try:
            stamp = RunFiles(folder).config.stat().st_mtime_ns
        except PermissionError as error:
            return Unreadable(folder.name, folder, f"it may not be read ({error.strerror})")
        except (OSError, ValueError):
            return Unreadable(folder.name, folder, _why_no_run(folder))
        with self._lock:
            known = self._known.get(folder)
        if known and known[0] == stamp:
            return known[1]
        try:
            run = Run(folder)
        except ValueError as error:
            return Unreadable(folder.name, folder, str(error))
        with self._lock:
            self._known[folder] = (stamp, run)
        return run


def _is_run(folder: Path) -> bool:
    try:
        return is_regular(RunFiles(folder).config) and bool(Run(folder))
    except ValueError:
        return False


def _why_no_run(folder: Path) -> str:
    """About a folder without a config.json; an archive is often unpacked into a folder of its own name."""
    reason = "it has no config.json, so it is not a run"
    try:
        inside = sorted(path for path, _ in zip(folder.iterdir(), range(MOST_LOOKED_AT)))
    except OSError:
        return reason
    run = next((path.name for path in inside if _is_run(path)), None)
    return f"{reason} (but {run[:100]} in it is one: move that up)" if run else reason


def check_runs_folder(runs_dir: Path) -> None:
    """RequestError where the folder that was given for that of all runs is a run's own."""
    if _is_run(runs_dir):
        raise RequestError(
            f"runs_dir: expected the folder that holds the runs, got that of one run, {runs_dir}; give "
            f"{runs_dir.parent}",
            field="runs_dir",
        )


def existing_run(runs_dir: Path, run_id: str) -> Path:
    """The folder of a readable run that lies in `runs_dir` itself, not behind a link. RequestError else."""
    folder = Path(runs_dir) / check_run_id(run_id)
    if folder.is_symlink() and folder.is_dir():
        raise RequestError(
            f"run {run_id!r} was expected as a folder in {runs_dir}, got a link, and a run is changed where "
            "it lies; give the runs folder that it leads into",
            field="run_id",
        )
    if not folder.is_dir():
        raise RequestError(
            f"run {run_id!r} was expected as a folder in {runs_dir}, but there is none", field="run_id"
        )
    try:
        Run(folder)
    except ValueError as error:
        raise RequestError(f"run {run_id!r} cannot be read: {error}", field="run_id") from None
    return folder
