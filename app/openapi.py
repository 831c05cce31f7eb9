"""The OpenAPI document: FastAPI's, completed by headers, errors and security that routes have in common."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError

from app.addresses import PROBES, PUBLIC
from app.documentation import Replies, problems
from app.errors import KeyMissingError, KeyUnknownError, NotReadyError, ProblemBody, UnknownHostError
from app.part_id import PATTERN
from model.gate import CHECKS
from model.recipes import NUMBER, ProductRecipes
from model.serving import Serving

_ID: Final = {"type": "string", "pattern": "^[!-~]{1,128}$"}
_PART_ID: Final = {"type": "string", "pattern": PATTERN}
_TRACEPARENT: Final = {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"}
_TEXT: Final = {"type": "string"}
_ECHOED: Final = {
    "X-Request-ID": (_ID, "The request's own; a new one where that is missing or invalid."),
    "X-Part-ID": (_PART_ID, "The request's, as it was sent."),
    "traceparent": (_TRACEPARENT, "The request's, where it is valid (W3C Trace Context)."),
}
_REPLY_HEADERS: Final = {
    name: {"description": description, "required": name == "X-Request-ID", "schema": schema}
    for name, (schema, description) in _ECHOED.items()
} | {
    "Connection": {
        "description": "close, where the service is stopping or the request's body was not read.",
        "schema": {"type": "string", "enum": ["close"]},
    }
}
_REQUEST_HEADERS: Final = [
    {
        "name": name,
        "in": "header",
        "description": "Repeated in the reply.",
        "schema": _PART_ID if name == "X-Part-ID" else _TEXT,
    }
    for name in _ECHOED
]
_EVERYWHERE: Final = (Exception, NotReadyError, RequestValidationError)
_BY_HOST: Final = (UnknownHostError,)
_BY_KEY: Final = (KeyMissingError, KeyUnknownError)
_KEYS: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"key": []}, {}]
"""The last one: a service may run without keys."""


def install(app: FastAPI) -> None:
    """Make the application serve the completed document."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI's documentation has it


def _complete(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    schemas["ProblemBody"] = ProblemBody.model_json_schema()
    written = [Serving, ProductRecipes]
    (_, product_recipes), components = msgspec.json.schema_components(
        written, ref_template="#/components/schemas/{name}"
    )
    schemas |= components
    schemas["ProductRecipes"] = product_recipes | {"propertyNames": {"pattern": NUMBER}}
    schemas["Serving"]["properties"]["checks"]["propertyNames"] = {"enum": list(CHECKS)}  # msgspec leaves keys out
    document["components"]["securitySchemes"] = _KEYS
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for address, path in document["paths"].items():
        for operation in path.values():
            _complete_operation(operation, problems(*_EVERYWHERE, *_access_errors(address)))
            if address not in PUBLIC:
                operation["security"] = _SECURITY


def _access_errors(address: str) -> tuple[type[Exception], ...]:
    by_host = () if address in PROBES else _BY_HOST
    return by_host if address in PUBLIC else by_host + _BY_KEY


def _complete_operation(operation: dict[str, Any], everywhere: Replies) -> None:
    replies: dict[str, Any] = operation["responses"]
    if "HTTPValidationError" in str(replies.get("422")):  # FastAPI's guess; ours is 400 bad-parameter
        del replies["422"]
    for status, reply in everywhere.items():
        replies.setdefault(str(status), reply)
    for status, reply in replies.items():
        replies[status] = reply | {"headers": _REPLY_HEADERS | reply.get("headers", {})}
    parameters = operation.get("parameters", [])
    for parameter in parameters:  # one may be left out, but no header is null
        forms = parameter["schema"].get("anyOf", [])
        parameter["schema"] |= next((form for form in forms if form != {"type": "null"}), {})
        parameter["schema"].pop("anyOf", None)
    operation["parameters"] = parameters + _REQUEST_HEADERS
