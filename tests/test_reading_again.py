"""The JSON files of a run, read once for every state they are in."""

import os
from pathlib import Path

import pytest
from folders import make_run

from kdviz.files import write_json
from kdviz.runs.reader import Run


@pytest.mark.parametrize("replaced", [True, False])
def test_a_record_is_what_the_file_says_now(tmp_path: Path, replaced: bool):
    """A page would show a run as running that has long ended: its status is as many bytes as the one before,
    and with a file that is written over, and given back its time, even the same inode.
    """
    run = Run(make_run(tmp_path, "one", state="stopped"))
    path = run.files.status
    assert run.status["state"] == "stopped"
    before = os.stat(path)
    text = path.read_text().replace("stopped", "failed ").replace('failed "', 'failed"')
    text = text.ljust(before.st_size)
    if replaced:
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)
    else:
        path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size
    assert run.status["state"] == "failed"


def test_what_a_reader_does_with_a_record_is_its_own(tmp_path: Path):
    """One page would change what all others see."""
    run = Run(make_run(tmp_path, "one"))
    run.status.clear()
    run.status["state"] = "queued"
    assert run.status["state"] == run.state == "finished"


def test_a_fault_is_told_as_long_as_it_stands(tmp_path: Path):
    """A file that was damaged for a moment would be called so for ever; one that is, only once."""
    run = Run(make_run(tmp_path, "one"))
    good = run.files.status.read_bytes()
    for content, is_damaged in (
        (good, False),
        (b"{", True),
        (b"{", True),
        (good, False),
        (b'{"step": []}', True),
    ):
        run.files.status.write_bytes(content)
        for _ in range(2):
            assert isinstance(run.status, dict) and ("status.json" in run.faults) == is_damaged, content
    run.files.status.unlink()
    assert run.status == {} and run.faults == {}
    write_json(run.files.status, {"state": "finished"})
    assert run.state == "finished"
