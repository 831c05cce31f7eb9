"""What inspects an image: the service's pipeline in this process, or a service that runs."""

from typing import Protocol

from app.inference.pipeline import Heatmap
from app.schemas import Prediction


class Inspector(Protocol):
    """Of one version of a model. Several images may be inspected at once."""

    @property
    def max_bytes(self) -> int | None:
        """Of the largest image that is taken; None: whoever inspects it says so."""

    @property
    def version(self) -> int:
        """Of the model."""

    async def followed(self) -> "Inspector":
        """Of the version that serves now; the same one where nothing has changed. Raises CamspectorError."""

    async def inspect(self, image: bytes, name: str, heatmap: Heatmap) -> Prediction:
        """The reply to POST /predict; `name` is the file's, and the part's.

        Raises NoVerdictError, or StoppedError where no image can be inspected now.
        """
