"""Settings are called on a page as in its form."""

import pytest

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.ui.frame.labels import LABELS, in_labels


@pytest.mark.parametrize(
    ("settings", "begins", "says"),
    [
        ({"epochs": 0}, "Epochs: ", None),
        ({"strategy": "sid", "epochs": 2}, "Epochs: ", "lower “Epochs per layer”"),
        ({"teacher_epochs": -1}, "Teacher's epochs: ", None),
        ({"active_pairs": [7]}, "Matched layers: ", None),
    ],
)
def test_an_error_names_the_control_that_is_to_be_changed(settings: dict, begins: str, says: str | None):
    """Who reads `epochs_per_layer` looks for it in vain: no control is called so."""
    with pytest.raises(RequestError) as refused:
        RunConfig(**settings)
    told = in_labels(str(refused.value))
    assert told.startswith(begins) and (says or "") in told
    assert not any(name in told for name in LABELS if "_" in name)


@pytest.mark.parametrize(
    "text",
    [
        "give --data_dir a folder",
        "there is no /srv/train_size/cola, and no train_size.tsv",
        "the seed: of a flower, after three epochs: none",
        "KDVIZ_data_dir is not set; my_batch_size_too",
    ],
)
def test_what_only_looks_like_a_setting_stays(text: str):
    """A path with a word changed leads nowhere."""
    assert in_labels(text) == text
