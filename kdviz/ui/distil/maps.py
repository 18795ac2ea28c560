"""The maps of a run while it trains: the same picture as on the Attention page, at the newest moment."""

from kdviz.errors import RequestError
from kdviz.explorer.source import preset_pack
from kdviz.explorer.telling import telling_probe
from kdviz.runs.reader import Run
from kdviz.share.view import View
from kdviz.ui.frame.picture import look_of, picture


def run_maps(run: Run) -> None:
    """One preset of the run, from its first moment on; nothing before. It stays at the newest moment as more
    come, and where a visitor has moved it to, there.
    """
    probe = next((probe for probe in run.probes if probe.id == telling_probe([run])), None)
    if probe is None or not any(moment.has_maps for moment in run.moments):
        return
    try:
        packed = preset_pack(run, probe)
    except RequestError:  # the first snapshot is being written
        return
    picture(
        [packed],
        look_of(View(), run),
        key="distil.picture",
        options={"differences": False, "chrome": False, "finding": None},
    )
