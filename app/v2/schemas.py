"""Schemas of the Open Inference Protocol, for FastAPI and OpenAPI."""

from typing import Any, Final, Literal

from pydantic import BaseModel, Field

from app.documentation import BINARY, ENCODING, EXAMPLE_IMAGE
from app.models.model_snapshot import KnownModel, ModelState
from app.v2.request import OUTPUTS, inputs_of

Datatype = Literal["BYTES", "UINT8", "BOOL", "FP32", "FP64"]


class ServerMetadata(BaseModel):
    """Name, version and extensions of the server."""

    name: str
    version: str
    extensions: list[str]


class Live(BaseModel):
    """Reply when all is well; otherwise a problem names the reasons."""

    live: Literal[True]


class Ready(BaseModel):
    """Reply when all is well; otherwise a problem names the reasons."""

    ready: Literal[True]


class ModelReady(BaseModel):
    """Reply for a model that can be asked."""

    name: str
    ready: Literal[True]


class TensorMetadata(BaseModel):
    """An input or output."""

    name: str
    datatype: Datatype
    shape: list[int] = Field(description="−1 where a size varies; the first is that of the batch.")

    @staticmethod
    def of(tensors: dict[str, tuple[Any, list[int]]]) -> "list[TensorMetadata]":
        return [
            TensorMetadata(name=name, datatype=datatype, shape=shape) for name, (datatype, shape) in tensors.items()
        ]


class ModelMetadata(BaseModel):
    """Inputs and outputs of a model. Send one of the inputs, not both."""

    name: str
    versions: list[str] = Field(description="Versions that can answer, newest first.")
    platform: str = Field(description="Engine and numeric form of the network.")
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]

    @staticmethod
    def of(model: ModelState, known: KnownModel) -> "ModelMetadata":
        return ModelMetadata(
            name=known.model,
            versions=[str(version) for version in sorted(model.known, reverse=True)],
            platform=f"{known.engine}_{known.terms.variant.name}",
            inputs=TensorMetadata.of(inputs_of(*known.terms.frame_size)),
            outputs=TensorMetadata.of(OUTPUTS),
        )


class OutputTensor(BaseModel):
    """An output of the batch."""

    name: str
    datatype: Datatype
    shape: list[int]
    data: list[str] | list[bool] | list[float] | None = Field(
        default=None, description="Flat, row-major; images as base64. Missing where it follows as binary data."
    )
    parameters: dict[str, int] | None = Field(
        default=None, description="binary_data_size, where the data follows behind the JSON."
    )


class InferReply(BaseModel):
    """The verdicts on a batch."""

    model_name: str
    model_version: str
    id: str | None = Field(default=None, description="The request's id, where it had one.")
    parameters: dict[str, Any] | None = Field(default=None, description="The request's parameters, without nulls.")
    outputs: list[OutputTensor]


_PARAMETERS: Final = {"type": ["object", "null"]}


def _input(name: str, datatype: str, shape: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"const": name},
            "datatype": {"const": datatype},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}} | shape,
            "data": data,
            "parameters": _PARAMETERS,
        },
    }


_REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": ["string", "null"]},
        "parameters": _PARAMETERS,
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "oneOf": [
                    _input(
                        "image",
                        "BYTES",
                        {"minItems": 1, "maxItems": 2, "description": "N, or N and 1."},
                        {"type": ["array", "null"], "minItems": 1, "items": {"type": "string", "format": "byte"}},
                    ),
                    _input(
                        "pixels",
                        "UINT8",
                        {"minItems": 4, "maxItems": 4},
                        {
                            "type": "array",
                            "description": "Row-major, flat or nested.",
                            "items": {"type": "integer", "minimum": 0, "maximum": 255},
                        },
                    ),
                ]
            },
        },
        "outputs": {
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"enum": list(OUTPUTS)}, "parameters": _PARAMETERS},
            },
        },
    },
}

INFER_BODY: Final[dict[str, Any]] = {
    "parameters": [ENCODING],
    "requestBody": {
        "required": True,
        "description": "JSON; with Inference-Header-Content-Length, JSON and behind it the tensors as binary data.",
        "content": {
            "application/json": {
                "schema": _REQUEST,
                "example": {
                    "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [EXAMPLE_IMAGE]}],
                    "outputs": [{"name": "probability"}, {"name": "decision"}],
                },
            },
            "application/octet-stream": BINARY,
        },
    },
}
