"""The folder source: the files of the GLUE release, as they are and as people break them."""

import os

import pytest
from glue_files import HEADERS, file_text, forbid_network, read_content, row, write_task
from hypothesis import given, settings
from hypothesis import strategies as st

from kdviz.data import load_examples
from kdviz.errors import RequestError
from kdviz.tasks import TASKS


@pytest.fixture(autouse=True)
def without_network(monkeypatch, tmp_path):
    forbid_network(monkeypatch, tmp_path)


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
    st.sampled_from(["\n", "\r\n", "\r\r\n"]),
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
    found = read_content(task_name, content.encode())
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
        assert read_content(task_name, content)
    except RequestError as error:
        assert (
            error.field == "data_dir"
            and "\n" not in str(error)
            and f"{TASKS[task_name].folder}/train.tsv" in str(error)
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
        ("cola", f"src,1,,{SECRET}\n", 1, "4 tab-separated columns, got 1 (separated by commas?)"),
        (
            "cola",
            f"{GOOD['cola']}\r{GOOD['cola']}",
            1,
            "got 7 (lines that end with a carriage return alone?)",
        ),
        (
            "cola",
            "\0".join(f"{GOOD['cola']}\n") + "\0",
            1,
            "zero byte in every second place, as UTF-16 has it",
        ),
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
        read_content("cola", content)


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
        "x" * 5000: "expected a path that the system allows, got one of 5,000 characters",
        "~nobody-of-that-name/x": "there is no such home folder; write it out",
    }
    for data_dir, expected in cases.items():
        with pytest.raises(RequestError, match="expected") as caught:
            load_examples("cola", "folder", data_dir)
        assert expected in str(caught.value) and caught.value.field == "data_dir"
    os.mkfifo(tmp_path / "CoLA" / "train.tsv")
    with pytest.raises(RequestError, match="expected a file, got something else"):
        load_examples("cola", "folder", tmp_path)
    (tmp_path / "CoLA" / "train.tsv").unlink()
    with open(tmp_path / "CoLA" / "train.tsv", "wb") as file:
        file.truncate(40_000_000_000)  # read whole, it would take all memory
    with pytest.raises(RequestError, match=r"expected at most 1.0 GB, got 40.0 GB; put the release's file"):
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
def test_real_glue_files_read_in_full(real_glue, task_name, num_train, num_dev):
    """The real files have quotation marks and odd line separators: a wrong reader loses or joins a few rows,
    and no one sees it.
    """
    if not (real_glue / TASKS[task_name].folder).is_dir():
        pytest.skip(f"no real GLUE files at {real_glue}")
    loaded = load_examples(task_name, "folder", real_glue)
    assert (len(loaded.train), len(loaded.main_dev)) == (num_train, num_dev)
    for examples in (loaded.train, loaded.main_dev):
        assert [example.index for example in examples] == list(range(len(examples)))
        assert {example.label for example in examples} == {0, 1}
        assert all("\t" not in example.text_a and example.text_a.strip() for example in examples)


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
    assert len(read_content(task_name, (content + end).encode())) == 3
    with pytest.raises(RequestError, match="columns, got 1"):
        last = row(task_name, ["a", "b"][: 1 + TASKS[task_name].is_pair], 1)
        read_content(task_name, f"{content}\n{last}".encode())


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


@pytest.mark.parametrize(
    ("train", "dev", "said"),
    [
        ([("caf\ufffd", 0), ("tea", 1)], [("milk", 0), ("salt", 1)], "train: 1 text with the sign \ufffd"),
        ([("", 0), (" \u200b", 1), ("tea", 1)], [("milk", 0), ("salt", 1)], "train: 2 of 3 texts are empty"),
        ([("tea", 1), ("jam", 1)], [("milk", 0), ("salt", 1)], "train: every row has the label 1"),
        ([('"tea"', 0), ('"jam"', 1), ("x", 1)], [("milk", 0), ("salt", 1)], "train: 2 cells look quoted"),
        (
            [('"tea, jam"', 0), ('"a, b"', 1), ('"c, d"', 1), *[(f"x{n}", n % 2) for n in range(9)]],
            [("milk", 0), ("salt", 1)],
            "train: 3 cells look quoted",
        ),
        ([("tea", 0), ("jam", 1)], [("milk", 0), ("salt", 0)], "dev: every row has the label 0"),
        ([("tea", 0), ("jam", 1)], [("jam", 1), ("tea", 0)], "dev: 2 of 2 rows are in the training file"),
        ([("caf\u00c3\u00a9", 0), ("tea", 1)], [("milk", 0), ("salt", 1)], "train: 1 of 2 texts have signs"),
        (
            [("a &amp; b", 0), ("tea", 1)],
            [("milk", 0), ("salt", 1)],
            "train: 1 of 2 texts have signs such as &",
        ),
        ([("gj04", n % 2) for n in range(30)], [("milk", 0), ("salt", 1)], "train: 30 rows have 1 different"),
    ],
)
def test_data_that_can_be_read_and_mean_nothing_are_said(tmp_path, train, dev, said):
    """A copy of the training file for a dev set gives the best score of all, without a word."""
    (tmp_path / "CoLA").mkdir()
    for name, rows in (("train", train), ("dev", dev)):
        content = file_text("cola", [([text], label) for text, label in rows])
        (tmp_path / "CoLA" / f"{name}.tsv").write_text(content, encoding="utf-8")
    loaded = load_examples("cola", "folder", tmp_path)
    assert len(loaded.warnings) == 1 and loaded.warnings[0].startswith(said) and said in loaded.note


def test_quotations_with_commas_are_no_spreadsheets_format(tmp_path):
    """Excel puts marks around every text with a comma; where one has none, the others are quotations."""
    folder = write_task(tmp_path, "sst2") / "SST-2"
    texts = ['"yes, sir"', '"no, sir"', '"well, sir"', "bread, butter", *(f"film {n}" for n in range(9))]
    rows = "".join(f"{text}\t{number % 2}\n" for number, text in enumerate(texts))
    (folder / "train.tsv").write_text(f"sentence\tlabel\n{rows}")
    assert load_examples("sst2", "folder", tmp_path).warnings == ()


def test_a_quoted_header_says_so():
    """Every cell quoted, as spreadsheets may do: the answer must not read as if a column were missing."""
    with pytest.raises(RequestError, match="save the file without quoting"):
        read_content("sst2", b'"sentence"\t"label"\n"a"\t"1"\n')
