import uuid

from app.records.inference_id import first_id_at, milliseconds_of, new_inference_id


def test_is_a_uuid_of_version_7() -> None:
    made = uuid.UUID(new_inference_id(1_795_000_000_123))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert milliseconds_of(made.hex) == 1_795_000_000_123


def test_ids_are_all_different_and_sort_by_time() -> None:
    ids = [new_inference_id(at) for at in range(1_795_000_000_000, 1_795_000_000_100) for _ in range(10)]
    assert len(set(ids)) == 1000
    assert sorted(ids[::10]) == ids[::10]
    assert ids[499] < first_id_at(1_795_000_000_050) < ids[500]
