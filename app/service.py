"""The parts of a running service, made from its settings, started and stopped together."""

import time
from typing import TYPE_CHECKING, Final

from app.challenge.outcomes import ChallengeOutcomes, PassedRuns
from app.documentation import VERSION
from app.drift.monitor import DriftMonitor, DriftStates
from app.inference.admission import Admission
from app.inference.runtime import InferenceRuntime
from app.middleware.keys import Keyring
from app.models.model_manager import ModelManager
from app.monitoring.events import Events
from app.monitoring.metrics import Metrics
from app.monitoring.request_record import RequestRecord
from app.monitoring.statistics import Statistics
from app.settings import ConfigurationError, Settings
from app.state_file import StateFile

if TYPE_CHECKING:
    from app.monitoring.tracing import Tracing
    from app.records.audit import What
    from app.records.records import Records

STOP_SECONDS: Final = 10.0
"""For threads to finish what they do; the process ends without those that don't."""


class Service:
    """Everything that requests share. `draining` is set when the process is told to stop."""

    def __init__(self, settings: Settings) -> None:
        """Raises KeysError, KeyFileError or ConfigurationError."""
        self.settings = settings
        self.metrics = Metrics()
        self.metrics.service.info({"version": VERSION, "station": settings.station, "line": settings.line})
        self.records = _open_records(settings, self.metrics)
        self.keyring = Keyring(settings.keys_file, lambda path, keys: self._audit("keys", path, keys, path))
        self.statistics = Statistics()
        self.events = Events()
        passed_runs = StateFile(settings.state, "challenge.json", PassedRuns)
        self.challenges = ChallengeOutcomes(settings.challenge_hours, self.metrics, passed_runs)
        self.tracing = _open_tracing(settings)
        self.model_manager = ModelManager(settings, self.metrics.registry, self._audit)
        self.drift = DriftMonitor(self.metrics.registry, StateFile(settings.state, "drift.json", DriftStates))
        self.inference = InferenceRuntime(settings, self.metrics, self.model_manager.report, self.tracing)
        latency, drawing = self.inference.latency, self.inference.drawing
        self.admission = Admission(settings.queue_size, settings.max_bytes, latency, drawing, self.metrics)
        self.draining = False
        self.stalled = ""
        """Why the process is about to end, in words."""

    def start(self) -> None:
        """In the event loop."""
        if self.records:
            self.records.start()
        self.model_manager.start()
        self.keyring.start()
        self.inference.start()

    def stop(self) -> None:
        """For when the last request is answered, or cut off."""
        self.model_manager.stop()
        self.keyring.stop()
        self.inference.stop()
        until = time.monotonic() + STOP_SECONDS
        for thread in (*self.inference.workers, self.model_manager.thread, self.keyring.thread):
            thread.join(max(0.0, until - time.monotonic()))
        if self.records:
            self.records.stop(STOP_SECONDS)
        for state in (self.challenges, self.drift):
            state.stop(max(0.0, until - time.monotonic()))
        if self.tracing:
            self.tracing.stop()

    def watch(self, record: RequestRecord) -> None:
        """Let the control charts see a request that has ended, unless its recipe decides otherwise than the model."""
        if record.has_own_thresholds:
            return
        state = self.model_manager.snapshot.models.get(record.model or "")
        self.drift.add(record, state.serving if state else None)

    def give_up(self, reason: str) -> None:
        """The engine has stalled: answer whoever waits for it."""
        self.stalled = reason
        self.inference.give_up(reason)

    def _audit(self, what: "What", subject: str, after: str, by: str) -> None:
        if self.records:
            self.records.audit_change(what, subject, after, by)

    def dead(self) -> list[str]:
        """What has stopped that must run, in words: only a restart mends it. Empty: the process is alive."""
        threads = {
            "the model manager's thread": self.model_manager.thread.is_alive(),
            "the keys' thread": self.keyring.thread.is_alive(),
        } | {f"engine worker {number}": worker.is_alive() for number, worker in enumerate(self.inference.workers, 1)}
        stopped = [f"{name} has stopped" for name, alive in threads.items() if not alive]
        return [*stopped, self.stalled] if self.stalled else stopped

    def unready(self) -> list[str]:
        """Why no new requests should be sent here, in words. Empty: the service is ready."""
        draining = ["the service is shutting down"] if self.draining else []
        opening = self.records.unready() if self.records else []
        challenges = self.challenges.unready(self.model_manager.snapshot.served())
        return (
            self.dead()
            + draining
            + self.inference.codecs.stalled()
            + self.model_manager.unready()
            + challenges
            + opening
        )


def _open_records(settings: Settings, metrics: Metrics) -> "Records | None":
    """SQLAlchemy is imported only where records are kept. Raises ConfigurationError."""
    if settings.records is None:
        return None
    from app.records.records import Records

    return Records(settings, metrics)


def _open_tracing(settings: Settings) -> "Tracing | None":
    """OpenTelemetry is imported only where it is asked for. Raises ConfigurationError where it isn't installed."""
    if settings.trace_endpoint is None:
        return None
    try:
        from app.monitoring.tracing import export_to
    except ImportError as error:
        raise ConfigurationError(f"--trace-endpoint needs the packages of camspector[tracing]: {error}") from None

    return export_to(settings.trace_endpoint, settings.station, settings.line)
