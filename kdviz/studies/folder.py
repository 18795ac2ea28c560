"""What a study keeps of itself: <runs>/studies/<study>/ with its file, its state and its results."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kdviz.errors import RequestError
from kdviz.files import is_regular, write_bytes, write_json
from kdviz.locks import exclusive, is_locked
from kdviz.runs.bounded import read_json
from kdviz.runs.layout import studies_of
from kdviz.runs.store import check_run_id
from kdviz.runs.writer import now
from kdviz.studies.spec import Study, read_study

FILE, STATE = "study.toml", "state.json"


class StudyFolder:
    """The folder of one study. Its state is a note for people; what was done is told by the run folders."""

    def __init__(self, runs_dir: Path, study_id: str):
        self.runs_dir = Path(runs_dir)
        self.folder = studies_of(self.runs_dir) / check_run_id(study_id)

    @property
    def state(self) -> dict:
        """state.json; {} where there is none that can be read."""
        try:
            state = read_json(self.folder / STATE)
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    @property
    def paths(self) -> dict[str, str]:
        """What the relative paths of the study's file were taken for when it was started."""
        paths = self.state.get("paths")
        if not isinstance(paths, dict):
            return {}
        return {key: value for key, value in paths.items() if isinstance(value, str)}

    @property
    def failed(self) -> dict[str, str]:
        """Cells that failed when they were last tried: run id -> why."""
        failed = self.state.get("failed")
        return {str(key): str(value) for key, value in failed.items()} if isinstance(failed, dict) else {}

    @property
    def is_busy(self) -> bool:
        """Whether a process is carrying the study out now."""
        return is_locked(self.folder / "lock")

    def study(self) -> Study:
        """The study as it was started. RequestError where the folder holds none."""
        size, stem = self.state.get("size"), self.state.get("stem")
        return read_study(
            self.folder / FILE,
            size if isinstance(size, str) else None,
            paths=self.paths,
            stem=stem if isinstance(stem, str) else None,
        )

    @contextmanager
    def carrying_out(self, study: Study, where: str) -> Iterator[None]:
        """Hold the study's lock and keep its file. RequestError where another process holds it, or the folder
        cannot be written.
        """
        with ExitStack() as held:
            with self._being_written():
                ours = held.enter_context(exclusive(self.folder / "lock"))
            if not ours:
                raise RequestError(f"study {study.id!r} is being carried out by another process; wait for it")
            self.keep(study, where)
            yield

    def keep(self, study: Study, where: str) -> None:
        """Store the file and the state as it is at a start; `where`: here, app or ray. RequestError where the
        folder cannot be written.
        """
        with self._being_written():
            write_bytes(self.folder / FILE, study.text.encode())
            write_json(
                self.folder / STATE,
                {
                    **self.state,
                    "stem": study.stem,
                    "size": study.size,
                    "paths": {**self.paths, **study.paths},
                    "where": where,
                    "started": self.state.get("started") or now(),
                    "updated": now(),
                    "failed": {},
                },
            )

    @contextmanager
    def _being_written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RequestError(
                f"runs_dir: expected a folder that can be written, got {self.runs_dir} ({error.strerror}); "
                "choose another with --runs-dir",
                field="runs_dir",
            ) from None

    def note(self, changes: Mapping[str, object]) -> None:
        """Change the state."""
        write_json(self.folder / STATE, {**self.state, **changes, "updated": now()})


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """A folder under studies/ that holds no study this version can read."""

    id: str
    reason: str


def open_study(name: Path | str, size: str | None, runs_dir: Path) -> Study:
    """The study in a file or the shipped one of that name, its paths as they were where it began."""
    study = read_study(name, size)
    known = StudyFolder(runs_dir, study.id).paths
    return read_study(name, size, paths=known) if known else study


def started_studies(runs_dir: Path) -> list[Study | Unusable]:
    """The studies of a runs folder, the last started first."""
    try:
        folders = [path for path in studies_of(Path(runs_dir)).iterdir() if is_regular(path / FILE)]
    except OSError:
        return []
    found = []
    for path in folders:
        try:
            folder = StudyFolder(runs_dir, path.name)
            found.append((str(folder.state.get("started")), folder.study()))
        except RequestError as error:
            found.append(("", Unusable(id=path.name, reason=str(error))))
    return [study for _, study in sorted(found, key=lambda item: item[0], reverse=True)]
