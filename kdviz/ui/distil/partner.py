"""The run that a comparison lacks, one click away."""

import streamlit as st

from kdviz.config import RunConfig
from kdviz.errors import RequestError
from kdviz.jobs.permissions import owns
from kdviz.method.strategies import INTERNAL
from kdviz.palette import words_of
from kdviz.runs.reader import Run
from kdviz.ui.distil.kept_form import fill_form
from kdviz.ui.frame.identity import permissions, visitor
from kdviz.ui.frame.shell import has_page
from kdviz.ui.frame.state import go_to
from kdviz.ui.frame.words import in_words


def partner_strategy(run: Run) -> str:
    """What a run is to be compared with: soft labels alone, or for those a run that copies the inside too."""
    return "soft" if run.strategy in INTERNAL else "all"


def offer_partner(run: Run) -> None:
    """Say which run is missing beside `run`, and open the form with its settings where it may be started."""
    strategy = partner_strategy(run)
    st.info(
        f"There is nothing to compare this run with yet: it needs a run by {in_words(strategy)} with the "
        "same data, teacher, depth and seed.",
        icon=":material/compare_arrows:",
    )
    if has_page("distil") and not run.is_demo and not permissions().refusal("start", visitor()):
        st.button(
            f"Set up the run by {words_of(strategy)}",
            key="kdviz.partner",
            icon=":material/tune:",
            on_click=_set_up,
            args=(run, strategy),
            help="Opens the Distil page with this run's settings and that strategy; nothing starts yet.",
        )


def _set_up(run: Run, strategy: str) -> None:
    settings = {**run.config, "strategy": strategy}
    if not owns(visitor(), run.config):
        settings["data_dir"] = None  # a folder of the server is nobody else's business
    try:
        fill_form(RunConfig.from_dict(settings))
    except (RequestError, TypeError):
        fill_form(RunConfig(task=run.task, strategy=strategy, seed=run.seed, student_layers=run.num_layers))
    go_to("distil")
