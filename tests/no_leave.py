"""Folders and files of another user, for tests that run as whoever may read everything."""

import builtins
import errno
import io
import os
from pathlib import Path

import pytest


def forbid(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """From now on nothing below the folders `closed`, or nothing of such files, may be looked at or read."""

    looks = (os.stat, os.lstat)  # at the folder itself are allowed: its name is in another one

    def guarded(function):
        def call(path, *arguments, **options):
            given = os.path.abspath(os.fspath(path)) if isinstance(path, (str, os.PathLike)) else ""
            for folder in map(str, closed):
                inside = given.startswith(f"{folder}{os.sep}")
                if inside or (given == folder and function not in looks):
                    raise PermissionError(errno.EACCES, "Permission denied", given)
            return function(path, *arguments, **options)

        return call

    for module, names in (
        (os, ("stat", "lstat", "scandir", "listdir", "open")),
        (builtins, ("open",)),
        (io, ("open",)),
    ):
        for name in names:
            monkeypatch.setattr(module, name, guarded(getattr(module, name)))
