"""The challenge folder of a model: what is in it, what isn't taken, and where the store keeps it."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from model.challenge import CHALLENGE, MOST, challenge_images, passes
from model.errors import ChallengeError, StoreError
from model.store import Store
from tests.support.images import encoded


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encoded(size=8))
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.publish("bolt", lambda path: (path / "manifest.json").touch())
    return store


def test_a_good_part_is_to_be_accepted_and_a_defective_one_is_not() -> None:
    assert [passes("good", decision) for decision in ("accept", "review", "reject")] == [True, False, False]
    assert [passes("dent", decision) for decision in ("accept", "review", "reject")] == [False, True, True]


def test_images_are_found_by_kind(tmp_path: Path) -> None:
    folder = write(tmp_path, "good/2.png", "good/1.png", "deep dent/1.png", ".hidden/1.png", "good/.hidden")
    assert [(image.kind, image.name) for image in challenge_images(folder)] == [
        ("deep dent", "deep dent/1.png"),
        ("good", "good/1.png"),
        ("good", "good/2.png"),
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "has 0 good images and 0 defective ones"),
        (("good/1.png",), "has 1 good images and 0 defective ones"),
        (("dent/1.png",), "has 0 good images and 1 defective ones"),
        (("good/1.png", "dent.png"), r"dent\.png is no folder; images lie in challenge/KIND/"),
        (("good/1.png", "dent/a/1.png"), "dent/a is no file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ChallengeError, match=message):
        challenge_images(write(tmp_path, *names))


def test_no_folder_and_no_image(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match=r"there is no .*nowhere: `training challenge` makes it"):
        challenge_images(tmp_path / "nowhere")
    write(tmp_path, "good/1.png", "dent/1.png")
    (tmp_path / "good" / "notes.txt").write_text("by Ann")
    with pytest.raises(ChallengeError, match=r"notes\.txt is no image"):
        challenge_images(tmp_path)


def test_too_many_images(tmp_path: Path) -> None:
    write(tmp_path, "dent/1.png", *(f"good/{number}.png" for number in range(MOST)))
    with pytest.raises(ChallengeError, match=f"has {MOST + 1} images; the limit is {MOST}"):
        challenge_images(tmp_path)


def test_the_store_knows_the_folder(store: Store) -> None:
    """It is no version, no stray, and no model of its own."""
    folder = store.set_challenge("bolt", {"good/1.png": b"one", "dent/1.png": b"two"}, replace=False)
    assert folder == store.challenge("bolt") == store.root / "bolt" / CHALLENGE
    assert (folder / "dent" / "1.png").read_bytes() == b"two"
    assert folder.stat().st_mode & 0o777 == 0o755
    assert store.strays() == []
    assert (store.models(), store.versions("bolt")) == (["bolt"], [1])
    assert Store(store.root / "bolt").challenge("bolt") == folder
    assert Store(store.root / "bolt").models() == ["bolt"]


def test_images_that_are_there_are_replaced_only_when_it_is_said_and_are_kept(store: Store) -> None:
    for name in ("1", "2", "3"):
        with pytest.raises(StoreError, match="challenge is there already: --replace") if name != "1" else nullcontext():
            store.set_challenge("bolt", {f"good/{name}": b""}, replace=False)
        store.set_challenge("bolt", {f"good/{name}": b""}, replace=True)
    assert [path.name for path in store.challenge("bolt").rglob("*")] == ["good", "3"]
    assert [path.name for path in (store.root / "bolt" / ".challenge-previous").rglob("*")] == ["good", "2"]
    assert sorted(path.name for path in (store.root / "bolt").iterdir()) == [".challenge-previous", "1", CHALLENGE]
