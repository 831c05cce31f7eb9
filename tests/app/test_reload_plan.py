"""What is planned, by tables and by what holds of every plan that is carried out."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.model_snapshot import LoadedModel, ModelSnapshot, ModelState
from app.models.reload_plan import Action, Apply, Load, StoredModel, Unload, observed, plan
from model.detector import Detector
from model.errors import ServingError
from model.serving import Serving

DETECTOR = Detector(None, None, None, None)  # type: ignore[arg-type]  # of which a plan needs nothing


def state(*loaded: int, config: Serving | None = None, error: str = "", **others: object) -> ModelState:
    versions = {number: LoadedModel("m", number, DETECTOR) for number in loaded}
    return ModelState(loaded=versions, serving_config=config or Serving(), serving_error=error, **others)  # type: ignore[arg-type]


MISSING = "serving.json names version 9, which is not in the store; there are: [1, 2, 3]"
REFUSED = "serving.json names version 1, which is refused: it is broken"
PIN_1, PIN_9, RATE = Serving(version=1), Serving(version=9), Serving(defect_rate=0.02)
ALL = (1, 2, 3)


@pytest.mark.parametrize(
    ("stored", "before", "expected"),
    [
        (StoredModel(ALL), state(), [Load("m", 3), Load("m", 2)]),
        (StoredModel(ALL), state(3, 2), []),
        (StoredModel(ALL, named=frozenset({1})), state(3, 2), [Load("m", 1)]),  # a recipe's, beside the newest
        (StoredModel(ALL, named=frozenset({3})), state(), [Load("m", 3), Load("m", 2)]),
        (StoredModel(ALL, named=frozenset({9})), state(3, 2), []),
        (StoredModel(ALL), state(3, 2, 1), [Unload("m", frozenset({1}))]),
        (StoredModel(ALL), state(2, 1), [Load("m", 3), Unload("m", frozenset({1}))]),
        (StoredModel(ALL, failed=frozenset({3})), state(), [Load("m", 2), Load("m", 1)]),
        (StoredModel(ALL, failed=frozenset(ALL)), state(), []),
        (StoredModel((1, 2)), state(3, 2), [Load("m", 1), Unload("m", frozenset({3}))]),
        (StoredModel((4,), failed=frozenset({4})), state(3), []),  # what serves goes on serving
        (StoredModel(ALL, RATE), state(3, 2), [Apply("m", RATE)]),
        (StoredModel(ALL, RATE), state(), [Apply("m", RATE), Load("m", 3), Load("m", 2)]),
        (StoredModel(ALL, PIN_1), state(3, 2), [Load("m", 1, PIN_1), Unload("m", frozenset({2}))]),
        (StoredModel(ALL, PIN_1), state(3, 1), [Apply("m", PIN_1)]),
        (
            StoredModel(ALL),
            state(3, 1, config=PIN_1),
            [Apply("m", Serving()), Load("m", 2), Unload("m", frozenset({1}))],
        ),
        (StoredModel(ALL, PIN_9), state(3, 2, config=RATE), [Apply("m", RATE, MISSING)]),
        (StoredModel(ALL, PIN_9), state(3, 2, error=MISSING), []),
        (StoredModel(ALL, PIN_9), state(), [Apply("m", PIN_9, MISSING), Load("m", 3), Load("m", 2)]),
        (StoredModel(ALL), state(3, 2, error=MISSING), [Apply("m", Serving())]),
        (
            StoredModel(ALL, PIN_1, failed=frozenset({1})),
            state(3, 2, refused={1: "it is broken"}),
            [Apply("m", Serving(), REFUSED)],
        ),
        (
            StoredModel((2, 3), PIN_1),
            state(3, 1, config=PIN_1, error=MISSING.replace("9", "1").replace("1, 2", "2")),
            [],
        ),
        (StoredModel(ALL, ServingError("x")), state(), [Apply("m", Serving(), "x")]),  # better no verdicts at all
        (StoredModel(ALL, ServingError("x")), state(2, config=RATE), [Apply("m", RATE, "x"), Load("m", 3)]),
    ],
)
def test_plan(stored: StoredModel, before: ModelState, expected: list[Action]) -> None:
    assert plan({"m": stored}, 2, ModelSnapshot({"m": before})) == expected


def test_models_are_planned_one_after_the_other_and_unknown_ones_are_left() -> None:
    stored = {"a": StoredModel((1,)), "b": StoredModel((2,))}
    assert plan(stored, 2, ModelSnapshot({"c": state(1)})) == [Load("a", 1), Load("b", 2)]


def carried_out(
    stored: StoredModel, before: ModelState, kept: int, broken: frozenset[int]
) -> tuple[list[Action], list[ModelState], StoredModel]:
    """As the manager does; every state that somebody could see."""
    snapshot, seen, done = ModelSnapshot({"m": before}), [before], list[Action]()
    while actions := plan({"m": stored}, kept, snapshot):
        assert len(done) < 50
        done.append(actions[0])
        model = snapshot.models["m"]
        match actions[0]:
            case Apply(_, config, error):
                model = model.applying(config, error)
            case Unload(_, versions):
                model = model.unloading(versions)
            case Load(_, version, config) if version not in broken:
                model = (model.applying(config) if config else model).loading(LoadedModel("m", version, DETECTOR))
            case Load(_, version, _):
                model = model.refusing(version, "broken")
                stored = replace(stored, failed=stored.failed | {version})
        snapshot = snapshot.with_model("m", model)
        seen.append(model)
    return done, seen, stored


VERSIONS = st.frozensets(st.integers(1, 6), max_size=5)
CONFIGS = st.builds(Serving, version=st.none() | st.integers(1, 6), defect_rate=st.none() | st.just(0.02))


@given(
    available=VERSIONS.filter(bool),
    loaded=VERSIONS,
    broken=VERSIONS,
    in_force=CONFIGS,
    config=CONFIGS | st.just(ServingError("x")),
    kept=st.integers(1, 3),
)
def test_every_plan_ends_and_what_serves_goes_on_serving(
    available: frozenset[int],
    loaded: frozenset[int],
    broken: frozenset[int],
    in_force: Serving,
    config: Serving | ServingError,
    kept: int,
) -> None:
    before = state(*loaded, config=in_force)
    stored = StoredModel(tuple(sorted(available)), config)
    done, seen, _ = carried_out(stored, before, kept, broken - loaded)
    after = seen[-1]
    loads = [action.version for action in done if isinstance(action, Load)]
    assert len(loads) == len(set(loads))  # nothing is tried twice
    assert not set(loads) & loaded
    if before.serving:
        assert all(each.serving for each in seen)
    assert len(after.loaded) <= max(kept, len(loaded))
    assert after.loaded.keys() <= (available - (broken - loaded)) | loaded
    for each in seen:  # one step: no version is ever shown with another's settings
        assert {version.detector.line_rate for version in each.loaded.values()} <= {
            each.serving_config.defect_rate,
            None,
        }
    if isinstance(config, Serving) and not after.serving_error:
        assert after.serving_config == config
        if config.version and after.serving:
            assert after.serving.version == config.version
    elif before.loaded:
        assert after.serving_config == in_force
    if not after.serving_error and not after.serving_config.version and available - broken:
        assert after.serving
        assert after.serving.version == max(available - (broken - loaded))


@given(
    known=st.dictionaries(st.sampled_from("abc"), VERSIONS),
    found=st.dictionaries(st.sampled_from("abc"), VERSIONS.filter(bool)),
    complete=st.booleans(),
)
def test_a_poll_forgets_only_what_is_gone_for_sure_and_serves_nothing(
    known: Mapping[str, frozenset[int]], found: Mapping[str, frozenset[int]], complete: bool
) -> None:
    before = ModelSnapshot({name: state(*versions) for name, versions in known.items()}, frozenset(known))
    stored = {name: StoredModel(tuple(sorted(versions))) for name, versions in found.items()}
    after = observed(before, stored, None, complete=complete)
    assert {name: model.available for name, model in after.models.items() if name in found} == {
        name: model.versions for name, model in stored.items()
    }
    assert after.served() == [name for name in sorted(known) if known[name]]
    gone = set(known) - set(found) - set(before.served())
    assert after.models.keys() == (known.keys() | found.keys()) - (gone if complete else set())
    if complete and after.required:
        assert after.required <= after.models.keys()


@pytest.mark.parametrize(
    ("before", "stored", "default", "complete", "required"),
    [
        (set(), {"a", "b"}, None, True, {"a", "b"}),  # the first that are found
        (set(), {"a", "b"}, None, False, {"a", "b"}),
        (set(), {"a"}, "z", True, {"a", "z"}),  # the default one, though it isn't there
        (set(), set(), "z", True, set()),  # an empty store: nothing to wait for by name yet
        ({"a"}, {"a", "b"}, None, True, {"a"}),  # what comes later isn't waited for
        ({"a", "b"}, {"a"}, None, True, {"a"}),
        ({"a", "b"}, {"a"}, None, False, {"a", "b"}),  # it may be there, out of sight
        ({"a", "b"}, {"a"}, "b", True, {"a", "b"}),
        ({"a"}, {"b"}, None, True, {"b"}),
    ],
)
def test_models_without_which_the_service_is_not_ready(
    before: set[str], stored: set[str], default: str | None, complete: bool, required: set[str]
) -> None:
    found = {name: StoredModel((1,)) for name in stored}
    snapshot = ModelSnapshot({name: state() for name in before}, frozenset(before))
    assert observed(snapshot, found, default, complete=complete).required == required


def test_a_required_model_that_is_gone_but_serves_is_still_required() -> None:
    snapshot = ModelSnapshot({"a": state(1), "b": state(2)}, frozenset("ab"))
    assert observed(snapshot, {"b": StoredModel((2,))}, None, complete=True).required == {"a", "b"}
