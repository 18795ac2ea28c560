"""Tokenizers as people have them, and that what is exported answers exactly as what ran."""

import json
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_tiny_checkpoint
from families import byte_level_bpe, write_family_checkpoint
from glue_files import write_task
from tokenizers import Tokenizer as Written
from transformers import AutoTokenizer

from kdviz.data.encoded import Tokenizer
from kdviz.data.examples import Example
from kdviz.data.tokenizer_files import copy_tokenizer
from kdviz.data.tokens import are_special
from kdviz.errors import RequestError, RunFailed
from kdviz.jobs.plan import plan
from kdviz.models.check import check_models
from kdviz.models.export import load_as_a_stranger
from kdviz.share.own_sentence import ask
from kdviz.training import teacher_fingerprint as fingerprints
from kdviz.training.export_check import check_export, sample_rows
from kdviz.training.request import recorded_request, resolve_request


@pytest.fixture
def copy(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def with_another_pad(folder: Path) -> int:
    """Make [unused5] the padding token, in every file that says so; its number."""
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        change_json(folder / name, pad_token="[unused5]")
    return AutoTokenizer.from_pretrained(folder).pad_token_id


def keep_tokenizer_json_alone(folder: Path) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
        (folder / name).unlink(missing_ok=True)


def write_cased(folder: Path, minilm_folder: Path) -> None:
    """BERT whose tokenizer.json keeps capitals and accents, as a hub's cache has it: without settings."""
    write_tiny_checkpoint(folder, minilm_folder)
    keep_tokenizer_json_alone(folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"] |= {"lowercase": False, "strip_accents": False}
    vocabulary = content["model"]["vocab"]
    for word, number in (("The", "[unused5]"), ("Zoë", "[unused6]")):
        vocabulary[word] = vocabulary.pop(number)
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def write_bert_with_bpe(folder: Path, minilm_folder: Path, **settings: object) -> None:
    """BERT with a byte-level BPE and a class that says WordPiece, as people save what they have trained."""
    tokenizer = byte_level_bpe()
    write_tiny_checkpoint(folder, minilm_folder, vocab_size=tokenizer.get_vocab_size(), pad_token_id=1)
    keep_tokenizer_json_alone(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "BertTokenizerFast", "unk_token": "<unk>", **settings}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_bert_called_gpt(folder: Path, minilm_folder: Path) -> None:
    """BERT with the name of a class that joins bytes, and makes no token types."""
    write_tiny_checkpoint(folder, minilm_folder)
    change_json(folder / "tokenizer_config.json", tokenizer_class="GPT2Tokenizer")


def write_lowercasing_roberta(folder: Path, minilm_folder: Path) -> None:
    write_family_checkpoint(folder, "roberta", minilm_folder)
    content = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    content["normalizer"] = {"type": "Lowercase"}
    (folder / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")


def same_ids(run, *texts: str) -> None:
    """The run's tokenizer, the teacher's and the student's make the same numbers and types of a text."""
    teacher = run.folder.parent / "teachers" / run.config["teacher_fingerprint"]
    own, types, _ = Tokenizer(Path(run.config["teacher"]), 32).encode(*texts)
    for folder in (teacher, run.folder / "student"):
        made = AutoTokenizer.from_pretrained(folder)(*texts)
        assert made["input_ids"] == own
        assert made.get("token_type_ids", [0] * len(own)) == types


@pytest.mark.parametrize(
    "write", [write_cased, write_bert_with_bpe, write_bert_called_gpt, write_lowercasing_roberta]
)
def test_a_tokenizer_json_is_read_as_it_stands(tiny, minilm_folder, tmp_path, write):
    """transformers takes lower case, accents and the splitting into words from the class: cased models were
    given lower-case words, and one with a byte-level BPE mostly <unk>, without a word. Read as it stands, the
    second text of a pair was of the first one's type.
    """
    folder = tmp_path / "own"
    write(folder, minilm_folder)
    texts = "The dog sees Zoë.", "A  cat, (it SEEMS)"
    written = Written.from_file(str(folder / "tokenizer.json"))
    written.no_padding()
    tokenizer = Tokenizer(folder, 32)
    ids, types, _ = tokenizer.encode(*texts)
    assert (ids, types) == (written.encode(*texts).ids, written.encode(*texts).type_ids)
    assert AutoTokenizer.from_pretrained(folder)(*texts)["input_ids"] != written.encode(*texts).ids
    ends = written.encode("").tokens
    shown = tokenizer.tokens(written.encode("The").ids)
    assert [shown[0], shown[-1]] == ends and are_special(shown) == [True, *[False] * (len(shown) - 2), True]
    run = tiny.run(teacher=str(folder), task="rte", epochs=1, teacher_epochs=1)
    assert run.state == "finished"
    same_ids(run, *texts)
    same_ids(run, texts[0])
    AutoTokenizer.from_pretrained(run.folder / "student")(list(texts), padding=True)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ({"pre_tokenizer": {"type": "Digits", "individual_digits": True}}, "in 1998 the dog slept"),
        ({"normalizer": {"type": "NFKC"}}, "the ﬁne dog"),
        ({"pre_tokenizer": {"type": "UnicodeScripts"}}, "кот dog"),
    ],
)
def test_what_differs_in_rare_signs_alone_is_read_as_it_stands(copy, what, text):
    """Numbers cut in digits, or letters of another width: the sentences of a probe need not have them."""
    content = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    ((part, more),) = what.items()
    steps = "normalizers" if part == "normalizer" else "pretokenizers"
    content[part] = {"type": "Sequence", steps: [more, content[part]]}
    (copy / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    written = Written.from_file(str(copy / "tokenizer.json"))
    written.no_padding()
    assert Tokenizer(copy, 32).encode(text)[0] == written.encode(text).ids


def test_settings_hold_against_a_tokenizer_json(copy):
    """do_lower_case and its like are obeyed by every version of transformers, also against tokenizer.json."""
    change_json(copy / "tokenizer_config.json", do_lower_case=False, tokenizer_class="BertTokenizer")
    ids = Tokenizer(copy, 32).encode("The dog")[0]
    assert ids == AutoTokenizer.from_pretrained(copy)("The dog")["input_ids"]
    assert ids != Tokenizer(copy, 32).encode("the dog")[0]


def warned(tiny, folder: Path) -> tuple[str, ...]:
    return plan(resolve_request(tiny.config(teacher=str(folder), task="rte")), with_seconds=False).warnings


def test_a_vocabulary_that_the_texts_are_not_of_is_warned_of(tiny, copy, minilm_folder, tmp_path):
    """Words that become [UNK], and capitals that are made small, train a model on other texts, unsaid."""
    assert warned(tiny, copy) == ()
    change_json(copy / "tokenizer_config.json", do_lower_case=False, tokenizer_class="BertTokenizer")
    (warning,) = warned(tiny, copy)
    assert re.match(r"\d+% of the tokens of the training examples are unknown", warning)
    cased = write_tiny_checkpoint(tmp_path / "cased", minilm_folder)
    words = (cased / "vocab.txt").read_text(encoding="utf-8").split("\n")
    words[20000:25000] = [word.title() for word in words[20000:25000]]
    (cased / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (cased / name).unlink()
    (warning,) = warned(tiny, cased)
    assert "The tokenizer puts texts in lower case" in warning and "do_lower_case to false" in warning
    (cased / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    assert not any("lower case" in warning for warning in warned(tiny, cased))


def test_settings_that_nobody_obeys_are_refused(tiny, minilm_folder, tmp_path):
    """Neither file says what would be read."""
    write_bert_with_bpe(tmp_path / "own", minilm_folder, add_prefix_space=True)
    with pytest.raises(
        RequestError, match="says add_prefix_space: true, tokenizer.json the contrary"
    ) as caught:
        check_models(tiny.config(teacher=str(tmp_path / "own")))
    assert caught.value.field == "teacher" and "\n" not in str(caught.value)


def test_a_teacher_of_another_reading_is_another_teacher(tiny, copy, minilm_folder, tmp_path):
    """One that was trained on other words of the same files must not be taken for it; all others stay."""
    write_cased(tmp_path / "cased", minilm_folder)
    for folder, is_told in ((tmp_path / "cased", True), (copy, False)):
        request = resolve_request(tiny.config(teacher=str(folder)))
        now, record = request.teacher_fingerprint, json.loads(json.dumps(request.record()))
        recorded_request(record)
        del record["tokenizer_read_as_is"]  # a run of a former version, which read it by its class
        with pytest.raises(RequestError, match="read otherwise") if is_told else nullcontext():
            recorded_request(record)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fingerprints, "settings_to_read_as_is", lambda folder: None)
            before = resolve_request(tiny.config(teacher=str(folder))).teacher_fingerprint
        assert (now != before) is is_told


def test_batches_are_padded_with_the_tokenizers_own_token(tiny, copy):
    """Padding with 0 whatever the tokenizer says looks up a row that training has put aside."""
    pad = with_another_pad(copy)
    assert pad != 0
    tokenizer = Tokenizer(copy, 16)
    examples = [
        Example(index=number, text_a=text, text_b=None, label=0)
        for number, text in enumerate(("a dog", "a dog sees the cat again"))
    ]
    batch = tokenizer.encode_set(examples).batch(np.arange(2))
    assert set(batch.input_ids[0][batch.attention_mask[0] == 0].tolist()) == {pad}
    run = tiny.run(teacher=str(copy), epochs=1, teacher_epochs=1)
    assert run.state == "finished"


def test_a_tokenizer_that_makes_no_token_types(tiny, copy):
    """multilingual-e5 and others: segment 0 for both texts is what the model itself assumes."""
    change_json(
        copy / "tokenizer_config.json",
        tokenizer_class="PreTrainedTokenizerFast",
        model_input_names=["input_ids", "attention_mask"],
    )
    assert set(Tokenizer(copy, 32).encode("a dog", "a cat")[1]) == {0}
    run = tiny.run(teacher=str(copy), task="rte", epochs=1, teacher_epochs=1)
    same_ids(run, "a dog", "a cat")


def test_a_model_with_one_segment_reads_pairs(tiny, minilm_folder, tmp_path):
    """AlephBERT's shape: a second segment is an index beyond its table, also for whoever loads student/."""
    folder = write_tiny_checkpoint(tmp_path / "one", minilm_folder, type_vocab_size=1)
    run = tiny.run(teacher=str(folder), task="rte", epochs=1, teacher_epochs=1)
    same_ids(run, "a dog", "a cat")
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(run.folder / "student")("a dog", "a cat")


def test_a_student_with_one_segment_beside_a_teacher_with_two(tiny, minilm_folder, tmp_path):
    """Its folder came with the teacher's tokenizer as it was: a second segment its table does not have."""
    folder = write_tiny_checkpoint(tmp_path / "one", minilm_folder, type_vocab_size=1)
    run = tiny.run(student_checkpoint=str(folder), task="rte", epochs=1, teacher_epochs=1)
    assert run.state == "finished"
    assert "token_type_ids" not in AutoTokenizer.from_pretrained(run.folder / "student")("a dog", "a cat")


@pytest.mark.parametrize("teacher", ["no types", "one type"])
def test_a_student_with_two_segments_under_a_teacher_without(tiny, minilm_folder, tmp_path, teacher):
    """Its folder made token types that nothing had been trained with: after the last epoch the run failed."""
    if teacher == "no types":
        folder = write_family_checkpoint(tmp_path / "teacher", "distilbert", minilm_folder)
        change_json(folder / "tokenizer_config.json", tokenizer_class="BertTokenizer")
        settings = json.loads((folder / "tokenizer_config.json").read_text())
        del settings["tokenizer_class"]
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    else:
        folder = write_tiny_checkpoint(tmp_path / "teacher", minilm_folder, type_vocab_size=1)
    run = tiny.run(
        teacher=str(folder), student_checkpoint=str(tiny.checkpoint), task="rte", epochs=1, teacher_epochs=1
    )
    assert run.state == "finished"
    same_ids(run, "a dog", "a cat")
    answer = ask(run, "The dog sleeps.", "A dog is asleep.")
    student, tokenizer = load_as_a_stranger(run.folder / "student")
    with torch.no_grad():
        expected = student(**tokenizer("The dog sleeps.", "A dog is asleep.", return_tensors="pt")).logits[0]
    np.testing.assert_allclose(answer.student_logits, expected, atol=1e-4)


def test_a_student_of_another_family_reads_the_teachers_words(minilm_folder, tmp_path):
    """A class by the student's family would cut them in other pieces than it was trained on."""
    folder = write_tiny_checkpoint(tmp_path / "bert", minilm_folder)
    (folder / "tokenizer_config.json").write_text("{}")
    target = tmp_path / "copy"
    target.mkdir()
    copy_tokenizer(folder, target, model_type="roberta", token_types=False)
    (target / "config.json").write_text('{"model_type": "roberta"}')
    texts = "The dog sees Zoë.", "A cat"
    assert (
        AutoTokenizer.from_pretrained(target)(*texts)["input_ids"] == Tokenizer(folder, 32).encode(*texts)[0]
    )


def test_added_tokens_go_with_the_model(tiny, minilm_folder, tmp_path):
    """Left behind, student/ and the app cut `[E1]` in pieces: other numbers than the run's."""
    folder = write_tiny_checkpoint(tmp_path / "added", minilm_folder, vocab_size=30523)
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (folder / name).unlink()
    (folder / "added_tokens.json").write_text('{"[E1]": 30522}')
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}'
    )
    run = tiny.run(teacher=str(folder), epochs=1, teacher_epochs=1)
    assert 30522 in Tokenizer(folder, 32).encode("the dog [E1] sleeps")[0]
    same_ids(run, "the dog [E1] sleeps")


def test_a_tokenizers_settings_go_without_code_and_places(tiny, copy):
    """Whoever loads student/ would be asked to run code that is not there, and read where it was made."""
    places = {name: str(copy / name) for name in ("vocab_file", "tokenizer_file", "special_tokens_map_file")}
    change_json(
        copy / "tokenizer_config.json",
        auto_map={"AutoTokenizer": ["tokens.Tokens", None]},
        name_or_path=str(copy),
        **places,
    )
    run = tiny.run(teacher=str(copy), epochs=1, teacher_epochs=1)
    same_ids(run, "the dog sleeps")
    kept = (run.folder / "student" / "tokenizer_config.json").read_text()
    assert "auto_map" not in kept and str(copy.parent) not in kept


@pytest.mark.parametrize("length", ["62", "62.0", "1e30", "long", ""])
def test_a_length_in_quotation_marks_stays_behind(copy, tmp_path, length):
    """The run was right, and its student/ failed in transformers at the first text."""
    change_json(copy / "tokenizer_config.json", model_max_length=length)
    (tmp_path / "student").mkdir()
    copy_tokenizer(copy, tmp_path / "student", model_type="bert", token_types=True)
    shutil.copyfile(copy / "config.json", tmp_path / "student" / "config.json")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "student", local_files_only=True)
    assert len(tokenizer(["word " * 99], truncation=True)["input_ids"][0]) == (62 if "62" in length else 101)


def test_an_empty_line_behind_the_words_is_no_word(tiny, copy):
    """An editor's last line was "a token beyond the model's vocabulary", its tokenizer another model's."""
    for name in ("tokenizer.json", "special_tokens_map.json"):
        (copy / name).unlink()
    (copy / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with open(copy / "vocab.txt", "ab") as file:
        file.write(b"\n\n")
    assert check_models(tiny.config(teacher=str(copy)))
    assert check_models(tiny.config(student_checkpoint=str(copy))), "the teacher's words, and no others"


def test_words_in_places_to_come_and_numbers_beside_tokenizer_json(tiny, copy, minilm_folder, tmp_path):
    """A list of words beside tokenizer.json is not read: where it names others, the model may have been
    trained on those. BERT's empty places may have been filled in tokenizer.json alone.
    """
    content = json.loads((copy / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = content["model"]["vocab"]
    vocabulary["covid"] = vocabulary.pop("[unused1]")
    (copy / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    assert check_models(tiny.config(teacher=str(copy)))
    folder = write_family_checkpoint(tmp_path / "roberta", "roberta", minilm_folder)
    vocabulary = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    assert check_models(tiny.config(teacher=str(folder)))
    vocabulary["dog"], vocabulary["cat"] = 1000, 1001
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    with pytest.raises(RequestError, match="vocab.json says that '(dog|cat)' is number 100"):
        check_models(tiny.config(teacher=str(folder)))


def test_a_token_beyond_the_table_is_refused_before_anything_is_made(tiny, copy):
    """The data may not hold it; the first visitor's sentence does."""
    tokenizer = AutoTokenizer.from_pretrained(copy)
    tokenizer.add_tokens(["<mark>"])
    tokenizer.save_pretrained(copy)
    with pytest.raises(
        RequestError, match="beyond the model's vocabulary of 30522: '<mark>' is number 30522"
    ):
        check_models(tiny.config(teacher=str(copy)))


def test_another_vocabulary_of_the_same_size_is_refused(tiny, copy):
    """legal-bert beside bert-base, both 30522: every row of the student's table would mean another word."""
    words = (copy / "vocab.txt").read_text(encoding="utf-8").split("\n")
    words[2000:30000] = words[2000:30000][::-1]
    (copy / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    (copy / "tokenizer.json").unlink()
    (copy / "tokenizer_config.json").write_text('{"do_lower_case": true, "tokenizer_class": "BertTokenizer"}')
    with pytest.raises(RequestError, match="not the same ones") as caught:
        check_models(tiny.config(student_checkpoint=str(copy)))
    assert caught.value.field == "student_checkpoint"


def test_a_row_with_an_empty_second_text_does_not_end_a_run(tiny, tmp_path):
    """The check of the export asked student/ about another text than was measured, and the run "failed"."""
    folder = write_task(tmp_path / "glue", "rte") / "RTE"
    lines = (folder / "dev.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines[1:]]
    content = [lines[0], *("\t".join([first, text, "", label]) for first, text, _, label in rows)]
    (folder / "dev.tsv").write_text("\n".join(content) + "\n")
    run = tiny.run(
        task="rte", data_dir=tmp_path / "glue", runs_dir=tmp_path / "runs", epochs=1, teacher_epochs=1
    )
    assert run.state == "finished"


def test_an_export_that_answers_otherwise_is_found(tiny, tmp_path):
    """A setting that kdviz drops and transformers obeys: numbers that nobody finds again."""
    run = tiny.run(epochs=1, teacher_epochs=1, runs_dir=tmp_path)
    examples = [
        Example(index=number, text_a=text, text_b=None, label=0)
        for number, text in enumerate(["the dog sleeps"] * 3)
    ]
    assert list(sample_rows(examples)) == [0, 1, 2]
    with pytest.raises(RunFailed, match="student/ answers otherwise than what ran"):
        check_export(run.folder, 1, sample_rows(examples), 32)  # not the texts that were measured
