"""A run's settings as people read them: their layers count from 1, those of a config.json from 0."""

from kdviz.config import CUSTOM, custom_layers


def layers_text(name: str, value: object) -> str | None:
    """A setting that names layers, in words; None for any other, and for what is no such list."""
    try:
        if name == "matching" and str(value).startswith(CUSTOM):
            return f"{CUSTOM} teacher layers {_listed(custom_layers(str(value)))}"
        if name == "active_pairs" and value:
            return f"student layers {_listed(value)}"
        if name == "pairs":
            return ", ".join(f"{student + 1} ↔ {teacher + 1}" for student, teacher in value)
    except (TypeError, ValueError):
        pass
    return None


def _listed(layers: list[int]) -> str:
    return ", ".join(str(layer + 1) for layer in layers)
