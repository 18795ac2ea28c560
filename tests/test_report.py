"""The report: one file that needs nothing else and lets nobody's text become markup."""

import json
import re
import shutil

import pytest
from folders import cut_off, make_run
from packs import pictures_in

from kdviz.errors import RequestError
from kdviz.palette import run_styles
from kdviz.runs.names import distinct_names
from kdviz.runs.reader import Run
from kdviz.share import report as report_module
from kdviz.share.report import report
from kdviz.text import counted
from kdviz.training.card import model_card

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


def test_whole_numbers_are_told_whole(tmp_path):
    """A student of 66,960,770.0 parameters that trained 1.0 epoch was not counted by anybody."""
    run = Run(make_run(tmp_path, "one", strategy="pid", teacher_layers=6, student_layers=3))
    for told in (report(run), model_card(run)):
        assert "1 epoch" in told and not re.search(r"\d\.0 epoch|\d,\d{3}\.0|\b1 epochs", told)
    shallow = report(Run(make_run(tmp_path, "shallow", teacher_layers=6, student_layers=1)))
    assert "a student of 1 layer by" in shallow
    assert [counted(number, "epoch") for number in (None, 0, 1.0, 2.5, 1043.0, 1e300)] == [
        "? epochs",
        "0 epochs",
        "1 epoch",
        "2.5 epochs",
        "1,043 epochs",
        "1e+300 epochs",
    ]
    assert "<td>7.4\N{NO-BREAK SPACE}M</td><td>3.7\N{NO-BREAK SPACE}M</td>" in report(run)


def test_a_run_without_evaluation_is_refused(tmp_path):
    """A report without a number would say nothing of why."""
    folder = make_run(tmp_path, "one")
    (folder / "metrics.jsonl").write_text("")
    with pytest.raises(ValueError, match="at least one evaluation"):
        report(Run(folder))


def test_two_runs_stand_side_by_side(tmp_path):
    """Numbers of one run under the name of the other would be believed."""
    runs = [Run(make_run(tmp_path, name, strategy=name)) for name in ("soft", "sid")]
    html = report(*runs)
    for name in ("matthews", "accuracy"):
        first, second = (run.evals[-1] for run in runs)
        low, high = first["intervals"][name]
        cells = f"<td>{first['teacher_metrics'][name]:.3f}</td><td>{first['metrics'][name]:.3f}</td>"
        assert f"{cells}<td>{low:.3f} to {high:.3f}</td>" in html
        low, high = second["intervals"][name]
        assert f"<td>{second['metrics'][name]:.3f}</td><td>{low:.3f} to {high:.3f}</td>" in html
    assert html.count("data-kdviz-explorer") >= 1 and "What differs" in html
    assert "--strategy soft" in html and "--strategy sid" in html


def test_runs_of_different_tasks_are_refused(tmp_path):
    """Scores of two tasks in one table compare nothing."""
    runs = [Run(make_run(tmp_path, "a")), Run(make_run(tmp_path, "b", task="mrpc"))]
    with pytest.raises(RequestError, match="one task"):
        report(*runs)
    with pytest.raises(RequestError, match="1 to"):
        report()


def test_runs_on_other_examples_are_refused_and_of_other_teachers_have_each_its_own(tmp_path):
    """Under one heading "teacher" the second student would stand beside numbers of a teacher it never had."""
    first, second = (
        make_run(tmp_path, name, strategy=name, seed=seed) for seed, name in enumerate(["soft", "sid"])
    )
    config = json.loads((second / "config.json").read_text())
    changed = config | {"teacher_fingerprint": "fedcba9876543210"}
    (second / "config.json").write_text(json.dumps(changed))
    runs = [Run(first), Run(second)]
    html = report(*runs)
    assert html.count("<th>its teacher</th>") == 2 and "<th></th><th>teacher" not in html
    for run in runs:
        last = run.evals[-1]
        cells = (
            f"<td>{last['teacher_metrics']['matthews']:.3f}</td><td>{last['metrics']['matthews']:.3f}</td>"
        )
        assert cells in html
    changed["data"] = config["data"] | {"fingerprint": "beef"}
    (second / "config.json").write_text(json.dumps(changed))
    with pytest.raises(RequestError, match="same examples"):
        report(Run(first), Run(second))


def test_runs_scored_on_fewer_examples_have_each_the_teachers_score_on_theirs(tmp_path):
    """The teacher of the first run's 112 examples stood beside a student of 24 others as its line to reach,
    and the numbers of examples in another order than the columns.
    """
    runs = [
        Run(make_run(tmp_path, name, strategy=name, num_eval=number, seed=number))
        for name, number in (("soft", 24), ("sid", 112))
    ]
    html = report(*runs)
    assert "n = 24 and 112 evaluation examples" in html and html.count("<th>its teacher</th>") == 2


def test_runs_matched_otherwise_or_cut_otherwise_have_each_its_own_picture(tmp_path):
    """Layer 1 of a student of 2 stands against the teacher's layer 2, of a student of 1 against its layer 4:
    in one picture the KL of one was shown under the layers of the other, or nothing was drawn at all. So were
    maps of 13 tokens beside maps of 7.
    """
    long, short = (("p", "P", "r", text, None, 1) for text in ("the keys to the old door", "the keys"))
    for place, (first, second) in enumerate(
        [({"student_layers": 2}, {"student_layers": 1}), ({"probes": (long,)}, {"probes": (short,)})]
    ):
        runs = [
            Run(make_run(tmp_path / str(place), f"run-{number}", **more))
            for number, more in enumerate((first, second))
        ]
        for order in (runs, runs[::-1]):
            pictures = pictures_in(report(*order))
            assert len(pictures) == 2
            for run, picture in zip(order, pictures, strict=True):
                for (pack,) in picture:
                    assert pack.header["about"]["run"] == run.id
                    assert pack.header["pairs"] == [list(pair) for pair in run.pairs]


def test_a_run_looks_the_same_in_its_own_picture_as_in_the_charts(tmp_path):
    """Two of one strategy would share a colour and a name in the pictures, and have two in the charts."""
    runs = [Run(make_run(tmp_path, f"run-{layers}", student_layers=layers)) for layers in (2, 1)]
    html = report(*runs)
    seen = [pack.header["about"] for picture in pictures_in(html) for (pack,) in picture[:1]]
    styles = run_styles([run.strategy for run in runs])
    assert [about["colour"] for about in seen] == [style.colour for style in styles]
    assert [about["name"] for about in seen] == distinct_names(runs)


def words_of_pictures(html: str) -> str:
    """What stands below the pictures, and where a run has none."""
    part = html.split('<h2 id="maps">')[1].split('<h2 id="scores">')[0]
    return " ".join(re.sub(r"<script.*?</script>", "", part, flags=re.DOTALL).split())


def test_it_says_how_exact_its_cells_are_and_what_it_left_out(tmp_path, monkeypatch):
    """Cells of 8 bits under "every number in full", or 7 of 17 moments under no word, are taken for the run's
    own.
    """
    run = Run(make_run(tmp_path, "one", student_layers=4, num_heads=12, epochs=8))
    whole = report(run)
    assert "exact to four decimals" in words_of_pictures(whole) and "moments" not in words_of_pictures(whole)
    assert all(pack.header["refined"] for [pack] in pictures_in(whole)[0])
    maps = sum(map(len, re.findall(r'data-pack="\w+">([^<]*)<', whole)))
    for share, wanted in ((0.75, "in 8 bits"), (0.3, "moments"), (0.06, "sentences"), (0, "too large")):
        most = int(len(whole.encode()) - (1 - share) * maps)
        monkeypatch.setattr(report_module, "MOST_BYTES", most)
        html = report(run)
        assert len(html.encode()) <= most or not share
        words = words_of_pictures(html)
        assert wanted in words
        for sentence in pictures_in(html)[:1]:
            header = sentence[0][0].header
            assert not header["refined"] and "four decimals" not in words
            recorded = len(header["steps"]) + header["num_left_out"]
            assert recorded == len(run.moments)
            assert (f"{len(header['steps'])} of {recorded} moments" in words) == bool(header["num_left_out"])
            kept = len(sentence)
            assert (f"{kept} of {len(run.probes)} sentences" in words) == (kept < len(run.probes))


def test_what_a_small_picture_leaves_the_next_ones_have(tmp_path, monkeypatch):
    """Each of six runs had a sixth: one showed 5 of its 17 moments in a file that was a fifth empty."""
    small = make_run(tmp_path, "small", epochs=1, student_layers=1)
    runs = [Run(small), Run(make_run(tmp_path, "large", student_layers=4, num_heads=12, epochs=12))]
    whole = len(report(*runs).encode())
    bare = whole - sum(map(len, re.findall(r'data-pack="\w+">([^<]*)<', report(*runs))))
    most = bare + (whole - bare) // 2
    monkeypatch.setattr(report_module, "MOST_BYTES", most)
    html = report(*runs)
    assert 0.9 * (most - bare) < len(html.encode()) - bare <= most - bare
    assert "moments" in words_of_pictures(html)


def test_a_run_without_maps_is_not_told_how_exact_they_are(tmp_path):
    """Words about cells under "No maps are stored" speak of what is not there."""
    folder = make_run(tmp_path, "one")
    shutil.rmtree(folder / "snapshots")
    words = words_of_pictures(report(Run(folder)))
    assert "No maps are stored" in words and "cells" not in words and "8 bits" not in words


def test_every_run_stands_beside_the_first_inside(tmp_path):
    """Of three runs two were drawn, and the third was missing without a word."""
    runs = [Run(make_run(tmp_path, name, strategy=name)) for name in ("soft", "all", "sid")]
    inside = report(*runs).split('<h2 id="inside">')[1].split('<h2 id="curves">')[0]
    captions = re.findall("<figcaption>(.*?)</figcaption>", inside)
    assert [caption.split(": ")[1] for caption in captions] == [
        "soft labels and all layers at once",
        "soft labels and stacked",
    ]
    assert report(runs[0]).split('<h2 id="inside">')[1].count("<figcaption>Output KL") == 1


def test_a_classifier_that_nothing_trained_is_named_beside_its_answers(tmp_path):
    """The score of a run stopped before its labels stage was read as what its strategy comes to."""
    early = cut_off(make_run(tmp_path, "early", strategy="pid", state="stopped"), step=8)
    html = report(Run(early), Run(make_run(tmp_path, "soft", strategy="soft")))
    for part, after in (("scores", "inside"), ("inside", "curves")):
        said = html.split(f'<h2 id="{part}">')[1].split(f'<h2 id="{after}">')[0]
        assert said.count("after epoch 1: its classifier is not trained yet") == 1


def test_a_teacher_not_worth_copying_is_said(tmp_path):
    """The page warned of it, and the file that was taken home did not."""
    folder = make_run(tmp_path, "one")
    score = {"kind": "teacher_score", "step": 0, "metrics": {}, "n": 24, "warning": "Weak <teacher>."}
    path = folder / "metrics.jsonl"
    path.write_text(path.read_text() + json.dumps(score) + "\n")
    assert report(Run(folder)).count("Weak &lt;teacher&gt;.") == 1


def test_two_seeds_of_one_strategy_are_told_apart(tmp_path):
    """Two students of one name and one colour: nobody can say whose number is which."""
    runs = [Run(make_run(tmp_path, f"all-{seed}", seed=seed)) for seed in (0, 1)]
    html = report(*runs)
    assert "<h1>CoLA: all layers at once, seed 0 and all layers at once, seed 1</h1>" in html
    [picture] = pictures_in(html)
    for packs in picture:
        about = [pack.header["about"] for pack in packs]
        assert [each["name"] for each in about] == [
            "all layers at once, seed 0",
            "all layers at once, seed 1",
        ]
        assert len({each["colour"] for each in about}) == 2
    assert pictures_in(report(runs[0]))[0][0][0].header["about"]["name"] == "all layers at once"


def test_it_tells_no_folder_and_no_owner(tmp_path):
    """The file is mailed around: whose machine trained, and where, is nobody's business."""
    folder = make_run(tmp_path, "one")
    config = json.loads((folder / "config.json").read_text())
    config |= {"data_dir": "/home/ann/glue", "teacher": "/home/ann/models/mine", "owner": "0badc0de"}
    (folder / "config.json").write_text(json.dumps(config))
    html = report(Run(folder))
    assert "0badc0de" not in html and "/home/ann" not in html and "TEACHER_FOLDER" in html


def test_a_run_of_the_papers_size_stays_below_ten_megabytes(tmp_path):
    """A mail server refuses what is larger; 12 layers × 12 heads, 12 moments, eight sentences."""
    words = " ".join(f"word{number}" for number in range(18))
    probes = tuple((f"p{number}", "Title", "reason", words, None, 1) for number in range(8))
    folder = make_run(
        tmp_path, "one", student_layers=6, teacher_layers=12, num_heads=12, epochs=6, probes=probes
    )
    run = Run(folder)
    assert len(run.moments) >= 12
    assert len(report(run).encode()) < 10_000_000


@pytest.mark.slow
def test_it_moves_without_a_network(tmp_path):
    """Thirty people open the file at home: a figure that stays empty there is not seen here."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Debian's chromium on the PATH")
    hostile = Run(
        make_run(tmp_path, "one", probes=(HOSTILE, ("plain", "Plain", "no", "a plain one", None, 1)))
    )
    file = tmp_path / "report.html"
    file.write_text(report(hostile, Run(make_run(tmp_path, "two", strategy="soft"))), encoding="utf-8")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(offline=True).new_page()
        faults, asked = [], []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: request.url.startswith("http") and asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot').length >= 6", timeout=60_000)
        assert page.locator("[data-picture] svg, [data-picture] canvas").count() > 0
        page.set_viewport_size({"width": 390, "height": 844})
        root = "document.documentElement"
        page.wait_for_function(f"{root}.scrollWidth <= {root}.clientWidth + 1", timeout=60_000)
        widths = "[...document.querySelectorAll('.js-plotly-plot')].map(each => each.clientWidth)"
        assert min(page.evaluate(widths)) >= 640, "titles of figures are cut on a phone"
        assert faults == [] and asked == []
        browser.close()
