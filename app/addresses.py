"""Addresses of the API, without a gateway's prefix, and which of them need no key."""

from typing import Final

from starlette.types import Scope

PROBES: Final = {"/livez", "/readyz", "/healthz", "/metrics", "/v2/health/live", "/v2/health/ready"}
"""Health checks and metrics: asked every few seconds, by an IP address rather than a host's name."""
DOCS_FILES: Final = frozenset({"start.js", "swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png"})
"""Files of the page /docs, in app/docs."""
DOCS: Final = frozenset({"/docs", *(f"/docs/{name}" for name in DOCS_FILES)})
PAGE_FILES: Final = frozenset(
    {
        "api.js",
        "decide.js",
        "decision_tally.js",
        "dom.js",
        "event_stream.js",
        "heatmap.js",
        "image_files.js",
        "image_viewer.js",
        "inspect.js",
        "inspections_csv.js",
        "intervals.js",
        "light_table.js",
        "live.js",
        "main.js",
        "minute_chart.js",
        "models.js",
        "page.css",
        "part_images.js",
        "recorded_images.js",
        "review.js",
        "roi.js",
        "roi_editor.js",
        "roi_file.js",
        "score_chart.js",
        "serving.js",
        "verdict.js",
    }
)
"""Files of the inspection page at /, in app/page, beside its index.html."""
PAGE: Final = frozenset(f"/page/{name}" for name in PAGE_FILES)
PUBLIC: Final = {*PROBES, *DOCS, *PAGE, "/", "/openapi.json"}
"""What the interface is stands in public documentation. Everything else needs a key, also routes added later."""


def path_of(scope: Scope) -> str:
    """A request's path without the prefix that a gateway puts before it."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
