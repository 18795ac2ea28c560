"""Streamlit's own runtime in a test's process: windows without a browser."""

from pathlib import Path

from streamlit.runtime import Runtime, RuntimeConfig
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager


def runtime_of(script: Path) -> Runtime:
    """A runtime of this script, to be started by the test; `Runtime._instance` has to be free."""
    return Runtime(
        RuntimeConfig(
            script_path=str(script),
            media_file_storage=MemoryMediaFileStorage("/media"),
            uploaded_file_manager=MemoryUploadedFileManager("/upload"),
        )
    )
