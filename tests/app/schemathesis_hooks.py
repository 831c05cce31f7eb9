"""What Schemathesis can't know: real images, and what must agree in a request but no schema can say.

It loads this module by name (SCHEMATHESIS_HOOKS). Requests that are meant to be wrong are left as they are.
"""

import base64
import json
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.support.artifacts import INPUT_SIZE
from tests.support.images import encoded

FORMS = {"png": "PNG", "jpeg": "JPEG", "bmp": "BMP", "tiff": "TIFF", "webp": "WebP"}
IMAGES = {name: [encoded(form, seed=seed, size=32 * seed) for seed in (1, 2, 3)] for name, form in FORMS.items()}
EVERY = [image for images in IMAGES.values() for image in images]
LENGTH = "Inference-Header-Content-Length"

for form, images in IMAGES.items():
    schemathesis.openapi.media_type(f"image/{form}", st.sampled_from(images))
schemathesis.openapi.media_type("application/octet-stream", st.sampled_from(EVERY))
schemathesis.openapi.format("binary", st.sampled_from(EVERY))
schemathesis.openapi.format("byte", st.sampled_from([base64.b64encode(image).decode() for image in EVERY]))


@schemathesis.hook
def before_call(context: Any, case: "schemathesis.Case[Any]", kwargs: dict[str, Any]) -> None:
    del context, kwargs
    headers = case.headers
    if headers is not None and str(headers.get("X-Deadline-Ms", "")).isdigit():
        headers["X-Deadline-Ms"] = "60000"  # 1 ms is sound, and 504
    assert case.meta
    if case.meta.generation.mode.is_negative:
        return
    if headers is not None:
        headers.pop("Content-Encoding", None)
        headers.pop("X-Recipe", None)  # there are none of its number
        if "X-Challenge" in headers:
            headers["X-Challenge"] = "good"  # the kinds are each model's own
    if case.operation.path.endswith("/serving") and isinstance(case.body, dict):
        case.body = followable(case.body)
    if case.operation.path.endswith("/recipes") and isinstance(case.body, dict):
        case.body = {number: usable(recipe) for number, recipe in case.body.items() if isinstance(recipe, dict)}
    if not case.operation.path.endswith("/infer"):
        return
    if headers is not None:
        headers.pop(LENGTH, None)
    if case.media_type == "application/json" and isinstance(case.body, dict):
        case.body = agreeing(case.body)
    elif case.media_type == "application/octet-stream" and isinstance(case.body, bytes):
        size = len(case.body) + 4
        tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": size}}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        case.body = head + len(case.body).to_bytes(4, "little") + case.body
        case.headers[LENGTH] = str(len(head))


def followable(body: dict[str, Any]) -> dict[str, Any]:
    """A serving.json with thresholds and limits in order, and no 3.0 for a version: an integer in JSON Schema alone."""
    version, band, checks = body.get("version"), body.get("thresholds"), body.get("checks")
    if isinstance(checks, dict):
        body = body | {"checks": {name: in_order(limits) for name, limits in checks.items()}}
    if isinstance(version, float):
        body = body | {"version": int(version)}
    if not isinstance(band, dict):
        return body
    return body | {"thresholds": dict(zip(("review", "label", "reject"), sorted(band.values()), strict=True))}


def usable(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe of the version that there is."""
    return followable(recipe | {"model": "capsule", "version": 1})


def agreeing(body: dict[str, Any]) -> dict[str, Any]:
    """The request with data of the shape's size, and each output once."""
    (tensor,) = body["inputs"]
    if tensor["name"] == "image":
        data = (tensor.get("data") or [base64.b64encode(EVERY[0]).decode()])[:8]
        shape = [len(data)]
    else:
        shape = [1, INPUT_SIZE, INPUT_SIZE, 3]
        data = [(tensor.get("data") or [7])[0]] * (INPUT_SIZE * INPUT_SIZE * 3)
    sound = {name: value for name, value in body.items() if name not in ("parameters", "outputs")}
    names = dict.fromkeys(output["name"] for output in body.get("outputs") or [])
    head = {"name": tensor["name"], "datatype": tensor["datatype"]}
    return sound | {"inputs": [head | {"shape": shape, "data": data}], "outputs": [{"name": name} for name in names]}


@schemathesis.check
def declared_headers(context: Any, response: schemathesis.Response, case: "schemathesis.Case[Any]") -> None:
    """Schemathesis looks for headers that are missing; here, that none comes which isn't declared."""
    del context
    declared = case.operation.definition.raw["responses"].get(str(response.status_code))
    if declared is None:  # another of its checks
        return
    usual = {"content-length", "content-type", "date"}
    undeclared = set(response.headers) - usual - {name.lower() for name in declared["headers"]}
    assert not undeclared, f"undeclared headers: {undeclared}"


def in_order(limits: Any) -> Any:
    """Limits that don't descend; anything else as it is."""
    ends = limits if isinstance(limits, list) else []
    return sorted(limits) if len(ends) == 2 and all(type(end) in (int, float) for end in ends) else limits
