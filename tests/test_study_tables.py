"""The table of a study: its numbers, their intervals, what is left out, and what of it is kept."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from scipy import stats
from sklearn.metrics import matthews_corrcoef
from studies import write_study

from kdviz.analysis.answers import Farther
from kdviz.analysis.apart import apart
from kdviz.cli import main
from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.files import write_arrays, write_json
from kdviz.metrics import paired_interval
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.runs.store import Store
from kdviz.studies import paper
from kdviz.studies.identity import is_run_of
from kdviz.studies.measures import why_left_out
from kdviz.studies.render import as_csv, markdown
from kdviz.studies.results import store_results, stored_results
from kdviz.studies.rows import Table
from kdviz.studies.says import says, why_not_the_papers
from kdviz.studies.spec import read_study
from kdviz.studies.statistics import paired_difference, spread
from kdviz.studies.table import best_of, make_table, with_inside
from kdviz.tasks import TASKS
from kdviz.text import times_text


def test_the_table_is_what_the_run_folders_say(finished_study, capsys):
    """Every number of a table has to follow from the files of its runs, and the intervals from SciPy."""
    file, runs_dir = finished_study
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


def test_one_seed_has_no_interval_and_no_run_no_number(finished_study, tiny, tmp_path, capsys):
    """What was not run is an empty cell; an interval of one seed would be made up."""
    _, runs_dir = finished_study
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
    """An interval by the normal distribution is half as wide as it should be for three seeds."""
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    error = stats.sem(values)
    if error > 0:
        interval = stats.t.interval(0.95, len(values) - 1, loc=np.mean(values), scale=error)
        assert (found.low, found.high) == pytest.approx(interval, abs=1e-9)
    else:
        assert found.low == found.high == found.mean


def test_a_difference_is_of_the_same_examples_and_of_every_seed():
    """Resampling the two students apart hides a small difference that every example shows."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 120)
    first = [np.where(rng.random(120) < 0.9, labels, 1 - labels) for _ in range(2)]
    second = [np.where(rng.random(120) < 0.7, labels, 1 - labels) for _ in range(2)]
    found = paired_difference(TASKS["cola"], "matthews", labels, first, second, [0, 1])
    scores = [[matthews_corrcoef(labels, each) for each in side] for side in (first, second)]
    assert found.difference == pytest.approx(np.mean(scores[0]) - np.mean(scores[1]), abs=1e-9)
    assert (found.low, found.high) == paired_interval(TASKS["cola"], "matthews", labels, first, second)
    assert found.p_seeds == pytest.approx(stats.ttest_rel(*scores).pvalue, abs=1e-9)
    assert found.num_examples == 120 and found.is_told_apart


def test_a_student_compared_with_itself_differs_by_nothing():
    """Where nothing differs every resample is 0: no division by it, and no verdict."""
    labels = np.array([0, 1, 1, 0, 1])
    found = paired_difference(TASKS["rte"], "accuracy", labels, [labels], [labels], [0])
    assert (found.difference, found.low, found.high, found.p_seeds) == (0.0, 0.0, 0.0, None)
    assert not found.is_told_apart


def test_internal_rows_are_compared_with_soft_labels_seed_by_seed(finished_study):
    """Compared with another row, or across seeds, the difference is not of the method."""
    file, runs_dir = finished_study
    table = make_table(read_study(file), runs_dir)
    [comparison] = table.comparisons
    assert table.rows[comparison.first].strategy == "all" and table.rows[comparison.second].strategy == "soft"
    assert comparison.difference.seeds == (0, 1, 2) and comparison.metric == "matthews"
    assert len(says(table)) == 1 + (comparison.inside is not None) and "1 comparison" in says(table)[-1]
    assert why_not_the_papers(table) == []


def test_how_much_farther_inside_is_said_by_the_one_rule(finished_study, tmp_path):
    """Without it a study would print a ratio of two means whatever the examples say, beside pages that do
    not.
    """
    file, runs_dir = finished_study
    runs_dir = Path(shutil.copytree(runs_dir, tmp_path / "runs"))
    for path in runs_dir.glob("small-*/evaluations/*.safetensors"):
        arrays = load_file(path)  # all agree with the teacher, so that there is something to compare
        write_arrays(path, {**arrays, "student_logits": arrays["teacher_logits"]})
    table = make_table(read_study(file), runs_dir)
    [comparison] = table.comparisons
    sides = [
        [Run(runs_dir / run) for run in table.rows[row].runs] for row in (comparison.first, comparison.second)
    ]
    assert comparison.inside == apart(*sides).farther and len(says(table)) == 2
    kept = Table.from_dict(json.loads(json.dumps(table.to_dict())))
    assert kept.comparisons[0].inside == comparison.inside
    lost = replace(table, comparisons=(replace(comparison, inside=None),))
    assert says(lost)[0].startswith("Outside") and "inside" not in markdown(lost).partition("Against")[2]
    runs = {run.id: run for side in sides for run in side}
    assert with_inside(lost, runs) == table and with_inside(lost, {}) == lost


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        (
            {"train_size": [500, "none"], "strategy": ["all"]},
            "+0.100 [+0.050, +0.150] at 500 and +0.200 [+0.150, +0.250] at all training examples.",
        ),
        ({"learning_rate": [1e-4, 3e-4], "strategy": ["all"]}, "at 0.0001 and .* at 0.0003 learning rate."),
        ({"task": ["cola", "rte"], "student_layers": [1, 2], "strategy": ["all"]}, "of 4 comparisons"),
        ({"student_layers": [1, 2], "strategy": ["all", "sid"]}, "of 4 comparisons"),
    ],
)
def test_a_trend_is_that_of_one_line(finished_study, tmp_path, varied, said):
    """Its two ends would else be two tasks, or two strategies, in one sentence under one metric's name, and
    a small number would be 0.
    """
    x = next(name for name in varied if name not in ("task", "strategy"))
    grid = "\n".join(f"{name} = {json.dumps(values)}" for name, values in varied.items())
    (tmp_path / "line.toml").write_text(f"[settings]\nsource = 'sample'\n[grid]\n{grid}\n[show]\nx = '{x}'")
    table = make_table(read_study(tmp_path / "line.toml"), tmp_path)
    [each] = make_table(read_study(finished_study[0]), finished_study[1]).comparisons
    leads = [
        replace(
            each,
            first=place,
            metric=TASKS[row.task].primary_metric,
            difference=replace(
                each.difference, difference=(place + 1) / 10, low=place / 10 + 0.05, high=place / 10 + 0.15
            ),
        )
        for place, row in enumerate(table.rows)
    ]
    table = replace(table, comparisons=tuple(leads))
    assert said in says(table)[-1] or re.search(said, says(table)[-1])
    kept = Table.from_dict(json.loads(json.dumps(table.to_dict())))
    assert says(kept) == says(table)


def test_a_curve_joins_rows_that_differ_in_what_is_varied_alone(tmp_path):
    """Rows without a label of their own are named by all that varies: a line for each name had one point."""
    (tmp_path / "lines.toml").write_text(
        "[settings]\nsource = 'sample'\n[grid]\nstudent_layers = [1, 2]\nstrategy = ['soft', 'all']\n"
        "hard_labels = [false, true]\n[show]\nx = 'student_layers'"
    )
    table = make_table(read_study(tmp_path / "lines.toml"), tmp_path)
    lines = table.lines(table.rows)
    assert [(label, [table.x_of(row) for row in rows]) for label, rows in lines] == [
        ("soft labels, hard labels False", [1, 2]),
        ("soft labels, hard labels True", [1, 2]),
        ("all layers at once, hard labels False", [1, 2]),
        ("all layers at once, hard labels True", [1, 2]),
    ]


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([(1, 8.0, 7.5, 8.6), (1, 9.0, 8.4, 9.7)], "8.0 to 9.0 times as far .*median.* 7.5 to 9.7"),
        ([(1, 8.0, 7.5, 8.6), (1, 1.02, 0.9, 1.2)], "1 ends closer .*, 0 farther, and 1 cannot be told"),
        ([(1, 1.02, 0.9, 1.2)], "cannot tell"),
        ([(0, 2.0, 1.5, 2.6)], "0 end closer .*, 1 farther, and 0 cannot be told"),
    ],
)
def test_a_study_says_of_the_inside_what_its_intervals_say(finished_study, found, said):
    """1.0 times, or twice as far the other way round, must never read as a result for the method."""
    file, runs_dir = finished_study
    table = make_table(read_study(file), runs_dir)
    each = table.comparisons[0]
    sides = [Farther(place=p, times=t, low=low, high=h, num_examples=99) for p, t, low, h in found]
    table = replace(table, comparisons=tuple(replace(each, inside=side) for side in sides))
    assert re.search(said, says(table)[0])
    for side, line in zip(sides, [line for line in markdown(table).splitlines() if "; inside" in line]):
        number = f"{times_text(side.times if side.place == 1 else 1 / side.times)} times as far"
        assert (number in line) == side.is_told_apart and "99 examples" in line


def _with_gaps(table: Table, *gaps: tuple) -> Table:
    """The table with comparisons of these (difference, low, high, p over the seeds, seeds)."""
    [each] = table.comparisons
    return replace(
        table,
        comparisons=tuple(
            replace(
                each,
                difference=replace(
                    each.difference, difference=difference, low=low, high=high, p_seeds=p, seeds=seeds
                ),
            )
            for difference, low, high, p, seeds in gaps
        ),
    )


def test_students_that_answer_alike_and_other_seeds_are_said_beside_the_counts(finished_study):
    """Ten of twenty comparisons were of students that give one answer to everything: counted as found level,
    they read as evidence. And a lead of one seed was called clear.
    """
    table = make_table(read_study(finished_study[0]), finished_study[1])
    level, three = (0.0, 0.0, 0.0, None, (0, 1, 2)), (0, 1, 2)
    said = says(_with_gaps(table, level, level, (0.01, -0.1, 0.1, 0.5, three)))[-1]
    assert "3 cannot be told apart on them (2 because both sides are right on the very same ones)." in said
    told = [(0.1, 0.05, 0.2, None, (0,)), (0.1, 0.05, 0.2, 0.01, three), (-0.1, -0.2, -0.05, 0.2, three)]
    said = says(_with_gaps(table, *told))[-1]
    assert "2 are better on these examples, 1 worse, and 0 cannot" in said and "very same" not in said
    assert "Of the 3 told apart, 2 may be otherwise with other seeds." in said
    assert "other seeds" not in says(_with_gaps(table, told[1]))[-1]
    assert says(_with_gaps(table, told[0]))[-1].endswith("With other seeds that one may be otherwise.")


def test_shares_of_mistakes_are_over_the_tasks_that_have_both_sides(finished_study):
    """While a study goes, soft labels of one task stood against internal students of another."""
    table = make_table(read_study(finished_study[0]), finished_study[1])
    soft, internal = table.rows

    def row(one, task: str, share: float | None):
        values = {} if share is None else dict.fromkeys(("repeated_mistakes", "kept_right"), spread([share]))
        return replace(one, task=task, values=values)

    both = (row(soft, "cola", 0.4), row(internal, "cola", 0.6))
    begun = (row(soft, "rte", 0.9), row(internal, "rte", None))
    columns = ("repeated_mistakes", "kept_right")
    for rows in (both, (*both, *begun)):
        said = says(replace(table, rows=rows, columns=columns))[-1]
        assert "repeats 60% " in said and "these are 40% and 40%" in said
    assert not any("mistakes" in said for said in says(replace(table, rows=begun, columns=columns)))


def test_a_ratio_over_presets_is_not_said_to_be_over_examples(finished_study, tmp_path):
    """Where no student gives the teacher's answer on six examples, the presets stood in for them unsaid."""
    file, runs_dir = finished_study
    copy = Path(shutil.copytree(runs_dir, tmp_path / "runs"))
    for path in copy.glob("small-*/evaluations/*.safetensors"):
        arrays = load_file(path)
        write_arrays(path, {**arrays, "student_logits": -arrays["teacher_logits"]})
    for path in copy.glob("small-*/metrics.jsonl"):
        teacher = {each.id: list(each.teacher_logits) for each in Run(path.parent).probes}
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            for name, probe in (line.get("probes") or {}).items():
                probe["student_logits"] = teacher[name]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    table = make_table(read_study(file), copy)
    sides = [[Run(copy / run) for run in row.runs] for row in table.rows]
    assert apart(*sides).over == "presets" and table.comparisons[0].inside is None
    runs = {run.id: run for side in sides for run in side}
    assert with_inside(table, runs).comparisons[0].inside is None


def test_a_diverged_run_is_left_out_and_said(finished_study, tmp_path):
    """One run at 2,276,235 nats makes every mean it is in meaningless."""
    file, runs_dir = finished_study
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


@pytest.mark.parametrize("broken", ["failed", "unreadable", "stopped"])
def test_a_run_that_failed_is_named_with_its_reason(finished_study, tmp_path, broken):
    """Training ends where a loss is not finite, so the worst runs of all vanished from the table."""
    file, runs_dir = finished_study
    copy = Path(shutil.copytree(runs_dir, tmp_path / "runs"))
    run = copy / "small-all-s1"
    if broken == "unreadable":
        (run / "config.json").write_text("{")
    else:
        status = json.loads((run / "status.json").read_text())
        error = "the loss became nan\nat step 16\x1b[2J" if broken == "failed" else None
        (run / "status.json").write_text(json.dumps({**status, "state": broken, "error": error}))
    table = make_table(read_study(file), copy)
    assert table.rows[1].seeds == (0, 2) and table.rows[1].num_cells == 3
    said = {
        "failed": "it failed: the loss became nan at step 16",
        "unreadable": "its folder cannot be read",
        "stopped": "",
    }[broken]
    assert list(table.rows[1].left_out) == (["small-all-s1"] if said else [])
    assert said in "".join(table.rows[1].left_out.values()) and "\x1b" not in markdown(table)
    assert (f"Left out of every mean: small-all-s1: {said}" in markdown(table)) == bool(said)


def test_runs_on_other_data_are_left_out_and_said(finished_study, tmp_path):
    """Sample data and GLUE in one mean is a number of neither."""
    file, runs_dir = finished_study
    copy = shutil.copytree(runs_dir, tmp_path / "runs")
    path = copy / "small-all-s1" / "config.json"
    record = json.loads(path.read_text())
    record["data"] |= {"source": "sample", "fingerprint": "0" * 16}
    write_json(path, record)
    table = make_table(read_study(file), copy)
    assert "others (sample)" in table.rows[1].left_out["small-all-s1"]


@pytest.mark.parametrize("whose", ["teacher", "student"])
def test_runs_of_other_weights_are_left_out_and_said(finished_study, tiny, tmp_path, capsys, whose):
    """Weights that were replaced in the same folder change no setting: a mean over students of two teachers
    looks like any other. A study whose finished runs had other weights would train the rest for nothing.
    """
    _, runs_dir = finished_study
    copy, checkpoint = Path(shutil.copytree(runs_dir, tmp_path / "runs")), str(tiny.checkpoint)
    path = copy / "small-soft-s0" / "config.json"
    write_json(path, {**json.loads(path.read_text()), f"{whose}_weights_sha256": "f" * 64})
    more = {"student_checkpoint": checkpoint} if whose == "student" else {}
    for record in copy.glob("small-*/config.json"):
        sums = {f"{whose}_weights_sha256": "0" * 64} if record != path else {}
        write_json(record, {**json.loads(record.read_text()), **more, **sums, "cell": None})
    grid = 'strategy = ["soft", "all"]\nseed = [0, 1, 2, 3]'
    file = write_study(tmp_path / "small.toml", tiny, grid=grid, **more)
    table = make_table(read_study(file), copy)
    assert [row.seeds for row in table.rows] == [(0,), ()]
    assert f"{whose}" in table.rows[0].left_out["small-soft-s1"]
    assert "weights are others (000000000000) than those of the other runs (ffffffffffff)" in markdown(table)
    assert main(["study", str(file), "--runs-dir", str(copy), "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "1 more of 8 runs" in said and "weights are others" in said and "finished runs (ffffff" in said


def test_a_study_goes_on_with_the_examples_it_began_with(tiny, tmp_path, monkeypatch, capsys):
    """Continued from a shell in which KDVIZ_GLUE_DIR says otherwise, a night of runs would be left out of
    every mean.
    """
    monkeypatch.delenv("KDVIZ_GLUE_DIR", raising=False)
    file, runs_dir = tmp_path / "s.toml", str(tmp_path / "runs")

    def study(grid: str) -> list[str]:
        text = write_study(file, tiny, grid=grid, eval_size=20).read_text()
        text = re.sub("source = .*\ndata_dir = .*", 'source = "sample"', text)
        file.write_text(text.replace('"sample"', '"auto"'))
        return ["study", str(file), "--runs-dir", runs_dir]

    assert main(study('strategy = ["soft"]\nseed = [0]')) == 0
    more = study('strategy = ["soft"]\nseed = [0, 1, 2]')
    assert main([*more, "--dry-run"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tiny.glue))
    assert main([*more, "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "1 more of 3 runs" in said and "KDVIZ_GLUE_DIR" in said
    assert "others (folder) than those of the study's finished runs (sample)" in said
    begun = Path(runs_dir, "s-soft-s1")  # one that began then goes on with its own examples
    shutil.copytree(Path(runs_dir, "s-soft-s0"), begun)
    write_json(begun / "config.json", {**json.loads((begun / "config.json").read_text()), "seed": 1})
    write_json(begun / "status.json", {"state": "stopped"})
    assert main([*study('strategy = ["soft"]\nseed = [0, 1]'), "--dry-run"]) == 0


def test_the_best_is_marked_only_where_intervals_part(finished_study):
    """A bold number that other seeds would take away is a claim that was not measured."""
    file, runs_dir = finished_study
    row = make_table(read_study(file), runs_dir).rows[0]
    apart = [replace(row, metrics={"accuracy": spread(values)}) for values in ([0.9, 0.91], [0.1, 0.11])]
    assert best_of(apart, "accuracy") is apart[0]
    overlapping = [replace(row, metrics={"accuracy": spread(values)}) for values in ([0.9, 0.5], [0.1, 0.5])]
    assert best_of(overlapping, "accuracy") is None
    assert best_of(apart[:1], "accuracy") is None
    single = [replace(row, metrics={"accuracy": spread([value])}) for value in (0.9, 0.1)]
    assert best_of(single, "accuracy") is None
    for scores in ([[0.695] * 3, [0.685] * 3], [[0.69, 0.7], [0.6] * 2]):  # 139 of 200, three times over
        level = [replace(row, metrics={"accuracy": spread(values)}) for values in scores]
        assert best_of(level, "accuracy") is None


def test_csv_and_markdown_hold_the_same_table(finished_study):
    """Who takes the file home would have other numbers than who copies the page."""
    file, runs_dir = finished_study
    table = make_table(read_study(file), runs_dir)
    lines = list(csv.DictReader(io.StringIO(as_csv(table))))
    assert [line["strategy"] for line in lines] == ["soft", "all"]
    for line, row in zip(lines, table.rows, strict=True):
        assert float(line["matthews"]) == row.metrics["matthews"].mean
        assert float(line["attention_kl_low"]) == row.values["attention_kl"].low
        assert f"| {row.label} | 3 | " in markdown(table)


def test_the_papers_numbers_stand_beside_with_mark_and_difference(finished_study):
    """Without its mark a number read from a figure would pass for the paper's table."""
    file, runs_dir = finished_study
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


def test_kept_results_show_without_any_run(finished_study, tmp_path, capsys):
    """Numbers in a repository without where they came from cannot be checked by anybody."""
    file, runs_dir = finished_study
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
    path.unlink()
    capsys.readouterr()
    command = ["study", str(file), "--runs-dir", str(runs_dir), "--table", "--json", "--store", str(path)]
    assert main(command) == 0 and path.exists()  # both were asked for
    assert json.loads(capsys.readouterr().out)["study"] == study.id
    assert path.stat().st_size < 20_000


def test_there_is_nothing_to_keep_before_anything_is_finished(finished_study, tmp_path):
    """An empty table would be committed as a result."""
    file, _ = finished_study
    with pytest.raises(RequestError, match="finished runs"):
        store_results(read_study(file), tmp_path / "none", tmp_path / "kept.json")


def test_committed_results_can_be_read():
    """A committed table that this version cannot read is missing from the page without a word."""
    from kdviz.studies.results import RESULTS

    assert len(stored_results()) == len(list(RESULTS.glob("*.json")))
    for stored in stored_results().values():
        assert isinstance(Table.from_dict(stored.table.to_dict()), Table)
        assert stored.provenance["data"] and stored.provenance["versions"]


def test_a_default_that_is_new_is_no_other_setting(finished_study):
    """A later version's new setting must not make every run of before a stranger to its study."""
    _, runs_dir = finished_study
    record = dict(Run(runs_dir / "small-all-s0").config)
    config = RunConfig.from_dict(record)
    for name in ("cell", "checkpoints_mb", "warmup_share"):
        record.pop(name)
    assert is_run_of(config, record)
    assert not is_run_of(replace(config, seed=5), record)


def test_kept_results_say_how_sure_they_are_of_the_inside():
    """They are kept without their runs; where the stored demo has these, it has what an interval needs, and
    elsewhere no ratio is said.
    """
    demo = {run.id: run for run in Store(DEMO_RUNS).runs()}
    there = 0
    for name, kept in stored_results().items():
        table = with_inside(kept.table, demo)
        if all(run in demo for row in table.rows for run in row.runs):
            there += 1
            assert all(each.inside for each in table.comparisons), name
            assert "95 % interval" in says(table)[0] or "cannot" in says(table)[0]
        elif not any(each.inside for each in table.comparisons):
            assert "times as far" not in " ".join(says(table))
    assert there
