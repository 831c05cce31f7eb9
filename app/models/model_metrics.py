"""What Prometheus is told of the models: read off the snapshot whenever it asks."""

from collections.abc import Callable, Iterator

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from app.models.model_snapshot import LoadedModel, ModelSnapshot


class ModelCollector(Collector):
    """Their names and of what they are: docs/api.md."""

    def __init__(self, snapshot: Callable[[], ModelSnapshot], poll_age: Callable[[], float]) -> None:
        """`poll_age`: seconds since a poll of the store was last completed."""
        self._snapshot = snapshot
        self._poll_age = poll_age

    def collect(self) -> Iterator[Metric]:
        engine = InfoMetricFamily(
            "camspector_model_engine", "Engine, variant and device of the version that serves.", labels=["model"]
        )
        version = GaugeMetricFamily(
            "camspector_model_serving_version", "The version that serves; 0: none.", labels=["model"]
        )
        refused = GaugeMetricFamily(
            "camspector_model_refused_versions", "Versions of the store that can't be used.", labels=["model"]
        )
        config_error = GaugeMetricFamily(
            "camspector_model_serving_error", "1 where serving.json isn't in force as it is.", labels=["model"]
        )
        for name, model in self._snapshot().models.items():
            engine.add_metric([name], _engine_labels(model.serving))
            version.add_metric([name], model.serving.version if model.serving else 0)
            refused.add_metric([name], len(model.refused))
            config_error.add_metric([name], bool(model.serving_error))
        yield from (engine, version, refused, config_error)
        yield GaugeMetricFamily(
            "camspector_store_poll_age_seconds", "Since a poll of the store was last completed.", self._poll_age()
        )


def _engine_labels(serving: LoadedModel | None) -> dict[str, str]:
    if serving is None:
        return {"engine": "", "variant": "", "device": ""}
    engine = serving.detector.engine
    return {"engine": engine.name, "variant": serving.detector.variant.name, "device": engine.device}
