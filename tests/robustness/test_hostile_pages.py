"""Every page over runs that a crash, another program or somebody who means harm left behind: no page breaks,
and no text of theirs becomes markup, a link or a request.
"""

import json
import os
import re
import resource
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from folders import make_run
from hostile import DAMAGES, ELSEWHERE, MARKUP, UNREADABLE, ZEROS, make_damaged, make_marked_up
from streamlit.testing.v1 import AppTest

from kdviz.analysis.settings import differing_settings
from kdviz.cli import main
from kdviz.errors import RequestError
from kdviz.jobs.queue import Queue
from kdviz.locks import is_locked
from kdviz.runs.reader import MOST_MOMENTS, Run
from kdviz.runs.store import Store, Unreadable
from kdviz.share.report import report
from kdviz.ui.frame import store as ui_store
from kdviz.ui.layers import parts

ROOT = Path(__file__).parents[2]
VIEWS = (
    ("start", {}),
    ("distil", {}),
    ("attention", {}),
    ("attention", {"show": "training"}),
    ("attention", {"row": "3"}),
    ("layers", {"show": "curves", "over": "presets"}),
    ("layers", {"show": "heads"}),
    ("layers", {"show": "partners"}),
    ("layers", {"show": "cka"}),
    ("answers", {"show": "scores", "with": "good"}),
    ("answers", {"show": "inside", "with": "good"}),
    ("answers", {"show": "inside", "over": "presets"}),
    ("answers", {"show": "mistakes", "with": "good", "row": "3"}),
    ("answers", {"show": "runs", "with": "good"}),
)
STRANGE_NAMES = (
    "Not A Run",
    "-x",
    "--help",
    "two\nlines",
    "研究",
    "![](x)",
    "\x1b[31m",
    os.fsdecode(b"\xff\xfe"),
)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A runs folder with one good run, and no stored demo."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    make_run(tmp_path / "runs", "good", num_eval=6, epochs=1, strategy="soft")
    return tmp_path / "runs"


@pytest.fixture
def app(runs: Path) -> AppTest:
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)


def visit(app: AppTest, page: str, **params: str) -> AppTest:
    """The page with that link, as a visitor's browser asks for it."""
    app.query_params.clear()
    for key, value in params.items():
        app.query_params[key] = value
    app.session_state["kdviz.written"] = []
    return app.switch_page(f"pages/{page}.py").run()


def words(app: AppTest) -> str:
    elements = [*app.markdown, *app.info, *app.warning, *app.caption, *app.error]
    return "\n".join(str(element.value) for element in elements)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", DAMAGES)
def test_every_page_stands_over_a_damaged_run(name: str, runs: Path, app: AppTest):
    """One foreign folder among a hundred runs took the Start page with it: files were checked half way, and
    what was found there raised in the middle of a page. "cannot be shown (" is what the guard says to a fault
    of ours: a damaged file has to be recognised as one before. A warning is of a number that became infinite
    on its way to the screen.
    """
    make_damaged(runs, name)
    for page, params in VIEWS:
        visit(app, page, run=name, **params)
        assert not app.exception, (page, params, [each.message for each in app.exception])
        assert "cannot be shown (" not in words(app), (page, params, words(app))
    visit(app, "answers", run="good", show="runs", **{"with": name})
    assert not app.exception and "cannot be shown (" not in words(app)


def test_every_page_stands_beside_folders_that_are_no_runs(runs: Path, app: AppTest):
    """They are listed with their reasons, and the rest works."""
    for name in UNREADABLE:
        make_damaged(runs, name)
    for name in STRANGE_NAMES:
        (runs / name).mkdir()
    entries = Store(runs).list()
    bad = {entry.id: entry.reason for entry in entries if isinstance(entry, Unreadable)}
    assert set(bad) == {*UNREADABLE, *STRANGE_NAMES} and all(bad.values())
    for page, params in VIEWS:
        visit(app, page, **params)
        assert not app.exception and "cannot be shown (" not in words(app), (page, params)
    visit(app, "attention", run="bad-pairs")
    assert not app.exception and "cannot be read" in words(app)


@pytest.mark.parametrize("name", ["deep-line", "no-step", "probes-lacking", "status-types", "snapshots-torn"])
def test_what_cannot_be_read_is_said_once(name: str, runs: Path, app: AppTest):
    """A part that is left out in silence looks like a run that never recorded it."""
    make_damaged(runs, name)
    visit(app, "attention", run=name)
    assert "cannot be read" in words(app) or "can be read" in words(app)


def test_a_small_file_does_not_fill_the_memory(runs: Path):
    """64 kB of gzip hold 64 MiB of zeros, and a thousand times that as easily; the reader stops at the first
    bytes.
    """
    assert len(ZEROS) < 100_000
    run = Run(make_damaged(runs, "snapshots-gz-zeros"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(KeyError, match="it holds no arrays"):
        run.student_maps(run.moments[-1].step, run.probes[0].id)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30_000  # KiB


def test_thousands_of_moments_are_read_as_many_as_a_run_can_have(runs: Path, app: AppTest, monkeypatch):
    """A folder with 5,000 snapshots held Start for half a minute, and the partners of heads for more than
    one.
    """
    run = make_run(runs, "many", num_eval=6, epochs=1)
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["kind"] == "probe"][-1]
    maps = (run / "snapshots" / f"step_{last['step']:06d}.safetensors").read_bytes()
    with open(run / "metrics.jsonl", "a") as file:
        for step in range(last["step"] + 1, 701):
            file.write(json.dumps({**last, "step": step, "epoch": step / 8}) + "\n")
            (run / "snapshots" / f"step_{step:06d}.safetensors").write_bytes(maps)
    many, assigned, match = Run(run), [], parts.match_heads
    steps = [moment.step for moment in many.moments]
    assert len(steps) == MOST_MOMENTS and (steps[0], steps[-1]) == (0, 700) and steps == sorted(set(steps))
    assert many.faults == {"snapshots": "only 501 of 695 moments are read"}
    monkeypatch.setattr(parts, "match_heads", lambda matrix: assigned.append(1) or match(matrix))
    visit(app, "layers", run="many", show="partners", step=str(steps[7]))
    assert not app.exception and "cannot be shown (" not in words(app)
    assert parts.MOST_ASSIGNED <= len(assigned) <= parts.MOST_ASSIGNED + 1


REPORTED = (
    "n-",
    "teacher-",
    "scores-",
    "evaluations-",
    "metrics-n",
    "config-m",
    "probes-m",
    "summary-t",
    "bare-",
)
"""Damages to what a report reads without the help of a page."""


def test_the_command_line_stands_over_damaged_runs(runs: Path, tmp_path: Path, capfd: pytest.CaptureFixture):
    """`list` and `show` are what a person turns to when the page shows something odd, and a report is made of
    runs that others sent.
    """
    for name in (*DAMAGES, *UNREADABLE):
        make_damaged(runs, name)
    for name in STRANGE_NAMES:
        (runs / name).mkdir()
    assert main(["list", "--runs-dir", str(runs)]) == 0
    listed = [line for line in capfd.readouterr().out.splitlines() if "demo-" not in line]
    assert len(listed) == len(Store(runs).list())
    commands = [["show", name] for name in (*DAMAGES, *UNREADABLE)]
    reported = [name for name in DAMAGES if name.startswith(REPORTED)]
    commands += [["report", name, "good", "--out", str(tmp_path / "report.html")] for name in reported]
    for command in commands:
        capfd.readouterr()
        status = main([*command, "--runs-dir", str(runs)])
        assert (status, capfd.readouterr().err.count("\n")) in ((0, 0), (2, 1)), command
    assert main(["show", "n-missing", "--runs-dir", str(runs)]) == 0
    assert "n = 6; " in capfd.readouterr().out


@pytest.mark.parametrize("lock", ["lock", "waiting.lock"])
def test_a_pipe_in_a_locks_place_is_waited_for_by_nobody(lock: str, runs: Path, capfd: pytest.CaptureFixture):
    """Opening it blocks for ever: the page, the queue, and whoever wants to be rid of the folder."""
    run = make_run(runs, "one", state="stopped")
    os.mkfifo(run / lock)
    assert not is_locked(run / lock) and Run(run).state == "stopped"
    assert not Queue(runs).waits_elsewhere("one")
    with pytest.raises(RequestError, match=f"{lock} cannot be locked: an ordinary file was expected"):
        Queue(runs).take_up("one")
    assert main(["stop", "one", "--runs-dir", str(runs)]) == 2
    assert main(["delete", "one", "--runs-dir", str(runs)]) == 2
    assert capfd.readouterr().err.count("\n") == 2


def strings(message) -> list[str]:
    """Every text in a protobuf message."""
    found = []
    for descriptor, value in message.ListFields():
        is_many = not isinstance(value, (str, bytes)) and hasattr(value, "__len__")
        for item in value if is_many else [value]:
            if isinstance(item, str):
                found.append((descriptor.name, item))
            elif hasattr(item, "ListFields"):
                found += strings(item)
    return found


READ_AS_MARKUP = ("body", "label", "help", "caption", "text", "delta", "content")
"""The fields of Streamlit's messages that the browser reads as Markdown."""

RAW = (
    "![x](",
    "](http",
    f"http://{ELSEWHERE}",
    f"https://{ELSEWHERE}",
    f"www.{ELSEWHERE}",
    f"a@{ELSEWHERE}",
    ":material/home:",
    ":smile:",
    ":streamlit:",
    ":red[",
    "$x^2$",
    "**b**",
)


def elements(block) -> list:
    """Every element of a page, those without a name in AppTest among them."""
    children = getattr(block, "children", None)
    return [each for child in children.values() for each in elements(child)] if children else [block]


def test_no_text_of_a_run_becomes_markup(runs: Path, app: AppTest):
    """A status, a label or a preset with an image link makes every viewer's browser ask another host, and a
    :material/…: draws what looks like the app's own sign.
    """
    make_marked_up(runs)
    seen = ""
    for page, params in (
        *VIEWS,
        ("attention", {"text": MARKUP}),
        ("start", {"run": "www.elsewhere.example"}),
    ):
        visit(app, page, **{"run": "marked-up", **params})
        seen += texts_without_markup(app, page, params)
    assert "\\!\\[x\\]" in seen


def texts_without_markup(app: AppTest, page: str, params: dict) -> str:
    """What a page says, which is checked to be no markup of a stranger's."""
    assert not app.exception and "cannot be shown (" not in words(app), (page, params, words(app))
    seen = ""
    for element in elements(app._tree):
        proto = getattr(element, "proto", None)
        if proto is None or not hasattr(proto, "ListFields"):
            continue
        for field, text in strings(proto):
            if field in READ_AS_MARKUP:
                seen += text
                outside = re.sub(r"`[^`]*`", "", text)  # what is shown as code is shown as it is
                assert not any(mark in outside for mark in RAW), (page, params, field, text)
            if field == "spec":
                assert "<a href" not in text and "<img" not in text, (page, params)
    return seen


def test_no_text_of_a_study_becomes_markup(runs: Path, app: AppTest):
    """A study's title with an image link made every viewer's browser ask another host: whoever sends somebody
    a study's file writes it.
    """
    text = json.dumps(MARKUP)
    folder = runs / "studies" / "marked"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(
        f'name = "marked"\ntitle = {text}\nabout = {text}\n[settings]\nsource = "sample"\n'
        f'[[rows]]\nlabel = {text}\nstrategy = "soft"\n[[rows]]\nlabel = "x"\nstrategy = "all"\n'
    )
    state = {"stem": MARKUP, "where": MARKUP, "failed": {MARKUP: MARKUP}}
    (folder / "state.json").write_text(json.dumps(state))
    visit(app, "studies", study="own:marked")
    seen = texts_without_markup(app, "studies", {})
    assert seen.count("\\!\\[x\\]") >= 4, "title, about, and what failed with its reason"


def test_no_text_of_a_run_becomes_markup_in_its_report(runs: Path):
    """The report is opened from disk, where nothing stops it from asking any host."""
    html = report(Run(make_marked_up(runs)))
    body = html[html.index("<body>") :]
    assert "<a href='http" not in body and "<img src=http" not in body and "elsewhere.example" in body


def test_settings_of_strangers_are_not_settings(runs: Path):
    """Only what a run was asked for is compared: foreign keys would put their texts into the table."""
    rows = differing_settings([Run(make_marked_up(runs)).config, Run(runs / "good").config])
    assert MARKUP not in [row["setting"] for row in rows]


def test_reading_writes_nothing(runs: Path):
    """A viewer of a foreign folder must leave it as it was."""
    run = make_damaged(runs, "deep-line")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    read = Run(run)
    assert read.evals and read.faults and read.status and read.probes
    assert before == {path: os.stat(path).st_mtime_ns for path in run.rglob("*")}
