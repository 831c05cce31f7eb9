"""What Prometheus is told of the models: read off the snapshot whenever it asks."""

from collections.abc import Callable, Iterator
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from app.models.model_snapshot import KnownModel, ModelSnapshot


class LoadMetrics:
    """Loads and evictions, of all models together."""

    def __init__(self, registry: CollectorRegistry) -> None:
        buckets = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
        self.seconds = Histogram(
            "model_load_seconds",
            "Loading and testing a version.",
            namespace="camspector",
            registry=registry,
            buckets=buckets,
        )
        self.evictions = Counter(
            "model_evictions_total",
            "Versions that left the memory for others.",
            namespace="camspector",
            registry=registry,
        )


class ModelCollector(Collector):
    """Their names and of what they are: docs/api.md."""

    def __init__(self, snapshot: Callable[[], ModelSnapshot], poll_age: Callable[[], float]) -> None:
        """`poll_age`: seconds since a poll of the store was last completed."""
        self._snapshot = snapshot
        self._poll_age = poll_age

    def collect(self) -> Iterator[Metric]:
        info, gauge = partial(InfoMetricFamily, labels=["model"]), partial(GaugeMetricFamily, labels=["model"])
        engine = info("camspector_model_engine", "Engine, variant and device of the version that serves.")
        version = gauge("camspector_model_serving_version", "The version that serves; 0: none.")
        refused = gauge("camspector_model_refused_versions", "Versions of the store that can't be used.")
        config_error = gauge("camspector_model_serving_error", "1 where serving.json isn't in force as it is.")
        loaded = gauge("camspector_model_loaded_versions", "Versions that are in memory.")
        for name, model in self._snapshot().models.items():
            engine.add_metric([name], _engine_labels(model.serving))
            version.add_metric([name], model.serving.version if model.serving else 0)
            refused.add_metric([name], len(model.refused))
            config_error.add_metric([name], bool(model.serving_error))
            loaded.add_metric([name], len(model.loaded))
        yield from (engine, version, refused, config_error, loaded)
        unusable = bool(self._snapshot().recipes_error or self._snapshot().recipe_problems())
        yield GaugeMetricFamily(
            "camspector_recipes_error",
            "1 where recipes.json isn't in force as it is, or names what can't be used.",
            float(unusable),
        )
        yield GaugeMetricFamily(
            "camspector_models_loaded_bytes", "Memory of all loaded versions, estimated.", self._snapshot().size
        )
        yield GaugeMetricFamily(
            "camspector_store_poll_age_seconds", "Since a poll of the store was last completed.", self._poll_age()
        )


def _engine_labels(serving: KnownModel | None) -> dict[str, str]:
    if serving is None:
        return {"engine": "", "variant": "", "device": ""}
    return {"engine": serving.engine, "variant": serving.terms.variant.name, "device": serving.device}
