"""The presets, which are the probes of every run: enough of them, short, with ids that can be file and link
names.
"""

import re

import pytest

from kdviz.jobs.limits import NUM_PRESETS
from kdviz.tasks import TASKS

EVERY_TASK = pytest.mark.parametrize("name", TASKS)


@EVERY_TASK
def test_at_least_six_with_ids_of_their_own(name):
    """A repeated id would overwrite another probe's maps in every snapshot."""
    ids = [preset.id for preset in TASKS[name].presets]
    assert len(ids) >= 6 and len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z0-9-]+", id) for id in ids)


@EVERY_TASK
def test_fit_their_task(name):
    """A pair where one sentence is expected, or a label that is not there, would fail only once a run
    begins.
    """
    spec = TASKS[name]
    for preset in TASKS[name].presets:
        assert (preset.text_b is not None) == spec.is_pair
        assert preset.label in range(len(spec.labels))
    assert {preset.label for preset in TASKS[name].presets} == set(range(len(spec.labels)))


@EVERY_TASK
def test_are_short(name):
    """Their maps are stored some twenty times a run: the size grows with the square of the length. More of
    them than the limits count on would fill a server's disk.
    """
    assert len(TASKS[name].presets) <= NUM_PRESETS
    for preset in TASKS[name].presets:
        num_words = len(f"{preset.text_a} {preset.text_b or ''}".split())
        assert num_words <= (20 if preset.text_b else 14), preset.id


@EVERY_TASK
def test_say_why_and_what_to_look_for(name):
    """A sentence without its reason is a heat map without a question."""
    for preset in TASKS[name].presets:
        assert preset.title and preset.reason
        assert preset.look_for[-1] in ".?" and len(preset.look_for.split()) >= 3
        assert len({preset.title for preset in TASKS[name].presets}) == len(TASKS[name].presets)


@EVERY_TASK
def test_no_sentence_twice(name):
    """The same text under two ids would count twice in every mean over the probes."""
    texts = [(preset.text_a, preset.text_b) for preset in TASKS[name].presets]
    assert len(set(texts)) == len(texts)
