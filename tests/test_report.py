"""The report: one file that needs nothing else and lets nobody's text become markup."""

import re

import pytest
from folders import make_run

from kdviz.runs.reader import Run
from kdviz.share.report import report

HOSTILE = (
    "hostile",
    "</script><script>alert(1)</script>",
    "a reason & <b>bold</b>",
    'she said "<img src=x onerror=alert(1)>" here',
    None,
    1,
)


def test_it_needs_no_other_file_and_escapes_every_text(tmp_path):
    """A lecturer mails the file: a request to a CDN shows nothing offline, and a sentence that is markup runs
    in the reader's browser.
    """
    run = Run(make_run(tmp_path, "one", probes=(HOSTILE, ("plain", "Plain", "none", "a plain one", None, 1))))
    html = report(run)
    assert len(html) < 10_000_000
    head, _, body = html.partition("</head>")
    assert (
        not re.search(r"<(script|link|img|iframe)[^>]+(src|href)=", body)
        and "src=" not in head.split("<script>")[0]
    )
    assert "<script>alert(1)" not in body and "<img src=x" not in body and "&lt;img src=x" in body
    assert "sample data, not GLUE" in body


def test_its_numbers_are_the_files(tmp_path):
    """A report that rounds or mixes up teacher and student is worse than none."""
    run = Run(make_run(tmp_path, "one"))
    html = report(run)
    last = run.evals[-1]
    for name, value in last["metrics"].items():
        assert f"<td>{last['teacher_metrics'][name]:.3f}</td><td>{value:.3f}</td>" in html


def test_a_run_without_evaluation_is_refused(tmp_path):
    folder = make_run(tmp_path, "one")
    (folder / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="at least one evaluation"):
        report(Run(folder))
