"""A flag for every setting of a run."""

import argparse
from collections.abc import Callable
from dataclasses import fields

from kdviz.config import Kind, RunConfig
from kdviz.runs.command import flag_of


def add_settings(parser: argparse.ArgumentParser) -> None:
    """A flag for every RunConfig field; values are checked by RunConfig, so that its messages are the same
    everywhere.
    """
    for item in fields(RunConfig):
        flag = flag_of(item.name)
        help = item.metadata["help"] + (
            f" One of {', '.join(item.metadata['choices'])}." if item.metadata["choices"] else ""
        )
        kind = RunConfig.kind(item.name)
        if kind.base is bool:
            parser.add_argument(
                flag, dest=item.name, action=argparse.BooleanOptionalAction, default=item.default, help=help
            )
        elif kind.base is tuple:
            default = ",".join(item.default) if item.default else None
            parse = _names_or_none if kind.may_be_none else names
            parser.add_argument(flag, dest=item.name, type=parse, default=default, metavar="A,B", help=help)
        else:
            parser.add_argument(
                flag,
                dest=item.name,
                default=item.default,
                metavar=kind.base.__name__.upper(),
                type=_value(kind),
                help=help,
            )


def names(text: str) -> tuple[str, ...]:
    """The parts of a list with commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _names_or_none(text: str) -> tuple[str, ...] | None:
    return None if text.strip().lower() == "none" else names(text)


def _value(kind: Kind) -> Callable[[str], object]:
    """Convert a flag's text; "none" is None where the setting can be left open."""

    def convert(text: str) -> object:
        if text.lower() == "none" and kind.may_be_none:
            return None
        if not text.strip():
            raise argparse.ArgumentTypeError(
                f"expected {kind.words}, got {text!r} (a variable that is not set?); leave the flag out for "
                "its default"
            )
        try:
            return kind.base(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"expected {kind.words}, got {text[:80]!r}") from None

    return convert


def config_of(asked: argparse.Namespace, **changes: object) -> RunConfig:
    """The settings asked for, some of them changed."""
    return RunConfig(**{item.name: getattr(asked, item.name) for item in fields(RunConfig)} | changes)
