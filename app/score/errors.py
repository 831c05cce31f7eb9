"""What ends one file's way, and what ends them all."""

from model.errors import CamspectorError


class NoVerdictError(CamspectorError):
    """One file has no verdict; the row says why."""

    def __init__(self, error: str, detail: str) -> None:
        """`error`: as in the service's problems, short and stable."""
        super().__init__(detail)
        self.error = error


class UsageError(CamspectorError):
    """The command was called wrongly: nothing was done."""


class StoppedError(CamspectorError):
    """Nothing can have a verdict now, for a reason that isn't the files': the run can be resumed."""
