"""Studies: from a file to runs to a table that can be recomputed, whatever breaks on the way."""

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import matthews_corrcoef

from kdviz.cli import main
from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import write_json
from kdviz.runs.reader import RUN_ID, Run
from kdviz.studies import paper
from kdviz.studies.check import check_study
from kdviz.studies.folder import open_study
from kdviz.studies.identity import distinct_ids, is_run_of
from kdviz.studies.measures import why_left_out
from kdviz.studies.render import as_csv, markdown
from kdviz.studies.results import store_results, stored_results
from kdviz.studies.rows import Table
from kdviz.studies.says import says, why_not_the_papers
from kdviz.studies.spec import SIZES, read_study, shipped_studies
from kdviz.studies.statistics import paired_difference, spread
from kdviz.studies.table import best_of, make_table
from kdviz.tasks import TASKS

ROOT = Path(__file__).parents[1]


def write_study(path: Path, tiny, *, grid: str = "", more: str = "", **changes: object) -> Path:
    """A study of runs of a second, soft against all with seeds 0 and 1 unless `grid` says otherwise."""
    settings = dict(
        task="cola",
        source="folder",
        data_dir=str(tiny.glue),
        teacher=str(tiny.checkpoint),
        student_layers=2,
        epochs=1,
        batch_size=8,
        train_size=24,
        max_length=32,
        teacher_epochs=1,
        snapshots=1,
        keep_checkpoints=False,
        dtype_choice="float32",
        **changes,
    )
    lines = ["[settings]", *(f"{name} = {json.dumps(value)}" for name, value in settings.items())]
    lines += ["[grid]", grid or 'strategy = ["soft", "all"]\nseed = [0, 1]', more, "[resources]\ncpus = 1"]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def done(tiny_checkpoint, glue, tmp_path_factory) -> tuple[Path, Path]:
    """(file, runs folder) of a finished study: soft and all, three seeds."""
    tiny = SimpleNamespace(checkpoint=tiny_checkpoint, glue=glue)
    folder = tmp_path_factory.mktemp("study")
    file = write_study(folder / "small.toml", tiny, grid='strategy = ["soft", "all"]\nseed = [0, 1, 2]')
    assert main(["study", str(file), "--runs-dir", str(folder / "runs")]) == 0
    return file, folder / "runs"


# ---- the file


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


def test_names_stay_readable(tmp_path):
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
        ("[resources]\ncpus = 'many'", "as numbers"),
        ("[[rows]]\nlabel = 3", "as texts"),
        ("size = 3", "got size"),
        ("a" + "[" * 3000, "not TOML"),
    ],
)
def test_a_study_that_cannot_be_is_refused_in_one_line(tmp_path, capsys, text, match):
    (tmp_path / "bad.toml").write_text(text)
    assert main(["study", str(tmp_path / "bad.toml"), "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert match in said and said.count("\n") == 1
    assert not (tmp_path / "runs").exists()


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


# ---- carrying it out


def test_a_study_whose_cell_cannot_run_runs_nothing(tiny, tmp_path, capsys):
    """Found out after a night, one wrong cell costs the night."""
    file = write_study(tmp_path / "s.toml", tiny, grid='matching = ["uniform", "custom:0,9"]\nseed = [0, 1]')
    assert main(["study", str(file), "--runs-dir", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr().err
    assert "2 more" not in said and "1 more of 4 runs" in said and "custom" in said
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_says_what_it_costs_and_writes_nothing(tiny, tmp_path, capsys):
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
    assert "s-soft-s0: new, about" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_a_finished_study_is_not_run_again(done, capsys):
    file, runs_dir = done
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


def test_a_run_with_other_settings_is_not_taken_for_the_cells(done, tiny, tmp_path, capsys):
    """A table that mixes runs of two kinds looks like any other."""
    _, runs_dir = done
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    file = write_study(
        tmp_path / "small.toml", tiny, grid='strategy = ["soft"]\nseed = [0]', learning_rate=5e-4
    )
    assert main(["study", str(file), "--runs-dir", str(copy)]) == 2
    assert "other settings (learning_rate)" in capsys.readouterr().err
    assert main(["study", str(file), "--runs-dir", str(copy), "--table", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][0]["n"] == 0


def test_another_studys_runs_of_the_same_settings_are_used(done, tiny, tmp_path, capsys):
    """Training the same thing twice doubles the bill of a study that only asks something else of its runs."""
    _, runs_dir = done
    file = write_study(tmp_path / "other.toml", tiny, grid='strategy = ["all"]\nseed = [0, 1, 2]')
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 0
    assert "all 3 runs are finished" in capsys.readouterr().out
    assert not list(runs_dir.glob("other-*"))


def test_a_failed_cell_is_told_and_the_others_go_on(tiny, tmp_path, capsys, monkeypatch):
    """One broken cell of eighty must not keep the other seventy-nine from being run."""
    from kdviz.jobs import launch

    file, runs_dir = write_study(tmp_path / "s.toml", tiny), tmp_path / "runs"
    genuine = launch.execute

    def execute(folder, **options):
        if folder.name == "s-soft-s1":
            (folder / "config.json").write_text((folder / "config.json").read_text().replace("cola", "mrpc"))
        genuine(folder, **options)

    monkeypatch.setattr(launch, "execute", execute)
    assert main(["study", str(file), "--runs-dir", str(runs_dir)]) == 1
    said = capsys.readouterr()
    assert "s-soft-s1 failed" in said.err and "3 of 4 runs" in said.out
    assert "s-soft-s1" in json.loads((runs_dir / "studies" / "s" / "state.json").read_text())["failed"]


def test_a_teacher_that_cannot_be_made_costs_its_own_runs_alone(tiny, tmp_path, capsys):
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


def test_after_kill_9_a_study_goes_on_and_ends_with_the_same_table(done, tiny, tmp_path):
    """The study of a week is killed once: what it then says must be what it would have said."""
    file, whole = done
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


# ---- the table


def test_the_table_is_what_the_run_folders_say(done, capsys):
    """Every number of a table has to follow from the files of its runs, and the intervals from SciPy."""
    file, runs_dir = done
    assert main(["study", str(file), "--runs-dir", str(runs_dir), "--table", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["settings"] for row in rows] == [{"strategy": "soft"}, {"strategy": "all"}]
    for row in rows:
        lines = [
            json.loads((runs_dir / run / "metrics.jsonl").read_text().splitlines()[-1]) for run in row["runs"]
        ]
        assert row["n"] == len(lines) == 3
        columns = {
            "attention_kl": [np.mean(line["mismatch"]["attention_kl"]) for line in lines],
            "agreement": [line["agreement"] for line in lines],
        }
        columns |= {name: [line["metrics"][name] for line in lines] for name in row["metrics"]}
        for name, values in columns.items():
            found = row["metrics"].get(name) or row[name]
            assert found["mean"] == pytest.approx(np.mean(values), abs=1e-9)
            if np.ptp(values):
                low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
                assert (found["low"], found["high"]) == pytest.approx((low, high), abs=1e-9)


def test_one_seed_has_no_interval_and_no_run_no_number(done, tiny, tmp_path, capsys):
    """What was not run is an empty cell; an interval of one seed would be made up."""
    _, runs_dir = done
    file = write_study(
        tmp_path / "small.toml",
        tiny,
        grid="seed = [0]",
        more='[[rows]]\nstrategy = "all"\n[[rows]]\nstrategy = "sid"\nepochs = 3',
    )
    table = make_table(read_study(file), runs_dir)
    first, second = (row.to_dict() for row in table.rows)
    assert first["n"] == 1 and first["agreement"]["mean"] is not None
    assert first["agreement"]["low"] is first["agreement"]["high"] is None
    assert second["n"] == 0 and second["metrics"] == {}
    assert second["attention_kl"] == {"mean": None, "low": None, "high": None}
    assert "| stacked" in markdown(table)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=9))
def test_the_interval_is_scipys(values):
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    error = stats.sem(values)
    if error > 0:
        interval = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
        assert (found.low, found.high) == pytest.approx(interval, abs=1e-9)
    else:
        assert found.low == found.high == found.mean


def test_the_paired_bootstrap_is_scipys_over_the_same_examples():
    """Resampling the two students apart hides a small difference that every example shows."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 120)
    first = [np.where(rng.random(120) < 0.9, labels, 1 - labels) for _ in range(2)]
    second = [np.where(rng.random(120) < 0.7, labels, 1 - labels) for _ in range(2)]
    found = paired_difference(TASKS["cola"], "matthews", labels, first, second, [0, 1], num_resamples=300)

    def gap(labels, *sides):
        scores = [matthews_corrcoef(labels, side) for side in sides]
        return np.mean(scores[:2]) - np.mean(scores[2:])

    expected = stats.bootstrap(
        (labels, *first, *second),
        gap,
        paired=True,
        vectorized=False,
        n_resamples=300,
        batch=200,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert found.difference == pytest.approx(gap(labels, *first, *second), abs=1e-9)
    scores = [[matthews_corrcoef(labels, each) for each in side] for side in (first, second)]
    assert found.p_seeds == pytest.approx(stats.ttest_rel(*scores).pvalue, abs=1e-9)
    assert found.is_clear


def test_a_student_compared_with_itself_differs_by_nothing():
    labels = np.array([0, 1, 1, 0, 1])
    found = paired_difference(TASKS["rte"], "accuracy", labels, [labels], [labels], [0])
    assert (found.difference, found.low, found.high, found.p_seeds) == (0.0, 0.0, 0.0, None)
    assert not found.is_clear


def test_internal_rows_are_compared_with_soft_labels_seed_by_seed(done):
    file, runs_dir = done
    table = make_table(read_study(file), runs_dir)
    [comparison] = table.comparisons
    assert table.rows[comparison.first].strategy == "all" and table.rows[comparison.second].strategy == "soft"
    assert comparison.difference.seeds == (0, 1, 2) and comparison.metric == "matthews"
    assert len(says(table)) == 2 and "1 comparison" in says(table)[1]
    assert why_not_the_papers(table) == []


def test_a_diverged_run_is_left_out_and_said(done, tmp_path):
    """One run at 2,276,235 nats makes every mean it is in meaningless."""
    file, runs_dir = done
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    path = copy / "small-all-s1" / "metrics.jsonl"
    lines = path.read_text().splitlines()
    last = json.loads(lines[-1])
    last["mismatch"]["attention_kl"] = [2276235.0, 1.0]
    path.write_text("\n".join([*lines[:-1], json.dumps(last)]) + "\n")
    assert "diverged" in why_left_out(Run(copy / "small-all-s1"))
    table = make_table(read_study(file), copy)
    assert table.rows[1].seeds == (0, 2) and list(table.rows[1].left_out) == ["small-all-s1"]
    assert "small-all-s1: it diverged" in markdown(table)


def test_runs_on_other_data_are_left_out_and_said(done, tmp_path):
    """Sample data and GLUE in one mean is a number of neither."""
    file, runs_dir = done
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    path = copy / "small-all-s1" / "config.json"
    record = json.loads(path.read_text())
    record["data"] |= {"source": "sample", "fingerprint": "0" * 16}
    write_json(path, record)
    table = make_table(read_study(file), copy)
    assert "others (sample)" in table.rows[1].left_out["small-all-s1"]


def test_the_best_is_marked_only_where_intervals_part(done):
    file, runs_dir = done
    row = make_table(read_study(file), runs_dir).rows[0]
    apart = [replace(row, metrics={"accuracy": spread(values)}) for values in ([0.9, 0.91], [0.1, 0.11])]
    assert best_of(apart, "accuracy") is apart[0]
    overlapping = [replace(row, metrics={"accuracy": spread(values)}) for values in ([0.9, 0.5], [0.1, 0.5])]
    assert best_of(overlapping, "accuracy") is None
    assert best_of(apart[:1], "accuracy") is None
    single = [replace(row, metrics={"accuracy": spread([value])}) for value in (0.9, 0.1)]
    assert best_of(single, "accuracy") is None


def test_csv_and_markdown_hold_the_same_table(done):
    file, runs_dir = done
    table = make_table(read_study(file), runs_dir)
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [line["strategy"] for line in lines] == ["soft", "all"]
    for line, row in zip(lines, table.rows, strict=True):
        assert float(line["matthews"]) == row.metrics["matthews"].mean
        assert float(line["attention_kl_low"]) == row.values["attention_kl"].low
        assert f"| {row.label} | 3 | " in markdown(table)


def test_the_papers_numbers_stand_beside_with_mark_and_difference(done):
    file, runs_dir = done
    table = make_table(read_study(file), runs_dir)
    rows = [replace(row, paper_row="stacked", task="cola") for row in table.rows]
    beside = rows[0].paper("matthews")
    ours = rows[0].metrics["matthews"].mean
    assert beside == {"value": 0.4609, "mark": "C", "difference": pytest.approx(ours - 0.4609)}
    assert rows[0].paper("accuracy") is None
    shown = markdown(replace(table, rows=tuple(rows)))
    assert "0.4609 (C)" in shown and paper.MARKS["C"] in shown


def test_the_papers_table_begins_with_the_teacher_before_anything_is_run(tmp_path):
    """Its text says that the first row is the teacher: an empty table without one would make that untrue."""
    table = make_table(read_study("paper-table", "minutes"), tmp_path)
    tasks = dict.fromkeys(row.task for row in table.rows)
    assert table.num_runs == 0 and all(table.has_teacher_row(task) for task in tasks)
    said = markdown(table)
    assert said.count("| **teacher** |") == len(tasks)
    for task in tasks:
        number = paper.printed(paper.TEACHER, task, TASKS[task].primary_metric)
        assert number is None or f"{number.value:.4f}" in said


# ---- results that are kept


def test_kept_results_show_without_any_run(done, tmp_path, capsys):
    """Numbers in a repository without where they came from cannot be checked by anybody."""
    file, runs_dir = done
    study, path = read_study(file), tmp_path / "kept" / "small.json"
    assert main(["study", str(file), "--runs-dir", str(runs_dir), "--store", str(path)]) == 0
    [stored] = stored_results(path.parent).values()
    table = make_table(study, runs_dir)
    assert [row.runs for row in stored.table.rows] == [row.runs for row in table.rows]
    for kept, row in zip(stored.table.rows, table.rows, strict=True):
        assert kept.metrics["matthews"].mean == pytest.approx(row.metrics["matthews"].mean, rel=1e-6)
        assert kept.paper_row == row.paper_row
    assert stored.provenance["seeds"] == [0, 1, 2] and stored.provenance["versions"]["torch"]
    assert (
        stored.provenance["data"]["cola"]["fingerprint"] and stored.provenance["machine"]["device"] == "cpu"
    )
    assert len(stored.runs) == 6 and markdown(stored.table)
    assert str(runs_dir) not in path.read_text() and str(file.parent) not in path.read_text()
    assert path.stat().st_size < 20_000


def test_there_is_nothing_to_keep_before_anything_is_finished(done, tmp_path):
    file, _ = done
    with pytest.raises(RequestError, match="finished runs"):
        store_results(read_study(file), tmp_path / "none", tmp_path / "kept.json")


def test_committed_results_can_be_read():
    """A committed table that this version cannot read is missing from the page without a word."""
    from kdviz.studies.results import RESULTS

    assert len(stored_results()) == len(list(RESULTS.glob("*.json")))
    for stored in stored_results().values():
        assert isinstance(Table.from_dict(stored.table.to_dict()), Table)
        assert stored.provenance["data"] and stored.provenance["versions"]


def test_a_default_that_is_new_is_no_other_setting(done):
    """A later version's new setting must not make every run of before a stranger to its study."""
    _, runs_dir = done
    record = dict(Run(runs_dir / "small-all-s0").config)
    config = RunConfig.from_dict(record)
    for name in ("cell", "checkpoints_mb", "warmup_share"):
        record.pop(name)
    assert is_run_of(config, record)
    assert not is_run_of(replace(config, seed=5), record)


def test_the_estimate_counts_only_what_is_left(done, tmp_path):
    file, runs_dir = done
    forecast = check_study(read_study(file), runs_dir)
    assert forecast.open == () and forecast.seconds == 0 and forecast.teachers == {}
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    shutil.rmtree(copy / "small-all-s1")
    forecast = check_study(read_study(file), copy)
    assert [cell.cell.run_id for cell in forecast.open] == ["small-all-s1"]
    assert forecast.teachers == {} and forecast.seconds > 0


# ---- in the app's queue


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


def test_a_study_that_cannot_run_says_so_before_start(tiny, tmp_path):
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


# ---- the page


def test_the_page_shows_table_sentences_and_doors(done, monkeypatch):
    """The page is where a study is read: its numbers have to be those of the table, and open its runs."""
    from streamlit.testing.v1 import AppTest

    file, runs_dir = done
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
