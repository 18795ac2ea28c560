"""One line on the screen instead of a traceback; the traceback goes to the server's log."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from kdviz.errors import RequestError
from kdviz.runs.arrays import Damaged
from kdviz.text import plain, plain_reason

log = logging.getLogger("kdviz")


@contextmanager
def guarded(what: str) -> Iterator[None]:
    """Show one line where the block fails, and let the rest of the page go on.

    A RequestError says itself what to do. A KeyError means: not recorded in this run; Damaged: recorded, and
    not readable. Anything else is a
    fault of ours, named by its type and logged in full. Streamlit's own control flow (stop, rerun) passes
    through.
    """
    try:
        yield
    except RequestError as error:
        st.warning(plain_reason(str(error)))
    except Damaged as error:
        log.warning("%s: %s", what, error)
        st.warning(f"{what}: this part of the run cannot be read: {plain_reason(str(error))}.")
    except KeyError as error:
        log.info("%s not recorded: %s", what, error)
        st.info(f"{what}: not recorded in this run, at this moment.")
    except ImportError as error:
        log.warning("%s: %s", what, error)
        st.info(f"{what}: needs the package {plain(str(error.name))}, which is not installed.")
    except Exception as error:
        log.exception("%s failed", what)
        st.warning(
            f"{what} cannot be shown ({type(error).__name__}); the rest of the page works, and the "
            "server's log has the details."
        )
