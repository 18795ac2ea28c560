"""A model of the hub: from the cache, else downloaded."""

from __future__ import annotations

from pathlib import Path

from kdviz.errors import RequestError


def hub_folder(hub_id: str, field: str) -> Path:
    """The local snapshot of a hub model: from the cache, else downloaded; gives up within seconds without a
    network.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    from kdviz.data.hub import hub_is_reachable
    from kdviz.models.checkpoint import TOKENIZER_FILES

    disable_progress_bars()
    wanted = ["config.json", "model.safetensors", *TOKENIZER_FILES]
    try:
        folder = Path(snapshot_download(hub_id, allow_patterns=wanted, local_files_only=True))
        if (folder / "model.safetensors").exists():
            return folder
    except Exception:
        pass
    if not hub_is_reachable():
        raise RequestError(
            f"{field}: {hub_id} is not in the local cache and the model hub cannot be reached; use "
            "minilm-l6 or a local folder",
            field=field,
        )
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted, etag_timeout=5))
    except Exception as error:
        raise RequestError(
            f"{field}: {hub_id} cannot be had from the model hub ({type(error).__name__}); check the id, "
            "or use minilm-l6",
            field=field,
        ) from None
