"""Every image is decoded once before anything is trained: what is wrong with the data is said at the start."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from model.cpus import available_cpus
from model.errors import DataError, ImageError
from model.image import MAX_PIXELS, FullScale, brightest, decode, full_scale_for
from training.data.inventory import shown
from training.data.masks import Mask, is_turned, looks_like_mask
from training.data.samples import Sample
from training.progress import Advance, no_progress

_SHOWN = 10
_LARGE = 0.5


@dataclass(frozen=True)
class Dataset:
    """A data set whose every image can be read."""

    samples: list[Sample]
    """Group names now also tie together samples of identical content."""
    digests: list[str]
    """SHA-256 of each sample's decoded pixels."""
    full_scale: FullScale | None
    """Of the 16-bit pictures; None where there are none."""
    sizes: dict[str, int]
    """How many images are so many pixels "width×height", the most frequent first."""
    warnings: Sequence[str] = ()
    """What may be wrong with the data."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every image's content and kind, sorted: the data set, however its files are called."""
        pairs = sorted(f"{digest} {sample.kind}" for digest, sample in zip(self.digests, self.samples, strict=True))
        return hashlib.sha256("\n".join(pairs).encode()).hexdigest()

    @property
    def duplicates(self) -> int:
        """How many images are copies of another one."""
        return len(self.digests) - len(set(self.digests))


@dataclass(frozen=True)
class _Look:
    digest: str
    brightest: int | None
    size: str = ""
    marked: float | None = None
    """The share of the image that its mask marks."""
    is_turned: bool = False
    """Whether only the image or only its mask is turned by an EXIF orientation, and the mask would fit either way."""
    is_like_mask: bool = False
    """Whether the image itself could be a mask."""
    problem: str | None = None


def survey(samples: Sequence[Sample], advance: Advance = no_progress) -> Dataset:
    """Decode every image and mask. Raises DataError that names each file that can't be used, and why."""
    looks = []
    with ThreadPoolExecutor(available_cpus()) as pool:
        for look in pool.map(_look, samples):
            looks.append(look)
            advance()
    _refuse([look.problem for look in looks if look.problem], "can't be used; mend or remove them")
    digests = [look.digest for look in looks]
    _refuse(_contradictions(samples, digests), "are the same picture under both classes; keep each in one")
    _refuse(_like_masks(samples, looks), "look like masks; put masks into ground_truth/KIND, remove what is no image")
    peaks = [look.brightest for look in looks if look.brightest is not None]
    full_scale = full_scale_for(max(peaks)) if peaks else None
    sizes = Counter(look.size for look in looks)
    warnings = [*_doubtful_masks(samples, looks), *_two_kinds(samples, digests)]
    masked = [sample if sample.is_anomaly else replace(sample, mask=None) for sample in samples]  # theirs are blank
    return Dataset(_tied(masked, digests), digests, full_scale, dict(sizes.most_common()), warnings)


def _look(sample: Sample) -> _Look:
    try:
        data = sample.path.read_bytes()
        photo = decode(data, max_pixels=MAX_PIXELS)
        peak = brightest(photo)
        pixels = photo.convert("RGB") if peak is None else photo  # gray is the same picture stored as gray or as RGB
        digest = hashlib.sha256(f"{pixels.mode} {pixels.size} ".encode() + pixels.tobytes()).hexdigest()
    except (ImageError, OSError) as error:
        return _Look("", None, problem=f"{sample.path}: {error}")
    look = _Look(digest, peak, f"{photo.width}×{photo.height}", is_like_mask=looks_like_mask(photo))
    try:
        return look if sample.mask is None else _with_mask(look, sample, sample.mask, data, photo.size)
    except DataError as error:
        return replace(look, problem=str(error))


def _with_mask(look: _Look, sample: Sample, mask: Mask, data: bytes, size: tuple[int, int]) -> _Look:
    marked = float(mask.checked(sample.path, size).mean())
    if marked and not sample.is_anomaly:
        raise DataError(f"{mask} marks a defect, but its image {shown(sample.path)} is under good")
    if sample.is_anomaly and not marked:
        raise DataError(
            f"{mask} marks nothing: what is defective must be brighter than half, and its largest value is {mask.peak}"
        )
    return replace(look, marked=marked, is_turned=is_turned(data, size) != mask.is_turned(size))


def _doubtful_masks(samples: Sequence[Sample], looks: Sequence[_Look]) -> list[str]:
    shares = {str(sample.mask): look.marked for sample, look in zip(samples, looks, strict=True) if look.marked}
    large = {name: share for name, share in shares.items() if share > _LARGE}
    turned = [sample.path for sample, look in zip(samples, looks, strict=True) if look.is_turned]
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


def _two_kinds(samples: Sequence[Sample], digests: Sequence[str]) -> list[str]:
    first: dict[str, Sample] = {}
    pairs = [
        (other, sample)
        for sample, digest in zip(samples, digests, strict=True)
        if (other := first.setdefault(digest, sample)).kind != sample.kind
    ]
    if not pairs:
        return []
    names = " and ".join(shown(sample.path) for sample in pairs[0])
    return [f"{len(pairs)} images lie under two kinds of defect, as {names}: they count under both"]


def _like_masks(samples: Sequence[Sample], looks: Sequence[_Look]) -> list[str]:
    """Defective images that could be masks, whatever their names say, where no good image is of that look."""
    alike = [sample for sample, look in zip(samples, looks, strict=True) if look.is_like_mask]
    return [str(sample.path) for sample in alike] if all(sample.is_anomaly for sample in alike) else []


def _contradictions(samples: Sequence[Sample], digests: Sequence[str]) -> list[str]:
    first: dict[str, Sample] = {}
    found = []
    for sample, digest in zip(samples, digests, strict=True):
        other = first.setdefault(digest, sample)
        if other.is_anomaly != sample.is_anomaly:
            found.append(f"{other.path} and {sample.path}")
    return found


def _tied(samples: Sequence[Sample], digests: Sequence[str]) -> list[Sample]:
    """Join groups that share a picture, directly or through others."""
    first: dict[str, int] = {}
    edges = [
        (i, first.setdefault(key, i))
        for i, (sample, digest) in enumerate(zip(samples, digests, strict=True))
        for key in (f"group {sample.group}", f"content {digest}")
    ]
    rows, columns = zip(*edges, strict=True)
    graph = coo_array(([1] * len(edges), (rows, columns)), shape=(len(samples), len(samples)))
    _, components = connected_components(graph, directed=False)
    return [replace(sample, group=str(c)) for sample, c in zip(samples, components.tolist(), strict=True)]


def _refuse(problems: Sequence[str], what: str) -> None:
    if problems:
        rest = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        lines = "".join(f"\n  {problem}" for problem in problems[:_SHOWN])
        raise DataError(f"{len(problems)} of the files {what}:{lines}{rest}")
