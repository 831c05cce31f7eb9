"""Where fetched weights and intermediate results lie."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """CAMSPECTOR_CACHE, else the user's cache directory."""
    return Path(os.environ.get("CAMSPECTOR_CACHE") or user_cache_path("camspector"))
