"""Which versions leave the memory."""

from dataclasses import replace

import pytest

from app.models.eviction import evictions
from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from model.detector import Detector
from model.serving import Serving

DETECTOR = Detector(None, None, None, None)  # type: ignore[arg-type]  # of which nothing is asked
USED = {("a", 1): 30.0, ("b", 1): 10.0, ("c", 1): 20.0}


def snapshot(*resident: str, **sizes: int) -> ModelSnapshot:
    """Models of one version each, by size."""
    states = {
        name: ModelState(
            (1,), {1: LoadedModel(name, 1, DETECTOR, size=size)}, serving_config=Serving(resident=name in resident)
        )
        for name, size in sizes.items()
    }
    return ModelSnapshot(states, on_demand=True)


@pytest.mark.parametrize(
    ("models", "limit", "keep", "expected"),
    [
        (snapshot(a=10, b=10, c=10), 30, "a", ""),
        (snapshot(a=10, b=10, c=10), 29, "a", "b"),
        (snapshot(a=10, b=10, c=10), 15, "a", "bc"),
        (snapshot(a=10, b=10, c=10), 15, "b", "ca"),
        (snapshot(a=10, b=10, c=10, d=10), 30, "a", "d"),  # nobody has used it
        (snapshot(a=10, b=1, c=20), 20, "a", "bc"),
        (snapshot("b", a=10, b=10, c=10), 20, "a", "c"),
        (snapshot("b", "c", a=10, b=10, c=10), 5, "a", ""),  # more than may be, and nothing to be done
    ],
)
def test_who_leaves(models: ModelSnapshot, limit: int, keep: str, expected: str) -> None:
    assert [name for name, _ in evictions(models, limit, USED, (keep, 1))] == [*expected]


def test_of_a_resident_model_other_versions_leave() -> None:
    models = snapshot("a", a=10)
    older = LoadedModel("a", 0, DETECTOR, size=10)
    state = models.models["a"]
    models = models.with_model("a", replace(state, loaded={0: older, **state.loaded}))
    assert [*evictions(models, 10, {}, ("a", 1))] == [("a", 0)]
