"""What OpenAPI can't learn from the code: the upload's three forms, and the problems with their statuses."""

from typing import Any, Final

from starlette.requests import ClientDisconnect

from app.errors import TABLE, Problem, ProblemBody
from app.upload import FIELD

DESCRIPTION: Final = """
Post a picture of a part; get its label, the probability of a defect and a heatmap that shows why.

**`probability` is always that of *anomaly*.** `label` is `anomaly` where it reaches `thresholds.label`. Let a line act
on `decision`: `accept`, `review` or `reject`.

    curl -F file=@photo.jpg localhost:8000/predict
    curl --data-binary @photo.jpg localhost:8000/predict

Every error is `application/problem+json`; its member `error` is short and stable.
"""

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "One PNG, JPEG, BMP, TIFF or WebP picture in any of three forms, told by its first bytes.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": [FIELD], "properties": {FIELD: _BINARY["schema"]}},
            },
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {
                        "image": {
                            "type": "object",
                            "required": ["b64"],
                            "properties": {"b64": {"type": "string", "format": "byte"}},
                        }
                    },
                },
                "example": {"image": {"b64": "iVBORw0KGgo…"}},
            },
            "application/octet-stream": _BINARY,
            **{f"image/{form}": _BINARY for form in ("png", "jpeg", "bmp", "tiff", "webp")},
        },
    }
}


def problems(*errors: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """FastAPI's `responses` for classes of the errors' table: one entry a status, with an example for each error."""
    rows = [TABLE[error] for error in errors]
    replies: dict[int | str, dict[str, Any]] = {
        row.status: _entry([same for same in rows if same.status == row.status]) for row in rows
    }
    return replies | {"default": _entry([])}


def _entry(rows: list[Problem]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "description": " or ".join(row.error for row in rows) or "Any other error.",
        "content": {
            "application/problem+json": {
                "schema": ProblemBody.model_json_schema(),
                "examples": {row.error: {"value": ProblemBody.of(row, "…", "9f2c…").model_dump()} for row in rows},
            }
        },
    }
    if rows and rows[0].retry_after is not None:
        entry["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    return entry


PREDICT_REPLIES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The verdict; the overlay picture with Accept: image/png.", "content": {"image/png": _BINARY}},
    **problems(*(error for error in TABLE if error is not ClientDisconnect)),
}
