"""Bad inputs over links, forms, command line, data files and run files: one line each, never a traceback,
nothing written elsewhere.

KDVIZ_HOSTILE_INPUTS sets how many inputs are made in all (default 300; the figure reported in the README is
for 5000).
"""

import json
import os
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

sys.path.insert(0, str(Path(__file__).parents[1]))

from folders import make_run

from kdviz.cli import main
from kdviz.config import RunConfig
from kdviz.data.glue_folder import read_folder
from kdviz.errors import RequestError
from kdviz.jobs.delete import delete_run
from kdviz.jobs.permissions import Permissions, Visitor
from kdviz.jobs.queue import Queue
from kdviz.runs.store import Store
from kdviz.share.live import (
    board_of,
    how_it_runs,
    latest_scores,
    mismatch_so_far,
    progress_share,
)
from kdviz.share.roles import SHOWN
from kdviz.share.view import LINK_NAMES, View
from kdviz.tasks import TASKS
from kdviz.ui.frame import store as ui_store
from kdviz.ui.present.frame import Frame

SURFACES = 5
EACH = max(10, int(os.environ.get("KDVIZ_HOSTILE_INPUTS", "300")) // SURFACES)
hostile = settings(
    max_examples=EACH,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

NASTY = st.sampled_from(
    [
        "",
        " ",
        "..",
        "../..",
        "../../etc/passwd",
        "/etc/passwd",
        "a/../../b",
        "\x00",
        "run\x00",
        "\ud800",
        "\u202egnp.exe",
        "💣" * 30,
        "x" * 6000,
        "<script>alert(1)</script>",
        "</script>",
        "![x](http://elsewhere.example/x.png)",
        "$(touch /tmp/kdviz-was-here)",
        "; rm -rf /",
        "-1",
        "1e999",
        "NaN",
        "Infinity",
        "0x10",
        "٣",
        "1_000",
        "+1",
        "None",
        "null",
        "true",
        "[]",
        "{}",
        "%00",
        "%2e%2e%2f",
        "CON",
        ".",
        ".hidden",
        "teachers",
        "studies",
        "--help",
        "-h",
        "=1+1",
    ]
)
TEXT = NASTY | st.text(max_size=60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)
PARAMS = (*LINK_NAMES, "v")


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with runs in it, and beside it something that must stay as it is."""
    folder = tmp_path_factory.mktemp("home")
    make_run(folder / "runs", "good")
    (folder / "outside").mkdir()
    (folder / "outside" / "thesis.txt").write_text("years of work")
    return folder


def untouched(home: Path) -> bool:
    return (
        sorted(path.name for path in home.iterdir()) == ["outside", "runs"]
        and (home / "outside" / "thesis.txt").read_text() == "years of work"
    )


@hostile
@given(params=st.dictionaries(st.sampled_from(PARAMS) | TEXT, TEXT, max_size=6))
def test_links(home: Path, params: dict):
    """A link is typed, cut and forged by strangers; its values become paths and indices."""
    view, notices = View.from_params(params)
    fitted, more = view.fit(Store(home / "runs").open("good"))
    assert all("\n" not in notice and "<" not in notice for notice in notices + more)
    assert View.from_params(fitted.to_params())[0] == fitted
    assert untouched(home)


@hostile
@given(
    params=st.dictionaries(
        st.sampled_from(("present", "lecture", "follow", "at", "page", "mine")),
        TEXT | st.sampled_from(("the-paper", "this", "1", "attention", "good")),
    ),
    is_learn=st.booleans(),
)
def test_links_of_lectures(params: dict, is_learn: bool):
    """They go through a room's QR code: a mangled one is a lecture's step, with a notice."""
    frame, notices = Frame.from_params(params, is_learn=is_learn)
    assert all("\n" not in notice and "<" not in notice for notice in notices)
    assert frame.at >= 1 and frame.page in (None, *SHOWN)
    again, more = Frame.from_params(frame.to_params(), is_learn=is_learn)
    assert again.to_params() == frame.to_params() and more == []


@hostile
@given(values=st.dictionaries(st.sampled_from([item.name for item in fields(RunConfig)]), JSON, max_size=5))
def test_forms(values: dict):
    """A browser can send any value for any control: a valid config or one line naming the field."""
    try:
        config = RunConfig(**values)
    except RequestError as error:
        assert (
            "\n" not in str(error)
            and len(str(error)) < 6500
            and error.field in {item.name for item in fields(RunConfig)}
        )
    else:
        assert RunConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@hostile
@given(
    words=st.lists(
        st.sampled_from(
            [
                "run",
                "list",
                "show",
                "stop",
                "delete",
                "resume",
                "study",
                "report",
                "tasks",
                "--json",
                "--task",
                "--epochs",
                "--run-id",
            ]
        )
        | TEXT,
        max_size=4,
    ),
    command=st.sampled_from(["show", "stop", "delete", "resume", "study"]),
    target=TEXT,
)
def test_command_line(home: Path, words: list, command: str, target: str, capfd):
    """Whatever is typed: exit status 2 and one line, nothing trained, nothing outside the runs folder
    touched.
    """
    for arguments in (
        words if words[:1] not in (["run"], ["report"]) else [*words, "--epochs", "0"],
        [command, target],
    ):
        capfd.readouterr()
        try:
            status = main([*arguments, "--runs-dir", str(home / "runs")])
        except SystemExit as ended:  # --help
            status = ended.code or 0
        error = capfd.readouterr().err
        assert "Traceback" not in error and status in (0, 2)
        assert status == 0 or len(error.strip().splitlines()) == 1
    assert untouched(home) and (home / "runs" / "good" / "config.json").exists()


@hostile
@given(
    task=st.sampled_from(["cola", "mrpc", "rte", "sst2", "qqp"]),
    content=st.binary(max_size=300),
    rows=st.lists(st.lists(TEXT, max_size=8), max_size=5),
    keep_header=st.booleans(),
)
def test_data_files(tmp_path_factory, task: str, content: bytes, rows: list, keep_header: bool):
    """A malformed file is one line with its name, never half a data set."""
    folder = tmp_path_factory.mktemp("glue")
    spec = TASKS[task]
    (folder / spec.folder).mkdir()
    header = (
        "\t".join(str(name) for name in (*spec.folder_columns, spec.label_column)) + "\n"
        if keep_header
        else ""
    )
    lines = header + "\n".join("\t".join(row) for row in rows)
    (folder / spec.folder / "train.tsv").write_bytes(lines.encode("utf-8", "surrogatepass"))
    (folder / spec.folder / "dev.tsv").write_bytes(content)
    try:
        read_folder(spec, folder)
    except RequestError as error:
        assert ".tsv" in str(error) and len(str(error).splitlines()) == 1
    finally:
        shutil.rmtree(folder)


@settings(hostile, max_examples=max(6, EACH // 5))
@given(
    name=st.sampled_from(["config.json", "status.json", "metrics.jsonl", "probes.json", "summary.json"]),
    content=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()),
    field=st.sampled_from(
        [
            "task",
            "strategy",
            "seed",
            "pairs",
            "format_version",
            "owner",
            "data",
            "created",
            "state",
            "planned",
            "student_layers",
        ]
    ),
    value=JSON,
    run_id=TEXT,
)
def test_run_files(tmp_path_factory, name: str, content: bytes, field: str, value: object, run_id: str):
    """A runs folder holds what crashed, what was edited by hand, and what somebody else put there: the list
    of runs and every page stand.
    """
    work = tmp_path_factory.mktemp("work")
    runs = work / "runs"
    make_run(runs, "good", num_eval=6, epochs=1)
    (make_run(runs, "torn", num_eval=6, epochs=1) / name).write_bytes(content)
    edited = make_run(runs, "edited", num_eval=6, epochs=1)
    for file in ("config.json", "status.json"):
        (edited / file).write_text(json.dumps({**json.loads((edited / file).read_text()), field: value}))
    board = board_of(Store(runs), Queue(runs))
    assert "good" in [row.run.id for row in board.rows]
    assert len(board.rows) + len(board.unreadable) == 3
    assert isinstance(board.signature, tuple) and board.signature == board.signature
    for row in board.rows:
        assert 0 <= progress_share(row.run, row.run.status) <= 1
        Permissions().refusal("delete", Visitor(owner="x" * 32), row.run.config)
        for read in (how_it_runs, latest_scores, mismatch_so_far):
            read(row.run)
    if run_id not in ("good", "torn", "edited"):
        with pytest.raises(RequestError):
            delete_run(runs, run_id)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KDVIZ_RUNS_DIR", str(runs))
        patch.setattr(ui_store, "DEMO_RUNS", work / "demo")
        patch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
        _open_every_page()
    assert sorted(path.name for path in work.iterdir()) == ["runs"]
    shutil.rmtree(work)


def _open_every_page() -> None:
    """As a visitor's browser does it, over the runs that were edited; no page may need its guard for a
    fault of ours.
    """
    app = AppTest.from_file(str(Path(__file__).parents[2] / "app.py"), default_timeout=120).run()
    for page, asked in [("start", "good"), ("distil", "good")] + [
        (page, run) for page in ("attention", "layers", "answers") for run in ("torn", "edited")
    ]:
        app.query_params.clear()
        app.query_params["run"] = asked
        app.session_state["kdviz.written"] = []
        app.switch_page(f"pages/{page}.py").run()
        said = "\n".join(str(each.value) for each in (*app.warning, *app.info, *app.error))
        assert not app.exception and "cannot be shown (" not in said, (page, asked, said)
