"""The terms on which a version decides: its manifest, the variant that serves, and what serving.json changes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from model.gate import CheckName, OpenLimits
from model.image_measures import SIZE_MEASURES
from model.manifest import Cascade, Manifest, Variant
from model.serving import Serving
from model.tiles import Tiling
from model.verdict import Thresholds, prior_shift


@dataclass(frozen=True)
class Terms:
    """What is known of a version that was loaded, and takes no memory to speak of."""

    manifest: Manifest
    variant: Variant
    line_rate: float | None = field(default=None, kw_only=True)
    """The production line's defect rate; None: that for which the version was exported."""
    line_thresholds: Thresholds | None = field(default=None, kw_only=True)
    """Thresholds in place of the version's, as probabilities at `defect_rate`; None: the version's."""
    line_checks: Mapping[CheckName, Literal["off"] | OpenLimits] = field(default_factory=dict, kw_only=True)
    """Limits of checks in place of the version's; "off": it isn't made."""
    skipped_variants: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """Why quicker variants don't serve, by name."""
    decoding_difference: str | None = field(default=None, kw_only=True)
    """How decoding here differs from decoding in training, in words; None: it doesn't."""

    def under(self, serving: Serving) -> Self:
        """The same version as serving.json has it decide: with its defect rate, thresholds and checks."""
        return replace(
            self,
            line_rate=serving.defect_rate,
            line_thresholds=serving.line_thresholds(),
            line_checks=serving.checks,
        )

    @property
    def defect_rate(self) -> float:
        """The defect rate at which probabilities and thresholds are in force."""
        return self.line_rate or self._exported_rate

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds in force. The version's own move with the defect rate where their rule is prior-invariant."""
        if self.line_thresholds is not None:
            return self.line_thresholds
        exported = self.variant.thresholds
        if not self.manifest.operating_point.prior_invariant:
            return exported
        return exported.moved(prior_shift(self._exported_rate, self.defect_rate))

    @property
    def _exported_rate(self) -> float:
        return self.manifest.operating_point.defect_rate or self.variant.calibration.defect_rate

    @property
    def shift(self) -> float:
        """Log-odds that the defect rate in force adds to the calibration's."""
        return prior_shift(self.variant.calibration.defect_rate, self.defect_rate)

    @property
    def accepted_below(self) -> float:
        """Calibrated log-odds, at the calibration's own defect rate, below which a part is accepted."""
        return self.thresholds.accepted_below(self.shift)

    def clear_below(self, cascade: Cascade) -> float:
        """Largest pooled evidence with which the cascade's narrow network clears an image."""
        return self.variant.calibration.inverse(self.accepted_below - cascade.margin)

    @property
    def limits(self) -> dict[CheckName, OpenLimits]:
        """Limits in force, of the checks that are made. Where images of any size are scaled alike, those of size and
        aspect are the line's own, if it has any."""
        own = self.manifest.gate.limits if self.manifest.gate else {}
        frame = self.manifest.preprocessing.frame
        any_size = frame is not None and frame.scale is not None and not frame.sizes_checked
        unmade: tuple[CheckName, ...] = SIZE_MEASURES if any_size else ()
        limits: dict[CheckName, Literal["off"] | OpenLimits] = {
            **own,
            **dict.fromkeys(unmade, "off"),
            **self.line_checks,
        }
        return {name: each for name, each in limits.items() if each != "off"}

    @property
    def input_size(self) -> int:
        """S, the side of the network's input."""
        return self.manifest.preprocessing.input_size

    @property
    def frame_size(self) -> tuple[int, int]:
        """Width and height of what the network sees of an image: S and S, where that is one tile."""
        return self.manifest.preprocessing.resizing.frame_size

    @property
    def tiling(self) -> Tiling:
        return self.manifest.preprocessing.resizing.tiling

    @property
    def scales_alike(self) -> bool:
        """Whether every image is scaled by the same factor, to a frame of its own."""
        frame = self.manifest.preprocessing.frame
        return frame is not None and frame.scale is not None

    @property
    def heatmap_size(self) -> int:
        """Longer side of a heatmap of the frame of training's images, in pixels."""
        return self.manifest.preprocessing.resizing.heatmap_size
