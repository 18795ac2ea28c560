"""The command line. Exit status: 0 done, 1 the run failed, 2 the request is wrong, 130 stopped by the
user.
"""

import contextlib
import sys

from kdviz.cli.parser import make_parser
from kdviz.errors import RequestError, RunFailed, Stopped
from kdviz.paths import runs_folder
from kdviz.studies.command import study_command
from kdviz.terminal import Lasting, complain, fill_standard_descriptors


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors are one line on standard error."""
    fill_standard_descriptors()
    said = contextlib.redirect_stderr(Lasting(sys.stderr, may_be_lost=True))
    with contextlib.redirect_stdout(Lasting(sys.stdout)), said:
        return _carry_out(arguments)


def _carry_out(arguments: list[str] | None) -> int:
    try:
        try:
            asked = make_parser().parse_args(arguments)
            if "runs_dir" in asked and asked.runs_dir is None:
                asked.runs_dir = runs_folder()
            return asked.command(asked) or 0
        finally:
            sys.stdout.flush()
    except RequestError as error:
        return _ended(f"kdviz: {error}", 2)
    except RunFailed as error:
        return _ended(f"kdviz: {error}", 1)
    except Stopped:
        how = "the same command" if asked.command is study_command else "'kdviz resume'"
        return _ended(f"kdviz: stopped; {how} continues it", 130)
    except KeyboardInterrupt:
        return _ended("kdviz: stopped", 130)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _ended(
            f"kdviz: a file could not be read or written: {error.strerror or error}{where}; check the disk "
            "and the folder's permissions, or choose another with --runs-dir",
            1,
        )


def _ended(text: str, status: int) -> int:
    complain(text)
    return status
