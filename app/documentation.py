"""Parts of the OpenAPI document that FastAPI can't derive: bodies of uploads, and problems by status."""

from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import ClientDisconnect

from app.body.compression import ENCODINGS
from app.body.upload import FIELD
from app.errors import (
    TABLE,
    AdminNeedsKeysError,
    BatchTooLargeError,
    IdempotencyKeyError,
    ImageNotKeptError,
    KeyNotAllowedError,
    NoRecordsError,
    NoReportError,
    Problem,
    ProblemBody,
    RecordsUnavailableError,
    TensorError,
    UnknownInspectionError,
    under_v2,
)
from app.v2.message import JSON_LENGTH
from model.errors import ChallengeError, PinError, RecipesError, ServingError, StoreError
from model.image import FORMATS

VERSION: Final = "0.1.0"
"""Version of the service."""

DESCRIPTION: Final = """
Post an image of a part; get its label, the probability of a defect and a heatmap that shows why.

**`probability` is always that of *anomaly*.** `label` is `anomaly` where it reaches `thresholds.label`. Let the line
act on `decision`: `accept`, `review` or `reject`. **Whatever isn't `accept` must not pass as good**:
an image that can't be inspected (a black frame, another product, out of focus) is `review`, and `odd` says why.

    curl -F file=@image.jpg localhost:8000/predict
    curl --data-binary @image.jpg localhost:8000/predict

Every error is `application/problem+json`; its member `error` is short and stable.
"""

EXAMPLE_IMAGE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR42mNsYGBiYAAAApIAhOoU7S4AAAAASUVORK5CYII="
)
"""A gray PNG of 2×2 in base64, so that examples can be tried as they are."""

BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

ENCODING: Final[dict[str, Any]] = {
    "name": "Content-Encoding",
    "in": "header",
    "description": "Compression of the body; in upper or lower case. Empty: none.",
    "schema": {"type": "string", "enum": [*ENCODINGS, "x-gzip", ""]},
}

UPLOAD: Final[dict[str, Any]] = {
    "parameters": [ENCODING],
    "requestBody": {
        "required": True,
        "description": f"One {FORMATS} image in any of three forms, recognised by its first bytes.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: BINARY["schema"]}},
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "additionalProperties": False,
                    "properties": {
                        "image": {
                            "type": "object",
                            "required": ["b64"],
                            "additionalProperties": False,
                            "properties": {"b64": {"type": "string", "format": "byte"}},
                        }
                    },
                },
                "example": {"image": {"b64": EXAMPLE_IMAGE}},
            },
            "application/octet-stream": BINARY,
            **{f"image/{form}": BINARY for form in ("png", "jpeg", "bmp", "tiff", "webp")},
        },
    },
}


def _json_body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"parameters": [ENCODING], "requestBody": {"required": True, "content": content}}


SERVING_BODY: Final = _json_body("Serving")
RECIPES_BODY: Final = _json_body("ProductRecipes")


Replies = dict[int | str, dict[str, Any]]
"""Value of FastAPI's parameter `responses`."""


def problems(*errors: type[Exception]) -> Replies:
    """Replies for error classes of the table: one entry per status, with an example of each error."""
    return _entries([TABLE[error] for error in errors])


def _entries(rows: Iterable[Problem]) -> Replies:
    by_status: dict[int, list[Problem]] = {}
    for row in rows:
        by_status.setdefault(row.status, []).append(row)
    return {status: _entry(same) for status, same in by_status.items()}


def _entry(rows: list[Problem]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "description": " or ".join(row.error for row in rows),
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/ProblemBody"},
                "examples": {
                    row.error: {"value": ProblemBody.of(row, "…", "9f2c…").model_dump(exclude_none=True)}
                    for row in rows
                },
            }
        },
    }
    if rows[0].status == 401:
        entry["headers"] = {"WWW-Authenticate": _header("Bearer.", {"type": "string"}, required=True)}
    if "unsupported-encoding" in [row.error for row in rows]:
        entry["headers"] = {"Accept-Encoding": _header("Accepted encodings.", {"type": "string"})}
    if rows[0].retry_after is not None:
        entry["headers"] = {"Retry-After": _header("Seconds.", {"type": "integer"}, required=True)}
    return entry


def _header(description: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


UNANSWERED: Final = {ClientDisconnect}
ADMINS: Final = {
    ServingError,
    RecipesError,
    PinError,
    StoreError,
    ChallengeError,
    KeyNotAllowedError,
    AdminNeedsKeysError,
}
"""Errors of calls that only administrators may make."""
REPORTS: Final = {NoReportError}
"""Errors of a version's report."""
RECORDS: Final = {NoRecordsError, UnknownInspectionError, ImageNotKeptError, RecordsUnavailableError}
"""Errors of /v1/inspections: without its records an inspection goes on."""
_V2S: Final = {TensorError, BatchTooLargeError}
_NATIVES: Final = {IdempotencyKeyError}
_PREDICTS: Final = [error for error in TABLE if error not in UNANSWERED | ADMINS | RECORDS | REPORTS | _V2S]
_COMMITTED: Final = {
    "X-Camspector-Recorded": _header(
        "With --records: true once it is committed; false: not yet, or lost; pending: nobody waited.",
        {"type": "string", "enum": ["true", "false", "pending"]},
    )
}
AUDITED: Final[Replies] = {200: {"headers": _COMMITTED}}
_RECORDED: Final = _COMMITTED | {
    "X-Camspector-Inference-ID": _header("Of each image, after commas.", {"type": "string"}, required=True)
}

PREDICT_REPLIES: Final[Replies] = {
    200: {
        "description": "The verdict; the overlay with Accept: image/png; with Accept: text/plain one line, for a PLC.",
        "content": {
            "image/png": BINARY,
            "text/plain": {"schema": {"type": "string"}, "example": "1;0.0123;accept;capsule;3;4711\n"},
        },
        "headers": _RECORDED
        | {"Idempotent-Replayed": _header("true: the recorded reply to an earlier request.", {"type": "string"})}
        | {
            f"X-Camspector-{name}": _header("With the overlay.", {"type": kind})
            for name, kind in [
                ("Label", "string"),
                ("Decision", "string"),
                ("Probability", "number"),
                ("Inspectable", "boolean"),
                ("Odd", "string"),
                ("Typicality", "number"),
            ]
        },
    },
    **problems(*_PREDICTS),
}

INFER_REPLIES: Final[Replies] = {
    200: {
        "description": "The outputs, as JSON; where binary data is asked for, as JSON and behind it the data.",
        "content": {"application/octet-stream": BINARY},
        "headers": _RECORDED
        | {JSON_LENGTH: _header("Bytes of JSON, where binary data follows it.", {"type": "integer"})},
    },
    **_entries(
        under_v2(row) for error, row in TABLE.items() if error not in UNANSWERED | ADMINS | RECORDS | REPORTS | _NATIVES
    ),
}
