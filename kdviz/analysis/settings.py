"""Run against run: only the settings that differ."""

from collections.abc import Mapping, Sequence
from dataclasses import fields

from kdviz.config import RunConfig

_NOT_COMPARED = {"source", "data_dir"}
"""Settings that say where data were looked for; `data.source` says where they were found."""

COMPARED = (
    *(item.name for item in fields(RunConfig) if item.name not in _NOT_COMPARED),
    "data.source",
    "data.num_train",
    "data.num_eval",
    "teacher_num_layers",
    "num_heads",
    "pairs",
    "device",
    "dtype",
)
"""What a run was asked for and what that came to. Everything else in a config.json (owner, plan, times,
study, versions, whatever another program put there) is bookkeeping and no setting.
"""


def differing_settings(configs: Sequence[Mapping]) -> list[dict]:
    """Rows {"setting", "values": [one per run]} for settings which are not the same in all runs, in the order
    of COMPARED.

    Nested settings are named "data.source". The data fingerprint is shown only when source and counts alike
    would hide that the data differ, the teacher's when its settings alone would, and the sum of the student's
    own checkpoint when its name would. A setting a run does not have is None; one that an older version did
    not know had its default, and does not differ from it.
    """
    flat, defaults = [_flatten(config) for config in configs], _flatten(RunConfig().to_dict())
    rows = []
    for key in COMPARED:
        had = [config.get(key, defaults.get(key)) for config in flat]
        if any(value != had[0] for value in had[1:]):
            rows.append({"setting": key, "values": [config.get(key) for config in flat]})
    shown = {row["setting"] for row in rows}
    for key, telling in (
        (
            "data.fingerprint",
            (
                "task",
                "data.source",
                "data.num_train",
                "data.num_eval",
                "train_size",
                "eval_size",
                "data_seed",
            ),
        ),
        (
            "teacher_fingerprint",
            (
                *("task", "teacher", "teacher_epochs", "teacher_learning_rate", "data_seed", "train_size"),
                *("max_length", "batch_size", "warmup_share", "weight_decay", "max_grad_norm", "dtype"),
                *("data.source", "data.num_train", "data.fingerprint"),
            ),
        ),
        ("student_weights_sha256", ("student_checkpoint",)),
    ):
        values = [config.get(key) for config in flat]
        if any(value != values[0] for value in values[1:]) and not shown.intersection(telling):
            rows.append({"setting": key, "values": values})
            shown.add(key)
    return rows


def _flatten(config: Mapping, prefix: str = "") -> dict:
    flat = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update(_flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = (
                tuple(_freeze(item) for item in value) if isinstance(value, (list, tuple)) else value
            )
    return flat


def _freeze(value):
    return tuple(_freeze(item) for item in value) if isinstance(value, (list, tuple)) else value
