"""Checks of the folders that name kinds of images: what is ambiguous about them is refused."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath

from model.errors import DataError
from model.image import FORMATS
from training.data.inventory import shown
from training.data.layout import GOOD, Location, locate


def check_kinds(images: Sequence[Location], say: Callable[[str], None]) -> None:
    """Check the folders of images that all have a kind; `say` is told what is doubtful. Raises DataError."""
    _check_good(images, say)
    _check_nested(images)
    _check_beside_splits(images, say)
    _remark_on_case(images, say)


def check_empty(root: Path, folders: Iterable[PurePosixPath], images: Sequence[Location], depth: int) -> None:
    """Raise DataError where a folder that means good, or one among those of the kinds, holds no image."""
    filled = {image.kind_folder for image in images}
    parents = {folder.parent for folder in filled}
    for folder in folders:
        location = locate(folder / "image", depth)
        is_kind = location.kind is not None and location.kind_folder == folder and not location.is_mask
        if is_kind and (folder.parent in parents or location.kind == GOOD) and folder not in filled:
            raise DataError(f"{shown(root / folder)} holds no {FORMATS} image; fill it or remove it")


def _check_good(images: Iterable[Location], say: Callable[[str], None]) -> None:
    folders = sorted({image.kind_folder for image in images if image.kind == GOOD})
    names: dict[PurePosixPath, list[str]] = defaultdict(list)
    for folder in folders:
        names[folder.parent].append(folder.name)
    for parent, several in names.items():
        if len(several) > 1:
            raise DataError(
                f"{' and '.join(shown(parent / name) for name in several)} both mean good; put their images into one "
                "folder, or rename the one that holds a kind of defect"
            )
    if len({folder.name for folder in folders}) > 1:
        say(f"warning: {', '.join(map(shown, folders))} are all taken for good")


def _check_nested(images: Iterable[Location]) -> None:
    kinds = {image.kind for image in images}
    for image in images:
        for name in image.folder[1:]:
            if name in kinds and name != image.kind:
                raise DataError(
                    f"{shown(image.path)} lies in a folder {name} within one of {image.kind}: move it to where it "
                    "belongs, or rename the inner folder"
                )


def _check_beside_splits(images: Iterable[Location], say: Callable[[str], None]) -> None:
    """Refuse a folder beside train, test or the like whose kind is in none of them."""
    within = {image.kind for image in images if image.split}
    beside = sorted({(image.kind_folder, image.kind or "") for image in images if not image.split})
    if not within:
        return
    for folder, kind in beside:
        if kind not in {*within, GOOD}:
            raise DataError(
                f"{shown(folder)} lies beside train, test or the like, where no kind is called {shown(folder)}; move "
                "it into one of them if it is a kind of defect, else out of the data folder"
            )
    if beside:
        names = ", ".join(shown(folder) for folder, _ in beside)
        say(f"warning: {names} beside train, test or the like: their images count like those within")


def _remark_on_case(images: Iterable[Location], say: Callable[[str], None]) -> None:
    alike: dict[str, set[str]] = defaultdict(set)
    for image in images:
        alike[(image.kind or "").casefold()].add(image.kind or "")
    for names in alike.values():
        if len(names) > 1:
            say(f"warning: {', '.join(map(shown, map(PurePosixPath, sorted(names))))} count as different kinds")
