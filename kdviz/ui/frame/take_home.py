"""What can be taken away from a view: its link, the report, the numbers; and presenting it."""

import io
from collections.abc import Sequence
from functools import lru_cache

import segno
import streamlit as st

from kdviz.analysis.comparable import same_examples
from kdviz.explorer.telling import students_of
from kdviz.runs.reader import Run
from kdviz.share.roles import completed
from kdviz.share.tables import curves_csv, predictions_csv
from kdviz.share.view import View
from kdviz.ui.frame import state
from kdviz.ui.frame.guard import guarded
from kdviz.ui.frame.link import full_link
from kdviz.ui.frame.look import FORMAT_KEY, FORMATS
from kdviz.ui.frame.shell import page_name

QR_KEY = "kdviz.share.qr"
LONGEST_QR_CHARACTERS = 1200
"""What a phone's camera still reads from a screen."""


def share(run: Run, view: View, runs: Sequence[Run], *, chooses: bool = False) -> None:
    """The content of the Share box; `runs`: all there are, the ones compared with among them. `chooses`: the
    page itself chooses sentence and layers where none were asked for, so the link leaves them to it.
    """
    pinned = completed(view, run)
    link = full_link(pinned.but(pair=view.pair, probe=view.probe) if chooses else pinned)
    st.markdown("**Link** to exactly this view")
    st.code(link, language=None, wrap_lines=True)
    if len(link) <= LONGEST_QR_CHARACTERS:
        code = st.expander("QR code", key=QR_KEY, on_change="rerun")
        if code.open:  # to draw it is a fourteenth of a page's time, and few ask for it
            code.image(qr(link), width=260, alt="QR code of the link above")
    if state.mode() == "":
        st.button(
            "Present this",
            key="kdviz.present.this",
            icon=":material/co_present:",
            on_click=_present,
            args=(page_name(),),
            help="Large type and no menu. Esc leaves.",
        )
    st.markdown("**Take home**")
    with guarded("The report"), st.container(horizontal=True):
        _downloads(run, compared_with(run, view, runs))
    st.segmented_control(
        "Figures are saved as",
        list(FORMATS),
        default=st.session_state.get(FORMAT_KEY, next(iter(FORMATS))),
        required=True,
        format_func=FORMATS.__getitem__,
        key=FORMAT_KEY,
        persist_state="session",
        help="By the camera above a figure, seen while the mouse is over it.",
    )


def compared_with(run: Run, view: View, runs: Sequence[Run]) -> list[Run]:
    """The runs that a report of what is looked at holds beside `run`: those of the view; where it names none,
    the student that answers alike and looks elsewhere.
    """
    if view.others is None:
        found = students_of(run, runs)
    else:
        found = [other for name in view.others for other in runs if other.id == name]
    return [other for other in found if other.id != run.id and same_examples(other, run) and other.evals]


def _downloads(run: Run, others: Sequence[Run]) -> None:
    if run.evals and others:
        st.download_button(
            f"Report of {'both' if len(others) == 1 else len(others) + 1} runs",
            data=lambda: _report(run, *others),
            file_name=f"{run.id}-and-{others[0].id}.html",
            mime="text/html",
            key="kdviz.report.several",
            icon=":material/compare:",
            help=f"With {', '.join(other.id for other in others)} beside it, in one file that still moves.",
            on_click="ignore",
        )
    if run.evals:
        st.download_button(
            "Report",
            data=lambda: _report(run),
            file_name=f"{run.id}.html",
            mime="text/html",
            key="kdviz.report",
            icon=":material/article:",
            help="One HTML file that still moves, without a network.",
            on_click="ignore",
        )
    st.download_button(
        "Curves (CSV)",
        data=lambda: curves_csv(run),
        file_name=f"{run.id}-curves.csv",
        mime="text/csv",
        key="kdviz.curves.csv",
        icon=":material/table:",
        on_click="ignore",
    )
    if run.evaluated_epochs:
        st.download_button(
            "Predictions (CSV)",
            data=lambda: predictions_csv(run),
            file_name=f"{run.id}-predictions.csv",
            mime="text/csv",
            key="kdviz.predictions.csv",
            icon=":material/table:",
            on_click="ignore",
        )


def _report(*runs: Run) -> str:
    from kdviz.share.report import report

    return report(*runs)


def _present(page: str) -> None:
    from kdviz.ui.present.presenter import present_this

    present_this(page)


@lru_cache(maxsize=256)
def qr(link: str) -> str:
    """The link as a QR code in SVG, drawn here: dark on white with its quiet zone, whatever the theme."""
    drawn = io.BytesIO()
    segno.make(link, error="m").save(
        drawn, kind="svg", scale=8, border=4, dark="#000000", light="#FFFFFF", xmldecl=False
    )
    return drawn.getvalue().decode()
