"""The live card: one bar for the whole run, a result that stays, maps that move, Resume on top."""

import json
import time
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from folders import make_run
from hostile import put
from opened import edit_config
from packs import pictures
from streamlit.testing.v1 import AppTest

from kdviz.files import json_line, read_json, write_json
from kdviz.jobs.permissions import owner_of
from kdviz.locks import exclusive
from kdviz.runs.reader import Run
from kdviz.share.live import progress_share, seconds_left
from kdviz.ui.frame import store as ui_store

ROOT = Path(__file__).parents[1]
TOKEN = b"0123456789abcdef"
MADE = {"teacher_outputs": "cached in memory"}
PHASES = (
    {"phase": "loading"},
    *({"phase": "teacher", "phase_progress": share} for share in (0.0, 0.3, 1.0)),
    *({"phase": "teacher_outputs", "phase_progress": share} for share in (0.0, 0.5, 1.0)),
    *({"phase": phase, "step": 0, "total_steps": 40, "stage": 0} for phase in ("evaluating", "distilling")),
    *(
        {"phase": "teacher_outputs", "phase_progress": share, "step": 0, "total_steps": 40, "stage": 0}
        for share in (0.0, 0.5, 1.0)
    ),
    *({"phase": "distilling", "step": step, "total_steps": 40, **MADE} for step in (0, 13, 40)),
    {"phase": "evaluating", "step": 40, "total_steps": 40, "phase_progress": None, **MADE},
    {"phase": "measuring cost", "step": 40, "total_steps": 40, **MADE},
    {"phase": "done", "step": 40, "total_steps": 40, **MADE},
)
"""Those of a run from nothing: the outputs of the evaluation set come before those of the training set."""


@pytest.mark.parametrize("planned", [{"seconds": 30.0, "teacher_seconds": 50.0}, None])
@pytest.mark.parametrize("teacher_is_kept", [False, True])
def test_one_bar_never_goes_back(planned: dict | None, teacher_is_kept: bool, tmp_path: Path):
    """Without it the bar would fill for the teacher and start again at 0."""
    folder = make_run(tmp_path, "one")
    write_json(folder / "config.json", read_json(folder / "config.json") | {"planned": planned})
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    lines = [line for line in lines if '"train"' not in line]
    if not teacher_is_kept:
        lines.insert(
            0, json_line({"kind": "teacher", "step": 1, "total_steps": 9, "epoch": 0.1, "loss": 0.6})
        )
    (folder / "metrics.jsonl").write_text("".join(lines))
    run = Run(folder)
    phases = [each for each in PHASES if not (teacher_is_kept and each["phase"] == "teacher")]
    shares = [progress_share(run, status) for status in phases]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    end = [share for share, status in zip(shares, phases, strict=True) if status["phase"] == "teacher"]
    if planned and end:
        assert end[-1] == pytest.approx(50 / 80)


def test_time_left_while_the_teacher_is_fine_tuned_goes_by_the_clock_that_is_there(tmp_path: Path):
    """A laptop that sets its clock back meanwhile must not promise minus forty minutes."""
    folder = make_run(tmp_path, "one")
    write_json(folder / "config.json", read_json(folder / "config.json") | {"planned": {"seconds": 30.0}})
    run, now = Run(folder), datetime.now(UTC)
    status = {"phase": "teacher", "phase_progress": 0.5, "started": (now - timedelta(seconds=40)).isoformat()}
    assert seconds_left(run, status, now) == pytest.approx(40 + 30)
    assert seconds_left(run, status, now - timedelta(hours=1)) is None


def _open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.delenv("KDVIZ_GLUE_DIR", raising=False)
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: False)
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: TOKEN)
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    return app.switch_page("pages/distil.py").run()


def _at(minutes: float) -> str:
    return (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(timespec="seconds")


def _keys(app: AppTest) -> list[str]:
    return [button.key for button in app.button]


def test_the_result_stays_while_the_queue_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without it the result, with the doors to its maps, would be gone the moment the next run begins."""
    done = make_run(tmp_path / "runs", "done", strategy="soft", created=_at(-9))
    going = make_run(tmp_path / "runs", "going", strategy="sid", state="running", created=_at(-8))
    put("status.json", finished=_at(-2))(done)
    put("status.json", phase="distilling", step=8, total_steps=24)(going)
    with exclusive(going / "lock"):
        app = _open(tmp_path, monkeypatch)
        assert not app.exception
        assert "distil.result.attention" in _keys(app)
        assert any("soft labels" in str(each.value) for each in app.markdown)
        put("status.json", finished=_at(-60))(done)  # ended before the other was asked for: no queue
        time.sleep(0.6)
        assert "distil.result.attention" not in _keys(app.run())


def test_maps_are_in_the_live_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without it a run would be watched for a minute as numbers only."""
    going = make_run(tmp_path / "runs", "going", state="running")
    put("status.json", phase="distilling", step=8, total_steps=24)(going)
    with exclusive(going / "lock"):
        app = _open(tmp_path, monkeypatch)
        assert not app.exception
        settings, packs = pictures(app)
        assert settings["look"]["step"] is None and len(packs) == 1
        assert packs[0].header["about"]["run"] == "going"


@pytest.mark.parametrize(
    ("strategy", "state", "matched"),
    [
        ("soft", "finished", []),
        ("all", "finished", [0, 1]),
        ("sid", "finished", [0, 1]),
        ("sid", "running", []),  # it has come to its last stage, of labels alone
    ],
)
def test_the_picture_shows_the_layers_that_were_matched(
    strategy: str, state: str, matched: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of a run of soft labels alone it drew every layer as "being trained now": none ever was."""
    folder = make_run(tmp_path / "runs", "one", strategy=strategy, state=state, student_layers=2)
    put("status.json", phase="distilling", step=8, total_steps=24)(folder)
    lines = [
        json_line({"kind": "stage", "step": step, "epoch": float(step), "stage": stage})
        for step, stage in enumerate(Run(folder).config["stages"])
    ]
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + "".join(lines))
    with exclusive(folder / "lock") if state == "running" else nullcontext():
        app = _open(tmp_path, monkeypatch)
        app.session_state["distil.watched"] = "one"
        app.run()
    assert not app.exception
    drawn, words = next(
        (figure["data"], chart.proto.alt)
        for chart in app.get("plotly_chart")
        for figure in [json.loads(chart.proto.spec)]
        if any(trace.get("name") == "pair" and any(trace["text"]) for trace in figure["data"])
    )
    pairs = [trace for trace in drawn if trace.get("name") == "pair"]
    assert [place for place, trace in enumerate(pairs) if trace["line"]["dash"] == "solid"] == matched
    [labels] = [trace for trace in drawn if trace.get("name") == "classifiers"]
    assert labels["line"]["dash"] == "solid"
    assert ("now" in words) == (state == "running") and ("No layer" in words) == (not matched)


def test_numbers_of_runs_trained_together_say_over_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A KL over the presets stood beside scores of the evaluation examples, as if both were of one set."""
    for strategy in ("soft", "all"):
        folder = make_run(tmp_path / "runs", strategy, strategy=strategy)
        edit_config(folder, together="both")
    app = _open(tmp_path, monkeypatch)
    app.session_state["distil.watched"] = "all"
    app.run()
    [table] = [each.value for each in app.markdown if "| strategy |" in each.value]
    assert f"attention KL on {len(Run(tmp_path / 'runs' / 'all').probes)} presets, nats" in table


def _together(tmp_path: Path, *states: str) -> list[Path]:
    """Runs of the strategies soft, all, sid that were asked for together, in these states."""
    made = []
    for strategy, state in zip(("soft", "all", "sid"), states, strict=False):
        folder = make_run(tmp_path / "runs", strategy, strategy=strategy, state=state, created=_at(-8))
        edit_config(folder, together="both")
        put("status.json", phase="distilling", step=8, total_steps=24, finished=_at(-2))(folder)
        made.append(folder)
    return made


def test_one_of_several_that_has_ended_stands_in_their_table_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The first strategy to end took the top of the page from the five that are watched, as if it alone had
    been asked for.
    """
    _, going = _together(tmp_path, "finished", "running")
    with exclusive(going / "lock"):
        app = _open(tmp_path, monkeypatch)
    assert not app.exception
    assert any("| strategy |" in each.value for each in app.markdown)
    assert "distil.result.attention" not in _keys(app)


def test_a_table_of_runs_without_presets_yet_does_not_count_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """For its first seconds the table said "attention KL on 0 presets"."""
    made = _together(tmp_path, "running", "running")
    for folder in made:
        (folder / "probes.json").unlink()
        (folder / "metrics.jsonl").write_text("")
    with exclusive(made[0] / "lock"), exclusive(made[1] / "lock"):
        app = _open(tmp_path, monkeypatch)
    assert not app.exception
    [table] = [each.value for each in app.markdown if "| strategy |" in each.value]
    assert "attention KL, nats" in table


def test_of_students_that_are_trained_together_a_weak_teacher_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Of one student the page warns that its teacher answers as well as a constant; of five of the same
    teacher it said nothing.
    """
    for folder in _together(tmp_path, "finished", "finished"):
        score = json_line({"kind": "teacher_score", "metrics": {}, "n": 24, "warning": "It is too weak."})
        path = folder / "metrics.jsonl"
        path.write_text(path.read_text() + score)
    app = _open(tmp_path, monkeypatch)
    app.session_state["distil.watched"] = "all"
    app.run()
    assert not app.exception
    said = [each.value.replace("\\", "") for each in app.warning]
    assert said.count("It is too weak.") == 1


@pytest.mark.parametrize("state", ["finished", "failed", "running"])
@pytest.mark.parametrize("is_evaluated", [True, False])
def test_a_score_that_there_is_none_of_is_told_from_one_to_come(
    state: str, is_evaluated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three dots stood for a score that will never come, of answers that are no numbers or of a run that
    failed before: a room would wait for it.
    """
    folder = make_run(tmp_path / "runs", "one", state=state)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    kept = [line for line in lines if is_evaluated or line["kind"] != "eval"]
    for line in kept:
        if line["kind"] == "eval":
            line |= {"metrics": dict.fromkeys(line["metrics"]), "agreement": None}
    (folder / "metrics.jsonl").write_text("".join(map(json_line, kept)))
    with exclusive(folder / "lock") if state == "running" else nullcontext():
        app = _open(tmp_path, monkeypatch)
        app.session_state["distil.watched"] = "one"
        app.run()
    assert not app.exception
    numbers = {each.label: each for each in app.metric}
    score = next(each for label, each in numbers.items() if label.startswith("Student"))
    to_come = state == "running" and not is_evaluated
    assert {score.value, numbers["Agreement"].value} == {"…" if to_come else "–"}
    assert ("no score" in score.proto.help) == is_evaluated


def test_resume_stands_on_top_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without it Resume would be below the fold, in the list of runs."""
    broken = make_run(tmp_path / "runs", "broken", state="running")
    write_json(broken / "config.json", read_json(broken / "config.json") | {"owner": owner_of(TOKEN)})
    app = _open(tmp_path, monkeypatch)
    assert not app.exception
    keys = _keys(app)
    assert keys.index("distil.resume_first.broken") < keys.index("distil.start")


@pytest.mark.parametrize("state", ["stopped", "failed", "finished"])
@pytest.mark.parametrize("is_mine", [True, False])
def test_a_run_that_was_broken_off_goes_on_from_its_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str, is_mine: bool
):
    """Who has pressed Stop too early looked for Resume below the form, in the list of runs."""
    folder = make_run(tmp_path / "runs", "one", state=state)
    edit_config(folder, owner=owner_of(TOKEN if is_mine else b"another browser."))
    app = _open(tmp_path, monkeypatch)
    app.session_state["distil.watched"] = "one"
    app.run()
    assert not app.exception
    keys = _keys(app)
    assert "distil.see.attention" in keys
    assert ("distil.see.resume" in keys) == (is_mine and state != "finished")


def test_two_runs_of_one_name_have_each_its_own_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two buttons of the same words stood side by side: which of them had trained for an hour?"""
    for name, strategy in (("first", "all"), ("second", "all"), ("third", "soft")):
        folder = make_run(tmp_path / "runs", name, strategy=strategy, state="running")
        edit_config(folder, owner=owner_of(TOKEN))
    app = _open(tmp_path, monkeypatch)
    assert not app.exception
    labels = {each.key.rpartition(".")[2]: each.label for each in app.button if "resume_first" in each.key}
    assert len(set(labels.values())) == 3
    assert {name: name in label for name, label in labels.items()} == {
        "first": True,
        "second": True,
        "third": False,
    }


def test_what_was_watched_is_in_sight_after_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who reloads the page at the end of a run found the form on top, and the result nowhere."""
    folder = make_run(tmp_path / "runs", "one", state="running")
    with exclusive(folder / "lock"):
        assert "distil.see.attention" not in _keys(_open(tmp_path, monkeypatch))
    put("status.json", state="finished")(folder)
    time.sleep(0.6)
    assert "distil.see.attention" in _keys(_open(tmp_path, monkeypatch))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    monkeypatch.setattr("kdviz.ui.frame.identity._token", lambda cookie: b"another browser.")
    assert "distil.see.attention" not in _keys(app.switch_page("pages/distil.py").run())
