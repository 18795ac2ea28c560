"""Files that are not the release's: one word on what they are, instead of a line for every row."""

import gzip

import pytest
from glue_files import file_text, forbid_network, row, write_task

from kdviz.data import load_examples
from kdviz.errors import RequestError
from kdviz.tasks import TASKS


@pytest.fixture(autouse=True)
def without_network(monkeypatch, tmp_path):
    forbid_network(monkeypatch, tmp_path)


def refusal(task: str, folder) -> str:
    with pytest.raises(RequestError) as caught:
        load_examples(task, "folder", folder)
    assert caught.value.field == "data_dir" and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("task", "missing", "there", "said"),
    [
        ("cola", "train.tsv", "train.tsv.gz", "(but train.tsv.gz is there: it is compressed: unpack it)"),
        ("cola", "train.tsv", "train.TSV", "(but train.TSV is there: rename it)"),
        ("cola", "train.tsv", "train.csv", "save it as tab-separated text, train.tsv"),
        ("cola", "dev.tsv", "validation.tsv", "(but validation.tsv is there: call it dev.tsv)"),
        ("cola", "dev.tsv", "test.tsv", "(but test.tsv is there: whose labels the release keeps back)"),
        ("cola", "train.tsv", "train-00000-of-00001.parquet", "choose the source hub"),
        ("cola", "train.tsv", "CoLA.zip", "(but CoLA.zip is there: an archive: unpack it)"),
        ("mrpc", "train.tsv", "msr_paraphrase_train.txt", "Microsoft's own files"),
        ("qqp", "train.tsv", "quora_duplicate_questions.tsv", "Quora's own file"),
        ("mnli", "dev_mismatched.tsv", "validation_mismatched.tsv", "call it dev_mismatched.tsv"),
        ("mnli", "dev_matched.tsv", "dev.tsv", "dev_matched.tsv: expected a file, got nothing; put"),
        ("cola", "train.tsv", "validation.tsv", "train.tsv: expected a file, got nothing; put"),
        ("rte", "dev.tsv", "eval.tsv", "(but eval.tsv is there: call it dev.tsv)"),
        ("rte", "train.tsv", "train (1).tsv", "(but 'train (1).tsv' is there: if that is meant"),
        ("rte", "train.tsv", "train.tsv.txt", "(but 'train.tsv.txt' is there: if that is meant"),
        ("cola", "dev.tsv", "in_domain_dev.tsv", "(but 'in_domain_dev.tsv' is there: if that is meant"),
        ("mnli", "dev_matched.tsv", "dev-matched.tsv", "(but 'dev-matched.tsv' is there: if that is meant"),
        ("mnli", "dev_matched.tsv", "dev-mismatched.tsv", "dev_matched.tsv: expected a file, got nothing;"),
        ("cola", "train.tsv", "original/train.tsv", "(but original/train.tsv is there: move it up)"),
        (
            "cola",
            "train.tsv",
            "train/dataset_info.json",
            "(but train is there, as datasets' save_to_disk writes",
        ),
        ("cola", "train.tsv", "train.py", "train.tsv: expected a file, got nothing; put"),
        ("cola", "train.tsv", "dataset_info.json", "as datasets' save_to_disk writes it: choose the source"),
    ],
)
def test_what_lies_in_a_files_place_is_named(tmp_path, task, missing, there, said):
    """ "Got nothing" beside train.tsv.gz sends people to look for the folder, which is right."""
    folder = write_task(tmp_path, task) / TASKS[task].folder
    (folder / there).parent.mkdir(exist_ok=True)
    (folder / missing).rename(folder / there)
    assert said in refusal(task, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n", "run 'git lfs pull'"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><body>404</body></html>\n", "a web page"),
        (gzip.compress(b"text"), "a compressed file (gzip); unpack it"),
        (b"PK\x03\x04 and so on", "an archive (zip); unpack it"),
        (b"PAR1 and so on", "in the format parquet"),
        (b'{"sentence": "a", "label": 1}\n', "a file in the format JSON; save it as tab-separated text"),
        (b'[\n  {\n    "sentence": "a"}]\n', "a file in the format JSON; save it as tab-separated text"),
        (
            b"PK\x03\x04\x14\0\x06\0\x08\0[Content_Types].xml and so on",
            "a spreadsheet's workbook; save it as tab",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "a workbook of an old Excel; save it as tab"),
        (b"ARROW1\0\0" + bytes(100), "a file in the format Arrow"),
        (b"\xff\xff\xff\xff\x10\x01\0\0", "a file in the format Arrow"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a page in XML"),
        (b"\x28\xb5\x2f\xfd" + bytes(100), "a compressed file (zstandard); unpack it"),
        (bytes(4096), "zero bytes alone, as a crash leaves them"),
        (b"\n\t\n \n", "expected rows, got blank lines alone"),
    ],
    ids=(
        *("git-lfs", "html", "gzip", "zip", "parquet", "json", "json in lines", "xlsx", "xls", "arrow"),
        *("arrow stream", "xml", "zstandard", "zeros", "blank"),
    ),
)
def test_what_is_no_table_is_called_what_it_is(tmp_path, content, said):
    """A page of faults, a line each, for a file that only has the right name."""
    (write_task(tmp_path, "cola") / "CoLA" / "dev.tsv").write_bytes(content)
    message = refusal("cola", tmp_path)
    assert said in message and "line" not in message.partition("dev.tsv")[2].replace("blank lines", "")


@pytest.mark.parametrize(
    ("task", "labels", "said"),
    [
        ("cola", ("-1", "-1"), "got '-1' in every row (a test file, whose labels are kept back?)"),
        ("cola", ("0.0", "1.0"), "'0.0', '1.0' in every row (written with a decimal point: write 0, 1)"),
        ("cola", ("unacceptable", "acceptable"), "write 0 for unacceptable, 1 for acceptable)"),
        ("sst2", ("Negative", "pos"), "write 0 for negative, 1 for positive)"),
        ("rte", ("Entailment ", "not-entailment"), "write entailment, not_entailment for not entailment)"),
        ("rte", ("0.0", "1.0"), "a decimal point: write entailment for 0, not_entailment for 1)"),
        ("rte", ("0", "1"), "(the hub's numbers: write entailment for 0, not_entailment for 1); put"),
        ("mnli", ("0", "2"), "write entailment for 0, neutral for 1, contradiction for 2); put"),
        ("sst2", ('"0"', '"1"'), "(in quotation marks: save the file without quoting); put"),
        ("qqp", ("True", "False"), "(truth values: write 0 for False, 1 for True)"),
        ("cola", ("a", "b"), "got 'a', 'b' in every row; put the release's file there"),
    ],
)
def test_labels_that_are_otherwise_in_every_row_are_one_fault(tmp_path, task, labels, said):
    """The first twenty lines of a file, each with the same complaint, leave the cause to be guessed."""
    folder = write_task(tmp_path, task) / TASKS[task].folder
    head, *lines = (folder / "train.tsv").read_text().splitlines()
    if isinstance(TASKS[task].label_column, str):
        place = head.split("\t").index(TASKS[task].label_column)
    else:
        place, lines = TASKS[task].label_column, [head, *lines]
        head = ""
    rows = [line.split("\t") for line in lines]
    changed = [[*cells[:place], labels[number % 2], *cells[place + 1 :]] for number, cells in enumerate(rows)]
    text = "\n".join([*([head] if head else []), *("\t".join(cells) for cells in changed)])
    (folder / "train.tsv").write_text(text)
    assert said in refusal(task, tmp_path)


def test_one_label_that_is_otherwise_keeps_its_line(tmp_path):
    """A single slip is mended by its line, and must not be hidden behind a guess about the file."""
    path = write_task(tmp_path, "cola") / "CoLA" / "train.tsv"
    path.write_text(path.read_text() + row("cola", ["one"], 1).replace("\t1\t", "\t1.0\t"))
    assert "line 13: expected one of the labels 0, 1 in column 2, got '1.0'; mend" in refusal(
        "cola", tmp_path
    )


@pytest.mark.parametrize(
    ("task", "content", "said"),
    [
        ("sst2", "Sentence\tLABEL\na\t1\nb\t0\n", "(spelled otherwise: write sentence, label)"),
        ("rte", "{mrpc}", "(the layout of MRPC?)"),
        ("rte", "{qnli}", "(the layout of QNLI?)"),
        ("rte", "index;sentence1;sentence2;label\n1;a;b;entailment\n", "(separated by semicolons?)"),
        ("rte", "index,sentence1,sentence2,label\n1,a,b,entailment\n", "(separated by commas?)"),
        ("mnli", "sentence1\tsentence2\tlabel\na\tb\tneutral\n", "among 3 columns; put the release's"),
        ("cola", "a film\t1\nno film\t0\n", "expected 4 tab-separated columns, got 2 in every row; put"),
        ("cola", "index\tsentence\n0\ta film\n", "got 2 in every row (a test file, whose labels are kept ba"),
        ("rte", "index\tsentence1\tsentence2\n0\ta\tb\n", "among 3 columns (a test file, whose labels are"),
        ("sst2", "sentence,label\na film,1\n", "(separated by commas?)"),
        ("cola", "gj04;1;;a film\ngj04;0;*;no film\n", "got 1 in every row (separated by semicolons?); put"),
        ("cola", "gj04    1        a film\ngj04    0    *    no film\n", "(separated by blanks?); put"),
        (
            "cola",
            "sentence\tlabel\tidx\na\t1\t0\n",
            "3 in every row (the hub's columns: choose the source hub);",
        ),
        (
            "mrpc",
            "sentence1\tsentence2\tlabel\na\tb\t1\n",
            "the source hub, or write #1 String, #2 String, Q",
        ),
        ("rte", "sentence1\tsentence1\tsentence2\tlabel\na\ta\tb\tc\n", "got 2 among 4 columns; put"),
        ("sst2", "sentence\tlabel\na\t1\t\nb\t0\t\n", "2 tab-separated columns as its header has, got 3 in"),
    ],
)
def test_another_layout_is_recognised(tmp_path, task, content, said):
    """A header that misses every column is most often another task's, or another program's."""
    for other in ("mrpc", "qnli"):
        rows = [(["a", "b"], 1), (["c", "d"], 0)]
        content = content.replace(f"{{{other}}}", file_text(other, rows))
    folder = write_task(tmp_path, task) / TASKS[task].folder
    (folder / "train.tsv").write_text(content)
    assert said in refusal(task, tmp_path)


def test_a_folder_spelled_otherwise_one_floor_below_is_found(tmp_path):
    """glue_data/cola: both are as other programs make them."""
    (tmp_path / "glue_data" / "cola").mkdir(parents=True)
    assert f"{tmp_path / 'glue_data'} holds cola/: rename that to CoLA/" in refusal("cola", tmp_path)


@pytest.mark.parametrize(
    ("there", "folder"),
    [
        ("dataset_dict.json", "."),
        ("cola/dataset_dict.json", "cola"),
        ("cola/train-00000-of-00001.parquet", "cola"),
        ("datasets--nyu-mll--glue/refs/main", "."),
        ("nyu-mll___glue/cola/0.0.0/abc/glue-train.arrow", "nyu-mll___glue/cola"),
    ],
)
def test_what_the_hub_or_the_datasets_library_has_is_called_that(tmp_path, there, folder):
    """ "Give the folder that holds CoLA/", or "rename cola/", to whoever has the very task from the hub."""
    (tmp_path / there).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / there).write_text("{}")
    said = f"{tmp_path / folder} is as the hub or datasets' save_to_disk has it: choose the source hub"
    assert said in refusal("cola", tmp_path)


def test_an_archive_in_the_folders_place_is_named(tmp_path):
    """Who downloaded GLUE and gave the folder of downloads."""
    (tmp_path / "glue_data.zip").write_bytes(b"PK")
    assert "glue_data.zip is there: unpack it, and give the folder that holds CoLA/" in refusal(
        "cola", tmp_path
    )


@pytest.mark.parametrize("value", ["", "  "])
def test_a_blank_variable_names_no_folder(tmp_path, monkeypatch, value):
    """KDVIZ_GLUE_DIR= with a blank left over must not be an error of its own, as for KDVIZ_RUNS_DIR."""
    monkeypatch.setenv("KDVIZ_GLUE_DIR", value)
    assert load_examples("cola", "auto").source == "sample"
