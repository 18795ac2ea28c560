"""Sources of examples: the folder reader, subsets, fingerprints, and the way back from a run to its texts."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.data import Example, available, examples_of, fingerprint, load_examples, subset
from kdviz.data.folder import parse_tsv
from kdviz.errors import RequestError
from kdviz.tasks import TASKS

GLUE = Path(os.environ.get("KDVIZ_GLUE_DIR") or Path(__file__).parents[2] / "shared" / "glue")
PATH = Path("CoLA/train.tsv")

# The columns of the GLUE release's files ("" where a file has no header).
HEADERS = {
    "cola": "",
    "qqp": "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    "mrpc": "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    "rte": "index\tsentence1\tsentence2\tlabel",
    "sst2": "sentence\tlabel",
    "mnli": "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse"
    "\tsentence2_parse\tsentence1\tsentence2\tlabel1\tgold_label",
    "qnli": "index\tquestion\tsentence\tlabel",
    "wnli": "index\tsentence1\tsentence2\tlabel",
}


@pytest.fixture(autouse=True)
def without_network(monkeypatch, tmp_path):
    """No test here may depend on what the machine has in its caches or reaches."""
    monkeypatch.delenv("KDVIZ_GLUE_DIR", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    for name in ("HF_DATASETS_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


def row(task_name: str, texts: list[str], label: int) -> str:
    """A line of the release's layout, other columns filled with anything."""
    task = TASKS[task_name]
    if task_name == "cola":
        return f"src\t{label}\t\t{texts[0]}"
    by_column = dict(zip(task.folder_columns, texts, strict=True)) | {
        task.label_column: task.label_names[label]
    }
    return "\t".join(by_column.get(column, "x") for column in HEADERS[task_name].split("\t"))


def file_text(task_name: str, rows: list[tuple[list[str], int]]) -> str:
    header = [HEADERS[task_name]] if HEADERS[task_name] else []
    return "\n".join(header + [row(task_name, texts, label) for texts, label in rows]) + "\n"


def write_task(root: Path, task_name: str, num_train: int = 12, num_dev: int = 6) -> Path:
    """A folder in the release's layout with a few rows, each split with its own texts."""
    task = TASKS[task_name]
    folder = root / task.folder
    folder.mkdir(parents=True, exist_ok=True)
    files = {"train.tsv": num_train} | {file: num_dev for _, file, _ in task.dev_splits}
    for file, num_rows in files.items():
        rows = [
            (
                [f"{file} text {number} part {part}" for part in range(1 + task.is_pair)],
                number % task.num_labels,
            )
            for number in range(num_rows)
        ]
        (folder / file).write_text(file_text(task_name, rows), encoding="utf-8")
    return root


# --- the folder source


@pytest.mark.parametrize("task_name", TASKS)
def test_every_task_reads_from_the_release_layout(tmp_path, task_name):
    """Columns are found by header: two swapped texts, or a label id off by one, would train on without an
    error.
    """
    task = TASKS[task_name]
    loaded = load_examples(task_name, "folder", write_task(tmp_path, task_name))
    assert (loaded.source, loaded.origin, loaded.task) == ("folder", str(tmp_path / task.folder), task_name)
    assert (
        list(loaded.dev) == [name for name, _, _ in task.dev_splits]
        and loaded.main_dev is loaded.dev[list(loaded.dev)[0]]
    )
    assert [example.index for example in loaded.train] == list(range(12))
    for number, example in enumerate(loaded.train):
        assert (
            example.text_a == f"train.tsv text {number} part 0" and example.label == number % task.num_labels
        )
        assert example.text_b == (f"train.tsv text {number} part 1" if task.is_pair else None)
    for name, file, _ in task.dev_splits:
        assert loaded.dev[name][2].text_a == f"{file} text 2 part 0"


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\t\n\r\ufeff"), max_size=40)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(TASKS)),
    st.lists(st.tuples(texts, texts, st.integers(0, 2)), min_size=1, max_size=8),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
    st.booleans(),
)
def test_what_was_written_is_read_back(task_name, rows, line_end, mark, final_end):
    """Quotation marks, U+0085 and U+2028 are text: a reader that gives them meaning joins or splits rows and
    shifts every index.
    """
    task = TASKS[task_name]
    rows = [([first, second][: 1 + task.is_pair], label % task.num_labels) for first, second, label in rows]
    content = file_text(task_name, rows).replace("\n", line_end)
    content = ("\ufeff" if mark else "") + (content if final_end else content.removesuffix(line_end))
    found = parse_tsv(content.encode(), PATH, task)
    assert [(example.index, example.text_a, example.text_b, example.label) for example in found] == [
        (index, texts[0], texts[1] if task.is_pair else None, label)
        for index, (texts, label) in enumerate(rows)
    ]


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(TASKS)),
    st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from(
                [
                    b"\t",
                    b"\n",
                    b"\r\n",
                    b"0",
                    b"1",
                    b"a\t1\t\tb\n",
                    b"\xff",
                    b"\xef\xbb\xbf",
                    "\u2028".encode(),
                    b"\xe2",
                    b'"',
                    b"label",
                    b"entailment",
                ]
            ),
            max_size=30,
        ).map(b"".join),
    ),
    st.booleans(),
)
def test_no_file_content_raises_anything_but_a_request_error(task_name, content, with_header):
    """Any other exception reaches the reader of the command line as a traceback, and the page as an empty
    box.
    """
    if with_header:
        content = HEADERS[task_name].encode() + b"\n" + content
    try:
        assert parse_tsv(content, PATH, TASKS[task_name])
    except RequestError as error:
        assert (
            error.field == "data_dir"
            and "\n" not in str(error)
            and str(PATH) in str(error)
            and len(str(error)) < 2500
        )


SECRET = "the colourless committee painted every harbour twice before anybody noticed"
GOOD = {name: row(name, ["one", "two"][: 1 + TASKS[name].is_pair], 1) for name in TASKS}


@pytest.mark.parametrize(
    "task_name, content, line, expected",
    [
        (
            "cola",
            f"{GOOD['cola']}\nsrc\t1\t{SECRET}\n{GOOD['cola']}\n",
            2,
            "expected 4 tab-separated columns, got 3",
        ),
        ("cola", f"{GOOD['cola']}\nsrc\t1\t\t{SECRET}\tx\n", 2, "expected 4 tab-separated columns, got 5"),
        ("cola", f"{GOOD['cola']}\n\n{GOOD['cola']}\n", 2, "expected 4 tab-separated columns, got 1"),
        (
            "cola",
            f"src\t{SECRET}\t\tx\n",
            1,
            "expected one of the labels 0, 1 in column 2, got 'the colourless co",
        ),
        ("cola", f"src\t2\t\t{SECRET}\n", 1, "expected one of the labels 0, 1 in column 2, got '2'"),
        (
            "mrpc",
            f"{HEADERS['mrpc']}\n{GOOD['mrpc']}\n{GOOD['mrpc']}\tx\n",
            3,
            "expected 5 tab-separated columns, got 6",
        ),
        (
            "rte",
            f"{HEADERS['rte']}\n0\ta\t{SECRET}\t1\n",
            2,
            "expected one of the labels entailment, not_entailment in column 'label', got '1'",
        ),
        (
            "rte",
            f"index\tsentence1\tsentence2\n0\ta\t{SECRET}\n",
            1,
            "expected a header with one column 'label', got none among 3 columns",
        ),
        (
            "sst2",
            f"sentence\tlabel\tlabel\n{SECRET}\t1\t1\n",
            1,
            "expected a header with one column 'label', got 2 among 3 columns",
        ),
        (
            "sst2",
            f"{SECRET}\t1\n",
            1,
            "expected a header with one column 'sentence', got none among 2 columns",
        ),
        ("sst2", "sentence\tlabel\n", None, "expected rows below the header, got none"),
        ("cola", "", None, "expected rows, got an empty file"),
        ("cola", "\ufeff", None, "expected rows, got an empty file"),
    ],
)
def test_a_malformed_file_is_reported_with_its_line(tmp_path, task_name, content, line, expected):
    """A row dropped in silence shifts every later index; a message with the sentence in it leaks texts into
    logs and screens.
    """
    folder = write_task(tmp_path, task_name) / TASKS[task_name].folder
    (folder / "dev.tsv").write_text(content, encoding="utf-8")
    for source in ("folder", "auto"):
        with pytest.raises(RequestError) as caught:
            load_examples(task_name, source, tmp_path)
        message = str(caught.value)
        assert (
            expected in message
            and SECRET not in message
            and "\n" not in message
            and caught.value.field == "data_dir"
        )
        assert str(folder / "dev.tsv") + (f", line {line}:" if line else ":") in message


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_invalid_utf8_is_reported_with_its_line(mark):
    """The decoder counts bytes from behind the byte-order mark; a line number off by one sends people to the
    wrong row.
    """
    content = mark + f"{GOOD['cola']}\n{GOOD['cola']}\n".encode() + b"\xe9t\xe9\n"
    with pytest.raises(RequestError, match="line 3: expected UTF-8, got the byte 0xe9"):
        parse_tsv(content, PATH, TASKS["cola"])


def test_missing_and_strange_files_are_reported(tmp_path):
    """A named folder that is not there must never turn into other data, and a pipe must not block for
    ever.
    """
    write_task(tmp_path, "cola")
    (tmp_path / "CoLA" / "train.tsv").unlink()
    cases = {
        tmp_path / "nowhere": "nowhere: expected a folder, got nothing",
        tmp_path / "CoLA" / "dev.tsv": "expected a folder, got a file",
        tmp_path / "CoLA": f"did you mean {tmp_path}, which holds CoLA/? give that folder",
        tmp_path: "train.tsv: expected a file, got nothing",
        "x" * 5000: "expected a folder, got nothing",
        "~nobody-of-that-name/x": "expected a folder, got nothing",
    }
    for data_dir, expected in cases.items():
        with pytest.raises(RequestError, match="expected") as caught:
            load_examples("cola", "folder", data_dir)
        assert expected in str(caught.value) and caught.value.field == "data_dir"
    os.mkfifo(tmp_path / "CoLA" / "train.tsv")
    with pytest.raises(RequestError, match="expected a file, got something else"):
        load_examples("cola", "folder", tmp_path)


def test_a_changed_file_is_read_again(tmp_path):
    """Files are parsed once per process: a cache that misses an edit would show, and train on, the old
    texts.
    """
    write_task(tmp_path, "cola")
    before = load_examples("cola", "folder", tmp_path)
    assert load_examples("cola", "folder", tmp_path).train is before.train
    write_task(tmp_path, "cola", num_train=13)
    after = load_examples("cola", "folder", tmp_path)
    assert len(after.train) == 13 and after.fingerprint != before.fingerprint


@pytest.mark.parametrize(
    "task_name, num_train, num_dev",
    [("cola", 8551, 1043), ("mrpc", 3668, 408), ("rte", 2490, 277), ("qqp", 28719, 5000)],
)
def test_real_glue_files_read_in_full(task_name, num_train, num_dev):
    """The real files have quotation marks and odd line separators: a wrong reader loses or joins a few rows,
    and no one sees it.
    """
    if not (GLUE / TASKS[task_name].folder).is_dir():
        pytest.skip(f"no real GLUE files at {GLUE}")
    loaded = load_examples(task_name, "folder", GLUE)
    assert (len(loaded.train), len(loaded.main_dev)) == (num_train, num_dev)
    for examples in (loaded.train, loaded.main_dev):
        assert [example.index for example in examples] == list(range(len(examples)))
        assert {example.label for example in examples} == {0, 1}
        assert all("\t" not in example.text_a and example.text_a.strip() for example in examples)


# --- choosing the source


def test_auto_tries_folder_then_hub_then_sample(tmp_path, monkeypatch):
    """Sample data taken for GLUE is the worst mistake this program can make: the note must say what is used,
    and why.
    """
    write_task(tmp_path / "glue", "cola")
    assert load_examples("cola", "auto", tmp_path / "glue").source == "folder"
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "glue"))
    assert load_examples("cola").source == "folder"
    monkeypatch.delenv("KDVIZ_GLUE_DIR")
    loaded = load_examples("cola")
    assert loaded.source == "sample" and loaded.origin == "generated by kdviz"
    assert loaded.note.startswith("sample data, not GLUE: 8,000 train, 1,000 dev examples")
    assert (
        "folder: none given (KDVIZ_GLUE_DIR is not set)" in loaded.note
        and "hub: not in the cache; auto sends no request" in loaded.note
    )


@pytest.mark.parametrize(
    "given, named",
    [
        ("glue/CoLA", "glue"),  # one floor too deep
        ("glue/RTE", "glue"),
        ("glue/CoLA/train.tsv", "glue"),
        (".", "glue"),  # one floor too high
        ("..", "glue"),
        ("gleu", "glue"),  # mistyped
        ("Glue", "glue"),
        ("glue/cola", "glue"),
        ("lower", "rename that to CoLA/"),
        ("lower/cola", "rename that to CoLA/"),
        ("bare", "holds train.tsv itself"),
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
@pytest.mark.parametrize("source", ["auto", "folder"])
def test_a_folder_that_was_named_and_cannot_be_used_is_an_error(
    tmp_path, monkeypatch, given, named, by_variable, source
):
    """A mistyped folder would otherwise train on sample data while its user believes it is GLUE; the answer
    names the folder that was probably meant.
    """
    home = tmp_path / "home"
    write_task(home / "glue", "cola")
    (home / "glue" / "RTE").mkdir()
    (home / "lower" / "cola").mkdir(parents=True)
    (home / "bare").mkdir()
    (home / "bare" / "train.tsv").write_text("x")
    if given not in ("glue/CoLA", "glue/RTE", "glue/CoLA/train.tsv", ".", "..", "gleu", "Glue", "glue/cola"):
        shutil.rmtree(home / "glue")
    folder = os.path.normpath(home / given)
    if by_variable:
        monkeypatch.setenv("KDVIZ_GLUE_DIR", folder)
    with pytest.raises(RequestError, match="expected a folder, got") as caught:
        load_examples("cola", source, None if by_variable else folder)
    message = str(caught.value)
    assert (f"did you mean {home / named}, which" if named == "glue" else named) in message
    assert caught.value.field == "data_dir" and "\n" not in message


def test_a_named_folder_without_the_task_is_an_error_too(tmp_path, monkeypatch):
    """KDVIZ_GLUE_DIR is a promise that the data are GLUE's: one task that is missing there must not turn into
    generated sentences.
    """
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(write_task(tmp_path, "cola")))
    with pytest.raises(RequestError, match="SST-2: expected a folder, got nothing"):
        load_examples("sst2")
    assert load_examples("sst2", "sample").source == "sample"


# --- files as they are


def test_all_faulty_rows_of_all_files_come_in_one_answer(tmp_path):
    """Told one row at a time, a person with forty of them starts forty runs."""
    folder = write_task(tmp_path, "rte", num_train=40, num_dev=8) / "RTE"
    lines = (folder / "train.tsv").read_text().split("\n")
    for place in range(3, 33):
        lines[place] = "0\tcut off" if place % 2 else "0\ta\tb\tmaybe"
    (folder / "train.tsv").write_text("\n".join(lines))
    dev = (folder / "dev.tsv").read_bytes().split(b"\n")
    dev[2] = b"0\tna\xefve\tb\tentailment"
    (folder / "dev.tsv").write_bytes(b"\n".join(dev))
    with pytest.raises(RequestError) as caught:
        load_examples("rte", "folder", tmp_path)
    message = str(caught.value)
    assert message.startswith(
        f"31 faults in 2 files: {folder / 'train.tsv'}, line 4: expected 4 tab-separated"
    )
    assert message.count("line ") == 20 and "; and 11 more; " in message and "\n" not in message
    few = dev[:3] + [b"short"] + dev[3:]
    (folder / "dev.tsv").write_bytes(b"\n".join(few))
    (folder / "train.tsv").write_text("\n".join(lines[:3] + lines[33:-1] + ["short", ""]))
    with pytest.raises(RequestError) as caught:
        load_examples("rte", "folder", tmp_path)
    message = str(caught.value)
    assert "3 faults in 2 files" in message
    assert f"{folder / 'train.tsv'}, line 12: expected 4 tab" in message
    assert f"{folder / 'dev.tsv'}, line 3: expected UTF-8, got the byte 0xef; line 4: expected 4" in message


def test_every_missing_file_is_named(tmp_path):
    """Both files missing is one cause: a folder with the wrong content."""
    (tmp_path / "CoLA").mkdir()
    with pytest.raises(RequestError) as caught:
        load_examples("cola", "folder", tmp_path)
    assert "train.tsv: expected a file" in str(caught.value) and "dev.tsv: expected" in str(caught.value)


def test_known_damage_of_the_release_is_skipped_and_counted(tmp_path):
    """The official QQP files hold rows broken off by a line end within a question, MNLI rows without a label:
    every loader skips them, so refusing the file would make it unusable, and skipping in silence would hide
    it. Rows behind a skipped one keep their row number in the file.
    """
    folder = write_task(tmp_path, "qqp", num_train=80, num_dev=30) / "QQP"
    lines = (folder / "train.tsv").read_text().split("\n")
    lines[10:10] = ["\tIs it there?\t0"]
    lines[20:20] = ["99\t1\t2\thalf a row"]
    (folder / "train.tsv").write_text("\n".join(lines))
    loaded = load_examples("qqp", "folder", tmp_path)
    assert loaded.skipped == {"train": {"broken off": 2}} and len(loaded.train) == 80
    assert [example.index for example in loaded.train] == [n for n in range(82) if n not in (9, 19)]
    assert "80 train (skipped: 2 broken off), 30 dev examples" in loaded.note
    record = loaded.record()
    assert record["skipped"] == {"train": {"broken off": 2}} and record["eval_rows"] == 30

    folder = write_task(tmp_path, "mnli") / "MNLI"
    with open(folder / "dev_matched.tsv", "a") as file:
        file.write(row("mnli", ["a", "b"], 0).removesuffix("entailment") + "-\n")
    loaded = load_examples("mnli", "folder", tmp_path)
    assert loaded.skipped == {"matched": {"unlabelled": 1}} and len(loaded.main_dev) == 6


@pytest.mark.parametrize("task_name, line", [("mrpc", "1\t2\thalf"), ("rte", "0\ta\tb\t-")])
def test_damage_that_the_release_does_not_have_is_refused(tmp_path, task_name, line):
    """What is skipped in one task because its official files have it is a mistake in another."""
    folder = write_task(tmp_path, task_name) / TASKS[task_name].folder
    with open(folder / "dev.tsv", "a") as file:
        file.write(line + "\n")
    with pytest.raises(RequestError, match="dev.tsv, line 8: expected"):
        load_examples(task_name, "folder", tmp_path)


def test_a_file_that_is_mostly_damage_is_refused(tmp_path):
    """Half a file lost on the way must not train as the other half."""
    folder = write_task(tmp_path, "qqp") / "QQP"
    lines = (folder / "dev.tsv").read_text().split("\n")
    (folder / "dev.tsv").write_text("\n".join(line if n < 3 else line[:4] for n, line in enumerate(lines)))
    with pytest.raises(RequestError, match="4 faults in one file: .*dev.tsv, line 4: expected 6"):
        load_examples("qqp", "folder", tmp_path)


@pytest.mark.parametrize("end", ["\n", "\n\n\n", "\r\n\r\n", " \n", "\t\t\t\n", "\x1a", "\n\n \t\n"])
@pytest.mark.parametrize("task_name", ["cola", "mrpc"])
def test_blank_lines_at_the_end_are_tolerated(task_name, end):
    """Editors and spreadsheets add them; a blank line in the middle is a row that was lost."""
    content = file_text(task_name, [(["one", "two"][: 1 + TASKS[task_name].is_pair], 1)] * 3)
    assert len(parse_tsv((content + end).encode(), PATH, TASKS[task_name])) == 3
    with pytest.raises(RequestError, match="columns, got 1"):
        parse_tsv(
            (content + "\n" + row(task_name, ["a", "b"][: 1 + TASKS[task_name].is_pair], 1)).encode(),
            PATH,
            TASKS[task_name],
        )


def test_cells_as_pandas_writes_them_give_a_warning(tmp_path):
    """The marks become tokens of their own, doubled ones two: results differ and nobody sees why."""
    import pandas as pd

    folder = write_task(tmp_path, "sst2") / "SST-2"
    texts = ['she said "yes" and left', 'a "great" film', "plain"]
    pd.DataFrame({"sentence": texts, "label": [1, 1, 0]}).to_csv(folder / "train.tsv", sep="\t")
    (folder / "dev.tsv").write_text('sentence\tlabel\n"a quotation"\t1\n"one" and "two"\t0\n')
    loaded = load_examples("sst2", "folder", tmp_path)
    assert len(loaded.warnings) == 1 and loaded.warnings[0].startswith("train: 2 cells look quoted")
    assert loaded.warnings[0] in loaded.note and loaded.record()["warnings"] == list(loaded.warnings)


def test_a_quoted_header_says_so(tmp_path):
    """Every cell quoted, as spreadsheets may do: the answer must not read as if a column were missing."""
    with pytest.raises(RequestError, match="save the file without quoting"):
        parse_tsv(b'"sentence"\t"label"\n"a"\t"1"\n', PATH, TASKS["sst2"])


def test_notes_name_no_folder_of_this_machine(tmp_path):
    """The note stands on every page and in every report: a path tells viewers the server's user names."""
    loaded = load_examples("cola", "folder", write_task(tmp_path, "cola"))
    assert loaded.note == "folder CoLA: 12 train, 6 dev examples"


def test_named_sources_that_cannot_be_had_say_so():
    """One clear line with the field at fault is what the page puts beside the control, and the command line
    prints.
    """
    for source, field, expected in [
        ("folder", "data_dir", "give --data-dir or set KDVIZ_GLUE_DIR"),
        ("hub", "source", "connect to a network, or choose folder or sample"),
        ("zip", "source", "expected one of auto, folder, hub, sample, got 'zip'"),
    ]:
        with pytest.raises(RequestError) as caught:
            load_examples("cola", source)
        assert expected in str(caught.value) and caught.value.field == field and "\n" not in str(caught.value)


def test_sample_data_comes_by_seed_and_quickly_again():
    """Two seeds giving the same data would make a study over seeds a study of one."""
    first = load_examples("cola", "sample")
    assert load_examples("cola", "sample").train is first.train
    other = load_examples("cola", "sample", seed=1)
    assert first.fingerprint != other.fingerprint and other.seed == 1
    assert all(example.phenomenon for example in first.main_dev)


def test_available_names_what_is_there_without_asking_the_network(tmp_path, monkeypatch):
    """The page asks at every rerun: a request here would make each click wait for a dead network."""
    monkeypatch.setattr("socket.socket.connect", lambda *args: pytest.fail("available() used the network"))
    assert list(available("cola")) == ["sample"]
    assert available("cola", write_task(tmp_path, "cola"))["folder"] == str(tmp_path / "CoLA")
    (tmp_path / "CoLA" / "dev.tsv").unlink()
    assert list(available("cola", tmp_path)) == ["sample"]
    with pytest.raises(RequestError):
        available("glue")


def test_importing_the_data_package_is_light():
    """Pages import it at every start: torch or datasets behind it would cost each of them seconds."""
    code = (
        "import sys, kdviz.data; print(*{'torch', 'transformers', 'datasets', 'pandas', 'streamlit'} & "
        "set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    assert found.stdout.strip() == ""


# --- subsets and fingerprints


def examples_with(labels: list[int]) -> tuple[Example, ...]:
    return tuple(
        Example(index=index, text_a=f"text {index}", text_b=None, label=label)
        for index, label in enumerate(labels)
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=80), st.integers(0, 90), st.integers(0, 5))
def test_a_subset_keeps_the_shares_of_the_labels(labels, size, seed):
    """An unbalanced subset moves the majority class, and with it every score that is compared with it."""
    examples = examples_with(labels)
    chosen = subset(examples, size, seed=seed)
    assert len(chosen) == min(size, len(examples)) and set(chosen) <= set(examples)
    assert [example.index for example in chosen] == sorted({example.index for example in chosen})
    assert chosen == subset(examples, size, seed=seed)
    counts = Counter(example.label for example in chosen)
    for label, count in Counter(labels).items():
        assert abs(counts[label] - count * len(chosen) / len(examples)) < 1


def test_subsets_differ_by_seed_and_are_fixed_for_ever():
    """A run repeated next year must see the same rows; the second assertion fails if the way of drawing ever
    changes.
    """
    examples = examples_with([index % 2 for index in range(100)])
    assert subset(examples, 20, seed=0) != subset(examples, 20, seed=1)
    assert [example.index for example in subset(examples, 6, seed=0)] == [21, 48, 63, 83, 92, 94]
    assert subset(examples, None, seed=0) == examples == subset(examples, 1000, seed=0)
    with pytest.raises(ValueError, match="size -1"):
        subset(examples, -1, seed=0)


def test_the_fingerprint_sees_every_change():
    """It alone tells whether a run's stored numbers belong to the texts on the disk."""

    def one(**changes):
        return fingerprint([Example(**{"index": 0, "text_a": "ab", "text_b": "c", "label": 1} | changes)])

    variants = [
        one(),
        one(text_a="a", text_b="bc"),
        one(text_b="c "),
        one(label=0),
        one(index=1),
        one(text_b=None),
        one(text_b=""),
        one(text_a=""),
    ]
    assert len(set(variants)) == len(variants) and all(len(variant) == 16 for variant in variants)
    two = examples_with([0, 1])
    assert fingerprint(two) != fingerprint(two[::-1]) and fingerprint(two) != fingerprint(two[:1])
    assert one(phenomenon="agreement") == one()


def test_the_fingerprint_of_the_data_covers_both_splits_and_the_task(tmp_path):
    """The same content under another task has other labels' meanings; a changed dev set has other scores."""
    write_task(tmp_path, "rte")
    write_task(tmp_path, "wnli")
    rte, wnli = (load_examples(name, "folder", tmp_path) for name in ("rte", "wnli"))
    assert rte.train == wnli.train and rte.fingerprint != wnli.fingerprint
    write_task(tmp_path, "rte", num_dev=5)
    assert load_examples("rte", "folder", tmp_path).fingerprint != rte.fingerprint


# --- the way back from a run


def run_over(loaded, data_dir=None, **changes) -> SimpleNamespace:
    return SimpleNamespace(
        id="some-run", task=loaded.task, config={"data_dir": data_dir, "data": {**loaded.record(), **changes}}
    )


def test_the_texts_of_a_run_are_found_by_index(tmp_path, monkeypatch):
    """Texts beside another example's numbers would explain a mistake that was never made."""
    write_task(tmp_path / "glue", "mnli")
    loaded = load_examples("mnli", "folder", tmp_path / "glue")
    assert examples_of(run_over(loaded)) == {example.index: example for example in loaded.dev["matched"]}
    sample = load_examples("cola", "sample", seed=2)
    assert examples_of(run_over(sample))[7] == sample.main_dev[7]
    (tmp_path / "glue").rename(tmp_path / "moved")
    with pytest.raises(RequestError):
        examples_of(run_over(loaded))
    monkeypatch.setenv("KDVIZ_GLUE_DIR", str(tmp_path / "moved"))
    assert examples_of(run_over(loaded, str(tmp_path / "glue")))[3].text_a == "dev_matched.tsv text 3 part 0"


def test_changed_data_are_refused_for_a_run(tmp_path):
    """The row is still there, but holds another sentence than the run saw."""
    loaded = load_examples("cola", "folder", write_task(tmp_path, "cola"))
    path = tmp_path / "CoLA" / "dev.tsv"
    path.write_text(path.read_text(encoding="utf-8").replace("text 3", "text 33"), encoding="utf-8")
    with pytest.raises(RequestError, match="the data changed since the run"):
        examples_of(run_over(loaded))
    with pytest.raises(RequestError, match="name a data source, got 'None'"):
        examples_of(run_over(loaded, source=None))
