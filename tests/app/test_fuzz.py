"""Some hundred mutated requests against a real process (benchmarks/fuzz.py sends as many as one likes)."""

from pathlib import Path

from tests.support.fuzzing import FLAGS, fuzz
from tests.support.mutations import KINDS, case
from tests.support.process import served


def test_mutated_requests_are_answered(capsule_store: Path) -> None:
    with served(capsule_store, *FLAGS) as server:
        server.wait_until_ready()
        outcomes = fuzz(server, seed=7, numbers=range(500))
    assert [outcome for outcome in outcomes if outcome.failure] == []
    for kind in KINDS:
        statuses = {outcome.status // 100 for outcome in outcomes if outcome.kind == kind}
        assert statuses >= {2, 4}, kind
    assert [line for line in server.lines if " INFO app." not in line] == []


def test_a_case_is_the_same_for_its_number() -> None:
    assert case(1, 17) == case(1, 17)
    assert case(1, 17) != case(2, 17)
    assert case(1, 17).data != case(1, 27).data
