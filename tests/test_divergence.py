"""A diverged training is marked against its own start, wherever it could be taken for a result."""

import json
from pathlib import Path

import pytest
from folders import make_run
from hostile import lines
from streamlit.testing.v1 import AppTest

from kdviz.analysis.comparable import comparable
from kdviz.analysis.divergence import divergence
from kdviz.cli import main
from kdviz.runs.reader import Run
from kdviz.share.report import report
from kdviz.ui.frame import store as ui_store
from kdviz.ui.frame.scores import by_strategy


def at_the_end(change):
    """Change the eval lines behind the start, in place."""
    return lines(lambda line: line["kind"] == "eval" and line["step"] > 0 and change(line))


ENDS = {
    "attention": lambda line: line["mismatch"].update(attention_kl=[2_276_235.0, 3.0]),
    "one-layer": lambda line: line["mismatch"].update(attention_kl=[0.1, 400.0]),
    "not-finite": lambda line: line["mismatch"].update(attention_kl=[None, 0.2]),
    "output": lambda line: line.update(logit_kl=883.0),
    "no-output": lambda line: line.update(logit_kl=None),
    "no-score": lambda line: line.update(metrics={"matthews": None, "accuracy": None}),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_is_divergence(tmp_path: Path, name: str):
    """`--learning-rate 1` ended as "finished" with an attention KL of two million nats and no mark."""
    run = make_run(tmp_path, name)
    assert divergence(Run(run)) is None
    at_the_end(ENDS[name])(run)
    assert divergence(Run(run))


def test_what_is_none(tmp_path: Path):
    """Soft labels leave the inside free: an honest drift is not a broken run; nor are values that
    were never there, as the CLS distance between two widths.
    """
    drift = make_run(tmp_path, "drift", strategy="soft")
    lines(
        lambda line: (
            line["kind"] == "eval"
            and (
                line["mismatch"].update(attention_kl=[1.3, 1.3] if line["step"] else [0.12, 0.12]),
                line.update(logit_kl=4.0 if line["step"] else 0.3),
            )
        )
    )(drift)
    assert divergence(Run(drift)) is None
    narrow = make_run(tmp_path, "narrow")
    lines(lambda line: "mismatch" in line and line["mismatch"].update(cls_distance=[None, None]))(narrow)
    assert divergence(Run(narrow)) is None
    begun = make_run(tmp_path, "begun")
    first = [line for line in (begun / "metrics.jsonl").read_text().splitlines() if '"step": 0' in line]
    (begun / "metrics.jsonl").write_text("\n".join(first) + "\n")
    assert len(Run(begun).evals) == 1 and divergence(Run(begun)) is None


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Soft labels, `all` with two seeds, one of which diverged."""
    monkeypatch.setenv("KDVIZ_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setattr(ui_store, "DEMO_RUNS", tmp_path / "demo")
    monkeypatch.setattr("kdviz.ui.frame.shell.warm", lambda: None)
    monkeypatch.setattr("kdviz.ui.distil.before.speed_is_known", lambda *args, **more: False)
    folder = tmp_path / "runs"
    make_run(folder, "soft", strategy="soft")
    make_run(folder, "whole", seed=1)
    at_the_end(ENDS["attention"])(make_run(folder, "broken", seed=2))
    return folder


def test_it_is_in_no_mean(runs: Path):
    """One number of two million makes every mean it enters meaningless."""
    every = [Run(runs / name) for name in ("soft", "whole", "broken")]
    family = comparable(every[0], every)
    assert [run.id for run in family] == ["soft", "whole"]
    assert {row.strategy: row.num_seeds for row in by_strategy(family, "matthews")} == {"soft": 1, "all": 1}
    assert [run.id for run in comparable(every[2], every)] == ["soft", "whole"]


def test_it_is_marked_in_lists_pages_and_the_report(runs: Path, capsys: pytest.CaptureFixture):
    """Whoever finds the run later, by whatever way, has to see it."""
    app = AppTest.from_file(str(Path(__file__).parents[1] / "app.py"), default_timeout=120).run()
    for page in ("start", "attention", "layers", "answers"):
        app.query_params["run"] = "broken"
        app.switch_page(f"pages/{page}.py").run()
        said = " ".join(each.value for each in app.warning)
        assert "diverged" in said and "before training" in said, page
    assert any("diverged" in option for option in app.selectbox[0].options)
    app.switch_page("pages/distil.py").run()
    assert any("It diverged" in each.value for each in app.caption)
    assert "This training diverged" in report(Run(runs / "broken"))
    assert "diverged" not in report(Run(runs / "whole"))
    main(["list", "--json", "--runs-dir", str(runs)])
    rows = {row["id"]: row["diverged"] for row in json.loads(capsys.readouterr().out)}
    assert rows["broken"] and rows["whole"] is None
    main(["show", "broken", "--runs-dir", str(runs)])
    assert "diverged: its attention KL ended at" in capsys.readouterr().out


def test_the_terminal_says_two_widths_only_where_there_are_two(tmp_path: Path, capsys):
    """A diverged run of one width was said to have two, and its missing distance to come from that."""
    diverged, apart = make_run(tmp_path, "diverged"), make_run(tmp_path, "apart", strategy="soft")
    missing = {"cls_distance": [None, None]}
    at_the_end(lambda line: line["mismatch"].update(missing))(diverged)
    lines(lambda line: line["kind"] in ("eval", "probe") and line["mismatch"].update(missing))(apart)
    for name, number in (("diverged", 0), ("apart", 2)):
        main(["show", name, "--runs-dir", str(tmp_path)])
        said = capsys.readouterr().out
        assert said.count("CLS distance –") == 2 and said.count("two widths") == number
