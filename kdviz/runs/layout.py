"""Where everything that others read of a run lies; what one module alone keeps there, it names itself."""

import re
from dataclasses import dataclass
from pathlib import Path

from kdviz.models.weights_files import SAFETENSORS

TEACHERS, STUDIES = "teachers", "studies"
"""What lies beside the runs in their folder."""
NEW, DELETED = ".new", ".deleted-"
"""How the name of a run's folder ends while it is made, and begins while it is removed."""
_EVALUATION = re.compile(r"epoch_(\d{4,9})\.safetensors(\.gz|\.xz)?")


def snapshot_name(step: int | None) -> str:
    """What the file of maps is called: the student's at `step`, or the teacher's (None)."""
    name = "teacher" if step is None else f"step_{int(step):06d}"
    return f"{name}.safetensors"


@dataclass(frozen=True)
class RunFiles:
    """The paths in the folder of one run, whether or not there is something."""

    folder: Path

    @property
    def config(self) -> Path:
        """Every setting and what the run began with; without it a folder is no run."""
        return self.folder / "config.json"

    @property
    def status(self) -> Path:
        return self.folder / "status.json"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def predictions(self) -> Path:
        return self.folder / "predictions.jsonl"

    @property
    def summary(self) -> Path:
        return self.folder / "summary.json"

    @property
    def probes(self) -> Path:
        """The probes' texts, words and the teacher's answers to them."""
        return self.folder / "probes.json"

    @property
    def phenomena(self) -> Path:
        """What each example of sample data was generated to test."""
        return self.folder / "phenomena.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def lock(self) -> Path:
        """Held by the process that trains the run."""
        return self.folder / "lock"

    @property
    def waiting(self) -> Path:
        """Held by the process in whose queue the run waits."""
        return self.folder / "waiting.lock"

    @property
    def stop(self) -> Path:
        """Left by another process that asks the run to stop."""
        return self.folder / "stop"

    @property
    def student(self) -> Path:
        """The student of the last evaluated epoch, as from_pretrained reads it."""
        return self.folder / "student"

    @property
    def checkpoints(self) -> Path:
        """What resuming needs, and the kept weights of earlier epochs."""
        return self.folder / "checkpoints"

    def kept_student(self, epoch: int) -> Path:
        """The folder of the weights kept of one epoch."""
        return self.checkpoints / f"epoch_{int(epoch):04d}" / "student"

    def kept_epochs(self) -> list[int]:
        """Epochs whose weights are kept."""
        names = [path.parent.parent.name for path in self.checkpoints.glob(f"epoch_*/student/{SAFETENSORS}")]
        numbers = [name.removeprefix("epoch_") for name in names]
        return sorted(int(number) for number in numbers if number.isdecimal())

    @property
    def snapshots(self) -> Path:
        return self.folder / "snapshots"

    def snapshot(self, step: int | None) -> Path:
        """The maps of the probes: the student's at `step`, or the teacher's (None)."""
        return self.snapshots / snapshot_name(step)

    def snapshot_steps(self) -> list[int]:
        """Steps with maps of the student."""
        numbers = [path.stem.removeprefix("step_") for path in self.snapshots.glob("step_*.safetensors")]
        return sorted(int(number) for number in numbers if number.isdecimal())

    @property
    def evaluations(self) -> Path:
        return self.folder / "evaluations"

    def evaluation(self, epoch: int) -> Path:
        """The results of one epoch by example."""
        return self.evaluations / f"epoch_{int(epoch):04d}.safetensors"

    def evaluated_epochs(self) -> list[int]:
        """Epochs whose results are stored, packed or not; OSError where there are none."""
        names = [_EVALUATION.fullmatch(path.name) for path in self.evaluations.iterdir()]
        return sorted({int(found[1]) for found in names if found})

    def teacher(self, fingerprint: str) -> Path:
        """The folder of the fine-tuned teacher, shared by the runs beside this one."""
        return teacher_of(self.folder.parent, fingerprint)

    def teacher_probes(self, fingerprint: str) -> Path:
        """The teacher's maps of the probes, where runs of one teacher share them (the stored demo)."""
        return self.teacher(fingerprint) / "probes.safetensors"


def teachers_of(runs_dir: Path) -> Path:
    """The folder of the fine-tuned teachers of all runs in `runs_dir`."""
    return runs_dir / TEACHERS


def teacher_of(runs_dir: Path, fingerprint: str) -> Path:
    """The folder of one fine-tuned teacher."""
    return teachers_of(runs_dir) / fingerprint


def encoded_sets_of(runs_dir: Path) -> Path:
    """The folder of the tokenised sets, which runs share."""
    return teachers_of(runs_dir) / ".encoded"


def studies_of(runs_dir: Path) -> Path:
    """The folder of the studies whose runs are in `runs_dir`."""
    return runs_dir / STUDIES
