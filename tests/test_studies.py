"""Studies: from a file to runs, whatever breaks on the way."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from studies import write_study

from kdviz.cli import main
from kdviz.errors import RequestError
from kdviz.figures.studies import Band, band_curves
from kdviz.files import size_words, write_json
from kdviz.runs.reader import Run
from kdviz.runs.store import RUN_ID, Store
from kdviz.studies import paper
from kdviz.studies.check import check_study
from kdviz.studies.folder import StudyFolder, open_study, started_studies
from kdviz.studies.identity import distinct_ids
from kdviz.studies.results import stored_results
from kdviz.studies.spec import SIZES, read_study, shipped_studies
from kdviz.studies.table import make_table

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "grid",
    [
        'teacher = ["minilm-l6", "google-bert/bert-base-uncased"]',
        'matching = ["uniform", "custom:0,1"]',
        'terms = [["kl"], ["cos"], ["kl", "cos"]]',
        "active_pairs = [[0], [1]]",
        'data_dir = ["/a", "/b", "~/c d/é"]',
        "learning_rate = [1e-5, 0.0001, 3e-4]",
        "soft_throughout = [true, false]",
        'train_size = ["none", 100]',
        'student_checkpoint = ["none", "minilm-l6"]',
        "seed = [0, 1]\ndata_seed = [0, 1]\ncosine_threshold = [0.1, 0.01]",
    ],
)
def test_every_setting_can_be_swept(tmp_path, grid):
    """A grid that cannot name its runs refuses the study, though every one of its runs is fine by itself."""
    file = tmp_path / ("a study with a rather long name, " * 3 + ".toml")
    file.write_text(f"[settings]\nstudent_layers = 2\n[grid]\n{grid}")
    ids = [cell.run_id for cell in read_study(file).cells]
    assert len(set(ids)) == len(ids) > 1
    assert all(RUN_ID.fullmatch(run_id) and len(run_id) <= 64 for run_id in ids)


VALUES = st.one_of(
    st.text(max_size=80), st.integers(), st.floats(), st.booleans(), st.lists(st.text(max_size=9))
)


@given(st.lists(st.dictionaries(st.text(max_size=40), VALUES, max_size=5), max_size=8, unique_by=repr))
def test_names_are_valid_and_different_whatever_is_swept(changes):
    """Two cells of one name would be one run, and half of the study would be missing without a word."""
    ids = distinct_ids("study", changes)
    assert all(RUN_ID.fullmatch(run_id) for run_id in ids)
    assert len(set(ids)) == len(ids)


def test_studies_in_any_script_have_names_of_their_own(tmp_path):
    """Two studies that are both called x would take each other's folder, table and runs."""
    names = ["研究", "研究 2", "исследование", "!", "a", "a ü", "a ö"]
    ids = []
    for name in names:
        (tmp_path / "any.toml").write_text(f'name = "{name}"\n[grid]\nseed = [0]', encoding="utf-8")
        ids.append(read_study(tmp_path / "any.toml").id)
    assert len(set(ids)) == len(ids) and all(RUN_ID.fullmatch(each) for each in ids) and "a" in ids


def test_names_stay_readable(tmp_path):
    """A run's name is what one finds it by; a hash for every setting says nothing."""
    (tmp_path / "grid.toml").write_text('[grid]\nstrategy = ["soft", "all"]\nseed = [0, 1]')
    ids = [cell.run_id for cell in read_study(tmp_path / "grid.toml").cells]
    assert ids == ["grid-soft-s0", "grid-soft-s1", "grid-all-s0", "grid-all-s1"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[grid]\nstrategy = 3", "a list of values"),
        ("[settings]\nepoch = 3\n[grid]\nseed=[1]", "unknown setting epoch"),
        ("[settings]\nepochs = 0", "epochs: expected a number"),
        (
            '[settings]\nepochs = 2\nstudent_layers = 2\n[grid]\nstrategy = ["soft", "sid"]',
            "needs at least 3",
        ),
        ("[sizes.weeks]", "weeks"),
        ("[tasks.colour]", "colour"),
        ("[show]\nx = 'moon'", "moon"),
        ("[show]\ncolumns = ['moon']", "columns"),
        ("[show]\nx = ['seed']", "got ['seed']"),
        ("[grid]\ninit = ['pretrained', 'random']\n[show]\nx = 'init'", "(parameters alone), got 'init'"),
        ("[grid]\nepochs = [4, 5]\n[show]\nx = 'train_size'", "(parameters, epochs), got 'train_size'"),
        ("[grid]\nseed = [4, 5]\n[show]\nx = 'seed'", "(parameters alone), got 'seed'"),
        ("[show]\ncolums = ['agreement']", "got colums"),
        ("[[rows]]\npaper = 'nope'", "expected paper of a row to be one of teacher"),
        ("[[rows]]\nlabel = 'a'\n[[rows]]\nlabel = 'b'", "rows 'a' and 'b' ask for the same runs"),
        ("name = ''\n[grid]\nseed = [1]", "expected name as a text"),
        ("title = 3\n[grid]\nseed = [1]", "expected title as a text"),
        ("", "got an empty file"),
        (f"[grid]\nseed = {list(range(1000))}\ndata_seed = {list(range(1000))}", "got 1,000,000"),
        ("[resources]\ncpus = 'many'", "as numbers"),
        ("[resources]\ncpus = 0.5", "a whole number from 1"),
        ("[grid]\nactive_pairs = [[0.7], [1]]", "active_pairs: expected a list of whole numbers"),
        ("[grid]\nactive_pairs = [[true]]", "active_pairs: expected a list of whole numbers"),
        ("[settings]\nterms = [1]", "terms: expected a list of names"),
        (f"[settings]\nteacher = '/{'x' * 300}/{'y' * 300}'", "expected one of minilm-l6"),
        ("[[rows]]\nlabel = 3", "as texts"),
        ("size = 3", "got size"),
        (f"[settings]\ntrain_size = {'9' * 400}", "whole numbers of 64 bits"),
        (f"[grid]\nseed = [1, 0x{'f' * 5000}]", "whole numbers of 64 bits"),
        (f"[resources]\ncpus = 0x{'f' * 5000}", "whole numbers of 64 bits"),
        (f"title = 0x{'f' * 5000}", "whole numbers of 64 bits"),
        (f"[settings]\ncache_disk_mb = {'9' * 18}", "at most 1,000,000,000,000"),
        ("a" + "[" * 3000, "not TOML"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_line(tmp_path, capsys, text, match):
    """Found out at its last run, a faulty file costs the hours before it."""
    (tmp_path / "bad.toml").write_text(text)
    assert main(["study", str(tmp_path / "bad.toml"), "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert match in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["state.json", "study.toml"])
def test_a_pipe_in_a_studys_folder_holds_nobody_up(finished_study, tmp_path, name):
    """The Studies page reads these of every study there: one pipe would hold up every viewer for ever."""
    file, runs_dir = finished_study
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    path = copy / "studies" / "small" / name
    path.unlink()
    os.mkfifo(path)
    assert StudyFolder(copy, "small").failed == {}
    assert len(started_studies(copy)) == (name == "state.json")
    assert open_study(file, None, copy).id == "small"


def test_a_started_study_of_an_older_version_keeps_its_table(finished_study, tmp_path):
    """Its file may name an x that is refused today; the numbers are there, and only the curves are not."""
    copy = shutil.copytree(finished_study[1], tmp_path / "runs")
    path = copy / "studies" / "small" / "study.toml"
    path.write_text(path.read_text() + '\n[show]\nx = "init"')
    [study] = started_studies(copy)
    assert study.id == "small" and study.x is None and len(make_table(study, copy).rows) == 2


def test_shipped_studies_hold_at_every_size():
    """A shipped file that a later version refuses is found by the person who wanted to run it."""
    studies = {(name, size): read_study(name, size) for name in shipped_studies() for size in SIZES}
    assert len(studies) == 15
    table = studies["paper-table", "paper"]
    assert len({cell.label for cell in table.cells}) == 7  # and the teacher's is the eighth
    assert {cell.paper_row for cell in table.cells} == set(paper.TABLE) - {paper.TEACHER}
    assert {cell.config.task for cell in table.cells} == {"cola", "qqp", "mrpc", "rte"}
    assert {cell.config.epochs for cell in table.cells} == {50}
    assert all(cell.config.train_size is None for cell in table.cells)
    for study in studies.values():
        assert set(study.columns) and study.about and study.title


def test_only_the_papers_sure_numbers_are_kept():
    """A number that is merely recalled must not be shown as the paper's."""
    marks = {number.mark for row in paper.TABLE.values() for number in row.values()}
    assert marks == set(paper.MARKS) == {"C", "A"}
    assert paper.printed("soft", "rte", "accuracy") is None
    assert paper.printed("stacked", "cola", "matthews") == paper.Printed(value=0.4609, mark="C")
    assert sum(len(row) for row in paper.TABLE.values()) == 30


def test_a_study_whose_cell_cannot_run_runs_nothing(tiny, tmp_path, capsys):
    """Found out after a night, one wrong cell costs the night."""
    file = write_study(tmp_path / "s.toml", tiny, grid='matching = ["uniform", "custom:0,9"]\nseed = [0, 1]')
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "2 more" not in said and "1 more of 4 runs" in said and "custom" in said
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_says_what_it_costs_and_writes_nothing(tiny, tmp_path, capsys):
    """One looks before one spends a night of the machine; a look that leaves files is a start."""
    file = write_study(tmp_path / "s.toml", tiny)
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs"), "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [cell["state"] for cell in said["cells"]] == ["new"] * 4 and len(said["teachers"]) == 1
    teacher = said["teachers"][0]
    assert said["seconds"] == pytest.approx(
        sum(cell["seconds"] for cell in said["cells"]) + teacher["seconds"]
    )
    assert said["disk_bytes"] > sum(cell["disk_bytes"] for cell in said["cells"]) > 0
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs"), "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "s-soft-s0: new, about" in text and f"{size_words(said['memory_bytes'])} of memory" in text
    assert not (tmp_path / "runs").exists()


def test_a_study_the_disk_has_no_room_for_is_refused_before_its_first_run(
    tiny, tmp_path, capsys, monkeypatch
):
    """It would fine-tune teachers for a night, and every run of them would be refused; "0.0 GB are free" says
    nothing.
    """
    file, runs_dir = write_study(tmp_path / "s.toml", tiny), tmp_path / "runs"
    assert main(["study", str(file), "--runs-dir", str(runs_dir), "--dry-run", "--json"]) == 0
    free = json.loads(capsys.readouterr().out)["disk_bytes"] + 2_345
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(2 * free, free, free))
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 2
    said = capsys.readouterr().err
    assert re.search(r"would write about [\d.]+ [kM]B, and there is room for 0\.0 kB at", said), said
    assert not runs_dir.exists()


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [(0, "0.0 kB"), (23_809, "23.8 kB"), (267_900_000, "267.9 MB"), (999e6, "999.0 MB"), (1.94e9, "1.9 GB")],
)
def test_a_size_keeps_what_tells_it_from_another(num_bytes, words):
    """Teacher and student of 438 and 268 MB would stand in the table as 0.4 and 0.3 GB."""
    assert size_words(num_bytes) == words


def test_a_finished_study_is_not_run_again(finished_study, capsys):
    """Asking for a table again would cost the hours of the study again."""
    file, runs_dir = finished_study
    stamps = {path: os.stat(path).st_mtime_ns for path in runs_dir.glob("*/metrics.jsonl")}
    assert len(stamps) == 6
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 0
    assert {path: os.stat(path).st_mtime_ns for path in stamps} == stamps
    assert "all 6 runs are finished" in capsys.readouterr().out
    assert {path.name for path in (runs_dir / "studies" / "small").iterdir()} >= {
        "study.toml",
        "state.json",
        "table.md",
        "table.csv",
        "table.json",
    }
    assert len(list((runs_dir / "teachers").glob("*/model.safetensors"))) == 1


def test_a_run_with_other_settings_is_not_taken_for_the_cells(finished_study, tiny, tmp_path, capsys):
    """A table that mixes runs of two kinds looks like any other."""
    _, runs_dir = finished_study
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    file = write_study(
        tmp_path / "small.toml", tiny, grid='strategy = ["soft"]\nseed = [0]', learning_rate=5e-4
    )
    assert main(["study", str(file), "--runs-dir", str(copy)]) == 2
    assert "other settings (learning_rate)" in capsys.readouterr().err
    assert main(["study", str(file), "--runs-dir", str(copy), "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["n"] == 0


def test_another_studys_runs_of_the_same_settings_are_used(finished_study, tiny, tmp_path, capsys):
    """Training the same thing twice doubles the bill of a study that only asks something else of its runs."""
    _, runs_dir = finished_study
    file = write_study(tmp_path / "other.toml", tiny, grid='strategy = ["all"]\nseed = [0, 1, 2]')
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 0
    assert "all 3 runs are finished" in capsys.readouterr().out
    assert not list(runs_dir.glob("other-*"))


def test_a_failed_cell_is_told_and_the_others_go_on(tiny, tmp_path, capsys, monkeypatch):
    """One broken cell of eighty must not keep the other seventy-nine from being run."""
    from kdviz.jobs import execute as carrying_out

    file, runs_dir = write_study(tmp_path / "s.toml", tiny), tmp_path / "runs"
    genuine = carrying_out.execute

    def execute(folder, **options):
        if folder.name == "s-soft-s1":
            (folder / "config.json").write_text((folder / "config.json").read_text().replace("cola", "mrpc"))
        genuine(folder, **options)

    monkeypatch.setattr(carrying_out, "execute", execute)
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 1
    said = capsys.readouterr()
    assert "s-soft-s1 failed" in said.err and "3 of 4 runs" in said.out
    assert "s-soft-s1" in json.loads((runs_dir / "studies" / "s" / "state.json").read_text())["failed"]


def test_a_teacher_that_cannot_be_made_costs_its_own_runs_alone(tiny, tmp_path, capsys):
    """One diverged teacher would end a study of a night at its beginning."""
    file = write_study(
        tmp_path / "s.toml",
        tiny,
        grid='teacher_learning_rate = [1e-4, 1.0]\nteacher_epochs = [4]\nstrategy = ["soft"]\nseed = [0, 1]',
        max_grad_norm=1e30,
        weight_decay=1.0,
    )
    study = read_study(file)
    broken = "1.0"
    from kdviz.training import teacher_alone

    genuine = teacher_alone.make_teacher

    def make_teacher(request, *arguments, **options):
        if request.config.teacher_learning_rate == 1.0:
            from kdviz.errors import RunFailed

            raise RunFailed("the teacher's fine-tuning diverged at step 3")
        return genuine(request, *arguments, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(teacher_alone, "make_teacher", make_teacher)
        assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs")]) == 1
    said = capsys.readouterr().err
    failed = [cell.run_id for cell in study.cells if f"rate-{broken}" in cell.run_id]
    assert len(failed) == 2 and all(f"{run_id} failed" in said for run_id in failed)
    assert not any((tmp_path / "runs" / run_id).exists() for run_id in failed)


def test_a_relative_teacher_is_the_same_one_from_anywhere(tiny, tmp_path, monkeypatch, capsys):
    """What can be continued from one folder alone is not continued by the service that restarts it."""
    home, away = tmp_path / "home", tmp_path / "away"
    home.mkdir(), away.mkdir()
    shutil.copytree(tiny.checkpoint, home / "m")
    shutil.copytree(tiny.glue, home / "data" / "glue")
    file = write_study(home / "s.toml", tiny, grid="seed = [0, 1]")
    text = file.read_text().replace(str(tiny.checkpoint), "m/").replace(str(tiny.glue), "data/../data/glue/")
    file.write_text(text)
    (away / "elsewhere").mkdir()
    shutil.move(file, away / "elsewhere" / "s.toml")  # the file is beside neither folder: the first start is
    monkeypatch.chdir(home)
    assert main(["study", "../away/elsewhere/s.toml", "--runs-dir", str(tmp_path / "runs")]) == 0
    monkeypatch.chdir(away)
    capsys.readouterr()
    assert main(["study", "elsewhere/s.toml", "--runs-dir", "../runs"]) == 0
    assert "all 2 runs are finished" in capsys.readouterr().out


def test_after_kill_9_a_study_goes_on_and_ends_with_the_same_table(finished_study, tiny, tmp_path):
    """The study of a week is killed once: what it then says must be what it would have said."""
    file, whole = finished_study
    copy, runs_dir = shutil.copy(file, tmp_path / "small.toml"), tmp_path / "runs"
    command = [sys.executable, "-m", "kdviz", "study", str(copy), "--runs-dir", str(runs_dir)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    second = runs_dir / "small-soft-s1" / "metrics.jsonl"
    give_up = time.monotonic() + 120
    while not second.exists() and process.poll() is None and time.monotonic() < give_up:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (runs_dir / "small-all-s2" / "student").exists()
    assert main(["study", str(copy), "--runs-dir", str(runs_dir)]) == 0
    tables = [
        make_table(open_study(path, None, runs), runs).to_dict()
        for path, runs in ((file, whole), (copy, runs_dir))
    ]
    for row in (row for table in tables for row in table["rows"]):
        row["more"].pop("seconds", None)
    assert tables[0] == tables[1]


def test_the_estimate_counts_only_what_is_left(finished_study, tmp_path):
    """A study that is nearly done would be said to take its whole time."""
    file, runs_dir = finished_study
    forecast = check_study(read_study(file), runs_dir)
    assert forecast.open == () and forecast.seconds == 0 and forecast.teachers == {}
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    shutil.rmtree(copy / "small-all-s1")
    forecast = check_study(read_study(file), copy)
    assert [cell.cell.run_id for cell in forecast.open] == ["small-all-s1"]
    assert forecast.teachers == {} and forecast.seconds > 0


def test_a_study_goes_through_the_queue_and_can_be_stopped(tiny, tmp_path):
    """Started in a seminar, a study must leave the room its queue, and be stopped by one click."""
    from kdviz.jobs.queue import Queue
    from kdviz.studies.queued import ENDED, READY, QueuedStudy

    def until(holds) -> None:
        give_up = time.monotonic() + 240
        while not holds():
            assert time.monotonic() < give_up
            time.sleep(0.02)

    runs_dir = tmp_path / "runs"
    study = read_study(write_study(tmp_path / "s.toml", tiny))
    queue = Queue(runs_dir)
    first = QueuedStudy(study, queue)
    until(lambda: first.phase == READY)
    assert len(first.forecast.open) == 4 and not runs_dir.exists()
    first.start({"owner": "me"})
    until(lambda: first.progress.num_done == 1)
    assert len(queue.waiting) <= 1  # others' runs come in between
    first.stop()
    until(lambda: first.phase == ENDED)
    assert first.error is None
    states = [Run(runs_dir / cell.run_id).state for cell in study.cells if (runs_dir / cell.run_id).exists()]
    assert "finished" in states and "running" not in states
    second = QueuedStudy(study, queue)
    until(lambda: second.phase == READY)
    second.start({"owner": "me"})
    until(lambda: second.phase == ENDED)
    queue.close()
    assert second.error is None
    table = make_table(study, runs_dir)
    assert table.num_runs == 4
    assert {Run(runs_dir / cell.run_id).config["owner"] for cell in study.cells} == {"me"}


@pytest.mark.parametrize("ends", ["the run", "the server"])
def test_a_run_of_a_study_that_somebody_stops_has_not_failed(tiny, tmp_path, ends):
    """Pressed on the Distil page, Stop had the study say that the run had failed; where the server ends, the
    study would go on to the next run and call that failed too.
    """
    from kdviz.jobs.queue import Queue
    from kdviz.studies.queued import ENDED, READY, QueuedStudy

    runs_dir, give_up = tmp_path / "runs", time.monotonic() + 120
    grid = 'strategy = ["soft", "hard"]\nepochs = [200]'
    study = read_study(write_study(tmp_path / "s.toml", tiny, grid=grid))
    queue = Queue(runs_dir)
    queued, cells = QueuedStudy(study, queue), study.cells
    while queued.phase != ENDED and time.monotonic() < give_up:
        if queued.phase == READY:
            queued.start({"owner": "me"})
        for run_id in queue.training:
            if Run(runs_dir / run_id).state == "running":
                queue.stop(run_id) if ends == "the run" else queue.close()
        time.sleep(0.02)
    queue.close()
    stopped = [cell.run_id for cell in cells if (runs_dir / cell.run_id).exists()]
    assert {Run(runs_dir / run_id).state for run_id in stopped} == {"stopped"}
    said = dict.fromkeys(stopped, "it was stopped before its end") if ends == "the run" else {}
    assert StudyFolder(runs_dir, study.id).failed == said and len(stopped) == (2 if said else 1)


def test_a_study_that_cannot_run_says_so_before_start(tiny, tmp_path):
    """The page would offer a start that ends in an error for every run."""
    from kdviz.jobs.queue import Queue
    from kdviz.studies.queued import ENDED, QueuedStudy

    study = read_study(write_study(tmp_path / "s.toml", tiny, grid='matching = ["custom:0,9"]'))
    queued = QueuedStudy(study, Queue(tmp_path / "runs"))
    give_up = time.monotonic() + 120
    while queued.phase != ENDED and time.monotonic() < give_up:
        time.sleep(0.02)
    assert "custom" in queued.error
    with pytest.raises(RequestError, match="nothing to start"):
        queued.start({})


def test_every_kind_of_run_of_a_study_is_held_against_the_servers_limits(tiny, tmp_path, monkeypatch):
    """On the page a study would train what the Distil page refuses, as its second row."""
    from kdviz.studies.queued import _check_limits

    file = write_study(tmp_path / "s.toml", tiny, grid="batch_size = [8, 4]\nseed = [0, 1]")
    forecast = check_study(read_study(file), tmp_path / "runs")
    monkeypatch.setenv("KDVIZ_MAX_STEPS", "3")
    with pytest.raises(RequestError, match="steps"):
        _check_limits(forecast, tmp_path / "runs")
    monkeypatch.setenv("KDVIZ_MAX_STEPS", "6")
    _check_limits(forecast, tmp_path / "runs")


def test_a_study_that_goes_on_keeps_the_names_of_its_teachers(tiny, tmp_path):
    """Each start of the asking machine would forget under which names teachers came back, and have every one
    of them made again.
    """
    folder = StudyFolder(tmp_path, "s")
    study = read_study(write_study(tmp_path / "s.toml", tiny))
    with folder.carrying_out(study, "ray"):
        folder.note({"teachers": {"here": "there"}, "failed": {"s-soft-s0": "it was lost"}})
    with folder.carrying_out(study, "ray"):
        assert folder.state["teachers"] == {"here": "there"} and folder.failed == {}


def test_a_runs_folder_that_cannot_be_made_is_called_so(tiny, tmp_path, capsys):
    """The folder of the study's lock is the first to be made: a wrong --runs-dir was a broken disk."""
    file = write_study(tmp_path / "s.toml", tiny)
    assert main(["study", str(file), "--runs-dir", "/proc/no such folder"]) == 2
    said = capsys.readouterr().err
    assert "expected a folder that can be written" in said and "choose another with --runs-dir" in said


def test_the_page_shows_table_sentences_and_doors(finished_study, monkeypatch):
    """The page is where a study is read: its numbers have to be those of the table, and open its runs."""
    from streamlit.testing.v1 import AppTest

    file, runs_dir = finished_study
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(runs_dir))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.query_params["study"] = "own:small"
    page.switch_page("pages/studies.py").run()
    assert not page.exception and not page.warning
    table = make_table(read_study(file), runs_dir)
    assert "small" in page.selectbox[0].value
    [shown] = [each.value for each in page.dataframe if "seeds" in each.value][:1]
    assert list(shown["student"])[1:] == [row.label for row in table.rows]
    assert list(shown["matthews"])[1:] == [row.metrics["matthews"].mean for row in table.rows]
    text = " ".join(each.value for each in page.markdown)
    assert "Outside" in text
    assert len(page.get("plotly_chart")) >= 1
    for entry in page.selectbox[0].options[:6]:
        page.selectbox[0].select(entry).run()
        assert not page.exception and not page.warning


def test_a_kept_tables_doors_lead_to_the_runs_behind_its_numbers(finished_study, monkeypatch):
    """Who carries out a study whose results are kept with kdviz has runs of the same names, with other
    numbers: they stood behind the buttons of the kept table.
    """
    from kdviz.ui.studies import table as page
    from kdviz.ui.studies.choose import Entry

    file, runs_dir = finished_study
    row = make_table(read_study(file), runs_dir).rows[0]
    shown, said = [], []
    monkeypatch.setattr(page, "store", lambda: Store(runs_dir))
    monkeypatch.setattr(page.st, "button", lambda *args, **more: shown.append(more["args"]))
    monkeypatch.setattr(page.st, "caption", said.append)
    page._doors(Entry(key="own:small", title="", size=None), row)
    assert len(shown) == row.n and not said
    del shown[:]
    kept = next(iter(stored_results().values()))
    page._doors(Entry(key="kept:small", title="", size=None, stored=kept), row)
    assert not shown and "not on this server" in said[0]


def test_the_page_says_what_was_left_out_as_soon_as_it_is(finished_study, tmp_path, monkeypatch):
    """A table that was kept until another run finished did not know of a failure; and of a run that was left
    out the page said that it had not been run.
    """
    from streamlit.testing.v1 import AppTest

    copy = Path(shutil.copytree(finished_study[1], tmp_path / "runs"))
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(copy))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.query_params["study"] = "own:small"
    page.switch_page("pages/studies.py")
    status = copy / "small-all-s1" / "status.json"
    before = status.read_text()

    def captions(**changes) -> str:
        write_json(status, {**json.loads(before), **changes})
        page.run()
        assert not page.exception
        return " ".join(each.value for each in page.caption)

    assert "5 of 6 runs are in the table; 1 not finished." in captions(state="stopped")
    failed = "5 of 6 runs are in the table; 1 left out: choose their row to see why."
    assert failed in captions(state="failed", error="the loss became nan")
    assert "in the table" not in captions()


def test_the_table_of_a_study_that_goes_on_elsewhere_follows(finished_study, tmp_path, monkeypatch):
    """The page said that it follows, and stood still until somebody clicked."""
    from kdviz.locks import exclusive
    from kdviz.ui.frame import store as ui_store
    from kdviz.ui.studies import watch

    copy = Path(shutil.copytree(finished_study[1], tmp_path / "runs"))
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(copy))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    study, paces = StudyFolder(copy, "small").study(), []
    monkeypatch.setattr(
        watch, "fragment", lambda draw, run_every=None: paces.append(run_every) or (lambda *args: None)
    )
    watch.start_or_watch(study, None)
    with exclusive(StudyFolder(copy, "small").folder / "lock"):
        watch.start_or_watch(study, None)
        drawn = watch._signature(study, None)
        write_json(copy / "small-all-s1" / "status.json", {"state": "stopped"})
        assert watch._signature(study, None) != drawn
    assert paces == [None, watch.ELSEWHERE_SECONDS]


def test_each_teacher_has_a_line_of_its_own():
    """Two teachers at the same places were drawn as one line, that of the last row."""
    kept = stored_results()["depth-minutes"].table
    [(name, _)] = kept.teacher_lines(kept.rows, "accuracy")
    assert kept.x == "student_layers" and name == "the teacher"
    names = (*kept.names, "learning_rate")
    rows = [
        replace(row, settings={**row.settings, "learning_rate": rate}, teacher={"accuracy": score})
        for rate, score in ((1e-4, 0.8), (1e-5, 0.6))
        for row in kept.rows
    ]
    lines = replace(kept, names=names, rows=tuple(rows)).teacher_lines(rows, "accuracy")
    assert [set(scores.values()) for _, scores in lines] == [{0.8}, {0.6}]
    assert [sorted(scores) for _, scores in lines] == [[1, 2, 3, 4, 5, 6]] * 2
    assert len({name for name, _ in lines}) == 2


def test_curves_of_one_seed_claim_no_interval():
    """With one seed the heading promised an interval over seeds that nothing drew."""
    for low, said in (([0.5, 0.6], "interval over the seeds"), ([None, None], "of one seed")):
        band = Band(label="all", strategy="all", x=[1, 2], means=[0.7, 0.8], low=low, high=low)
        heading = band_curves([band], x_name="x", y_name="y").layout.annotations[0].text
        assert heading.endswith(said)


def test_the_study_in_sight_is_in_the_link_and_stays(finished_study, monkeypatch):
    """Who sent the address of a study had the other see the first of the list; so did a reload, and a look at
    another page.
    """
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(finished_study[1]))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.switch_page("pages/studies.py").run()
    asked = {"study": "own:small", "task": "cola"}
    page.selectbox[0].select(next(each for each in page.selectbox[0].options if "small" in each)).run()
    assert {name: page.query_params.get(name) for name in asked} == asked
    page.selectbox[0].select_index(0).run()
    page.segmented_control[0].set_value("rte").run()
    asked = {name: page.query_params[name] for name in asked}
    assert asked["task"] == "rte"
    page.switch_page("pages/layers.py").run()
    page.query_params.clear()
    page.switch_page("pages/studies.py").run()
    assert {name: page.query_params.get(name) for name in asked} == asked
    other = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for name, value in asked.items():
        other.query_params[name] = value
    other.switch_page("pages/studies.py").run()
    assert not other.exception and other.selectbox[0].index == 0
    assert {name: other.query_params.get(name) for name in asked} == asked


def test_a_study_that_is_not_here_is_said(finished_study, monkeypatch):
    """An old link would show another study's numbers under the name that the reader has in mind."""
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(finished_study[1]))
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    page.query_params["study"] = "own:gone"
    page.switch_page("pages/studies.py").run()
    assert not page.exception and any("no study `own:gone`" in info.value for info in page.info)
