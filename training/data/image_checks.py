"""Checks of images and masks: each is read once, and what is wrong or doubtful is named."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from model.errors import DataError, ImageError
from model.image import MAX_PIXELS, brightest, decode
from training.data.inventory import shown
from training.data.mask_files import MaskFiles, ReadMask, is_turned, looks_like_mask
from training.data.samples import Sample

_SHOWN: Final = 10
_LARGE: Final = 0.5


@dataclass(frozen=True)
class CheckedImage:
    """What was seen of one sample's image and mask."""

    digest: str
    """SHA-256 of the decoded pixels."""
    brightest: int | None
    """Largest value of a 16-bit image; None for any other."""
    size: str = ""
    """Pixels "width×height"."""
    mask: ReadMask | None = None
    is_turned: bool = False
    """Whether only the image or only its mask is turned by an EXIF orientation, and the mask would fit either way."""
    is_like_mask: bool = False
    """Whether the image itself could be a mask."""
    problem: str | None = None
    """Why it can't be used."""


def check_image(sample: Sample) -> CheckedImage:
    """Decode the image and its mask, each once. Raises nothing: what can't be used has a problem."""
    try:
        data = sample.path.read_bytes()
        image = decode(data, max_pixels=MAX_PIXELS)
        peak = brightest(image)
        pixels = image.convert("RGB") if peak is None else image  # gray is the same image stored as gray or as RGB
        digest = hashlib.sha256(f"{pixels.mode} {pixels.size} ".encode() + pixels.tobytes()).hexdigest()
    except (ImageError, OSError) as error:
        return CheckedImage("", None, problem=f"{sample.path}: {error}")
    checked = CheckedImage(digest, peak, f"{image.width}×{image.height}", is_like_mask=looks_like_mask(image))
    if sample.mask_files is None:
        return checked
    try:
        mask = _read_mask(sample, sample.mask_files, image.size)
    except DataError as error:
        return replace(checked, problem=str(error))
    return replace(checked, mask=mask, is_turned=is_turned(data, image.size) != mask.is_turned)


def _read_mask(sample: Sample, files: MaskFiles, size: tuple[int, int]) -> ReadMask:
    """Read the mask. Raises DataError where it can't be used, or contradicts the sample's kind."""
    mask = files.read(sample.path, size)
    if mask.share and not sample.is_anomaly:
        raise DataError(f"{files} marks a defect, but its image {shown(sample.path)} is under good")
    if sample.is_anomaly and not mask.share:
        raise DataError(
            f"{files} marks nothing: what is defective must be brighter than half, and its largest value is {mask.peak}"
        )
    return mask


def refuse_unusable(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> None:
    """Raise DataError that names each file that can't be used, and why."""
    _refuse([image.problem for image in images if image.problem], "can't be used; mend or remove them")
    _refuse(_contradictions(samples, images), "are the same image under both classes; keep each in one")
    _refuse(_like_masks(samples, images), "look like masks; put masks into ground_truth/KIND, remove what is no image")


def doubts(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> list[str]:
    """What may be wrong with the data, and is used all the same."""
    return [*_doubtful_masks(samples, images), *_under_two_kinds(samples, images)]


def _doubtful_masks(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> list[str]:
    pairs = list(zip(samples, images, strict=True))
    shares = {str(sample.mask_files): image.mask.share for sample, image in pairs if image.mask and image.mask.share}
    large = {name: share for name, share in shares.items() if share > _LARGE}
    turned = [sample.path for sample, image in pairs if image.is_turned]
    found = []
    if large:
        name, share = max(large.items(), key=lambda item: item[1])
        found.append(
            f"{len(large)} of {len(shares)} masks mark more than half of their image, as {name} ({share:.1%}): what is "
            "brighter than half in a mask is taken for defective; invert them if they mean the opposite"
        )
    if turned:
        found.append(
            f"{len(turned)} images are turned by their EXIF orientation and their masks are not, or the reverse, as "
            f"{shown(turned[0])}: a mask is taken to be drawn on the upright image; store both upright to be sure"
        )
    return found


def _under_two_kinds(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> list[str]:
    first: dict[str, Sample] = {}
    pairs = [
        (other, sample)
        for sample, image in zip(samples, images, strict=True)
        if (other := first.setdefault(image.digest, sample)).kind != sample.kind
    ]
    if not pairs:
        return []
    names = " and ".join(shown(sample.path) for sample in pairs[0])
    return [f"{len(pairs)} images lie under two kinds of defect, as {names}: they count under both"]


def _like_masks(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> list[str]:
    """Defective images that could be masks, whatever their names say, where no good image is of that look."""
    alike = [sample for sample, image in zip(samples, images, strict=True) if image.is_like_mask]
    return [str(sample.path) for sample in alike] if all(sample.is_anomaly for sample in alike) else []


def _contradictions(samples: Sequence[Sample], images: Sequence[CheckedImage]) -> list[str]:
    first: dict[str, Sample] = {}
    found = []
    for sample, image in zip(samples, images, strict=True):
        other = first.setdefault(image.digest, sample)
        if other.is_anomaly != sample.is_anomaly:
            found.append(f"{other.path} and {sample.path}")
    return found


def _refuse(problems: Sequence[str], what: str) -> None:
    if problems:
        rest = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise DataError(f"{len(problems)} of the files {what}:{lines}{rest}")
