"""CSV of curves and predictions: what a researcher computes on must be the run's own numbers."""

import csv
import io
import json

import numpy as np
import pytest
from folders import make_run
from hostile import lines

from kdviz.cli import main
from kdviz.runs.reader import Run
from kdviz.share.report import report
from kdviz.share.tables import curves_csv, predictions_csv
from kdviz.training.card import model_card


def rows(text: str) -> list[dict]:
    return list(csv.DictReader(io.StringIO(text)))


def test_curves_are_the_files(tmp_path):
    """A column moved by one gives layer 2 the numbers of layer 1, and nobody sees it."""
    run = Run(make_run(tmp_path, "one", epochs=3))
    found = rows(curves_csv(run))
    evaluated = [row for row in found if row["over"] == "evaluation"]
    assert len(evaluated) == len(run.evals) and len(found) == len(run.evals) + len(run.probe_lines)
    for row, line in zip(evaluated, run.evals):
        assert int(row["step"]) == line["step"] and int(row["n"]) == line["n"]
        mismatch = line["mismatch"]
        for pair, kl, distance in zip(run.pairs, mismatch["attention_kl"], mismatch["cls_distance"]):
            name = f"student_{pair[0] + 1}_teacher_{pair[1] + 1}"
            assert float(row[f"attention_kl_nats_{name}"]) == kl
            assert float(row[f"cls_distance_{name}"]) == distance
        for name, value in line["metrics"].items():
            assert (
                float(row[name]) == value and float(row[f"teacher_{name}"]) == line["teacher_metrics"][name]
            )
    assert [int(row["step"]) for row in found if row["over"] == "presets"] == [
        line["step"] for line in run.probe_lines
    ]


def with_a_further_term(folder):
    """A run that measured a term beside the paper's two."""

    def add(line):
        if "mismatch" in line:
            step = line["step"]
            line["mismatch"]["value_relation"] = [2 + step / 1000, 1 + step / 1000]

    lines(add)(folder)
    return Run(folder)


def test_a_further_term_is_wherever_the_papers_are(tmp_path, capsys):
    """The value relation was drawn, and no table held the numbers it was drawn from."""
    run = with_a_further_term(make_run(tmp_path, "one", epochs=3))
    named = [
        f"value_relation_nats_student_{student + 1}_teacher_{teacher + 1}" for student, teacher in run.pairs
    ]
    found = rows(curves_csv(run))
    for row, line in zip(found, (*run.evals, *run.probe_lines), strict=True):
        assert [float(row[name]) for name in named] == line["mismatch"]["value_relation"]
        assert float(row["matthews"] or 0) == line.get("metrics", {}).get("matthews", 0)
    first, last = run.evals[-1]["mismatch"]["value_relation"]
    card = model_card(run)
    assert "| Value relation (nats) |" in card
    assert [line.split(" | ")[-1] for line in card.splitlines() if line.startswith(("| 1 | ", "| 2 | "))] == [
        f"{first:.3f} |",
        f"{last:.3f} |",
    ]
    html = report(run)
    assert f"Value relation, mean of the layers (nats)</th><td></td><td>{(first + last) / 2:.3f}" in html
    assert "Attention KL, CLS distance and Value relation of every matched pair" in html
    main(["show", "one", "--runs-dir", str(tmp_path)])
    assert f"Value relation {first:.4f} (nats)" in capsys.readouterr().out
    plain = Run(make_run(tmp_path, "plain"))
    assert all(
        "elation (" not in text and "value_rel" not in text for text in (curves_csv(plain), model_card(plain))
    )


def test_predictions_are_the_files(tmp_path):
    """Scores computed from the file must be the run's scores."""
    run = Run(make_run(tmp_path, "one"))
    found, stored = rows(predictions_csv(run)), run.evaluation(run.evaluated_epochs[-1])
    assert [int(row["row"]) for row in found] == stored.index.tolist()
    right = np.mean([row["label"] == row["student_answer"] for row in found])
    assert right == pytest.approx(run.evals[-1]["metrics"]["accuracy"], abs=1e-9)
    assert float(found[3]["teacher_logit_1"]) == pytest.approx(stored.teacher_logits[3, 1], rel=1e-6)
    assert found[0]["label_name"] == run.config["labels"][stored.label[0]]


def test_no_cell_is_a_formula(tmp_path):
    """A label named by a stranger's checkpoint would run in the reader's spreadsheet."""
    folder = make_run(tmp_path, "one")
    config = json.loads((folder / "config.json").read_text())
    config["labels"] = ["=HYPERLINK(1)", '@x,"y\n']
    (folder / "config.json").write_text(json.dumps(config))
    names = {row["label_name"] for row in rows(predictions_csv(Run(folder)))}
    assert names == {"'=HYPERLINK(1)", "'@x,\"y\n"}


def test_a_run_without_answers_says_so(tmp_path):
    """An empty file would look like a run with no examples."""
    folder = make_run(tmp_path, "one")
    for path in (folder / "evaluations").iterdir():
        path.unlink()
    with pytest.raises(KeyError):
        predictions_csv(Run(folder))
