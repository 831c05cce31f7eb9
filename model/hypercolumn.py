"""Which of VGG-16's layers the dense layer reads at a patch, and how wide the trunk is that leads to them."""

from dataclasses import dataclass
from typing import Final

# Simonyan & Zisserman 2015, configuration D: output channels of each block's 3×3 convolutions. pool5 is left out (Zhou
# et al. 2016, section 3.1).
Widths = tuple[tuple[int, ...], ...]
BLOCKS: Final[Widths] = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))

GRID: Final = 4
"""Side of the coarse grid whose cells the deepest layer is averaged over, for the gate; less where a map is smaller."""
MEAN_WEIGHT: Final = 7
"""How often the mean of all cells is added to each. What differs from cell to cell is mostly chance, in an image of
grain or of mesh, and would hide that the whole image is of something else; place still counts."""


@dataclass(frozen=True)
class Hypercolumn:
    """The last feature maps of `blocks`, before their pools, each averaged over the patch, side by side
    (Hariharan et al. 2015, section 3). Averaging is linear, so evidence stays linear in the features."""

    blocks: tuple[int, ...] = (5,)
    """Ascending, of 1 … 5. Blocks beyond the last one are not part of the network."""
    stride: int = 16
    """Side of a patch in input pixels: at least the last block's own, 2^(block − 1)."""
    image_head: bool = False
    """Whether each patch also has the means of all features over the whole image (ParseNet: Liu, Rabinovich & Berg
    2015, section 3.1). They are the same at every patch, and linear in the features like the rest."""
    head_apart: bool = False
    """Whether the image head's part of each patch leaves the network beside the evidence: its mean is taken over a
    frame's tiles (`model.tiles`), and heatmaps show less of it than the verdict has. Release 0.1's don't."""
    trunk: Widths = BLOCKS
    """Channels of each convolution that the next one reads; fewer than VGG-16's in a narrow trunk. The hypercolumn's
    own layers have all of VGG-16's channels, of which the next convolution reads the first."""

    def __post_init__(self) -> None:
        known = range(1, len(BLOCKS) + 1)
        if not self.blocks or list(self.blocks) != sorted(set(self.blocks)) or not set(self.blocks) <= set(known):
            raise ValueError(f"a hypercolumn's blocks must ascend within 1 … {len(BLOCKS)}, not {self.blocks}")
        if self.stride not in (strides := [2**power for power in range(self.blocks[-1] - 1, len(BLOCKS))]):
            raise ValueError(f"the stride of block {self.blocks[-1]} must be one of {strides}, not {self.stride}")
        if self.head_apart and not self.image_head:
            raise ValueError("there is no image head that could leave the network apart")
        if [len(block) for block in self.trunk] != [len(block) for block in BLOCKS] or not all(
            1 <= width <= most
            for block, widest in zip(self.trunk, BLOCKS, strict=True)
            for width, most in zip(block, widest, strict=True)
        ):
            raise ValueError(f"a trunk's widths must be those of VGG-16 at most, {BLOCKS}, not {self.trunk}")

    @property
    def channels(self) -> int:
        """C, the features of a patch itself."""
        return sum(self.widths)

    @property
    def inputs(self) -> int:
        """Inputs of the dense layer at a patch: its own features, then the image's means."""
        return self.channels * (2 if self.image_head else 1)

    @property
    def widths(self) -> list[int]:
        """Features of each block."""
        return [BLOCKS[block - 1][-1] for block in self.blocks]

    @property
    def convolutions(self) -> list[list[tuple[int, int]]]:
        """Channels in and out of each convolution, block by block, up to the last block that is read."""
        channels, blocks = 3, []
        for number, widths in enumerate(self.trunk[: self.blocks[-1]], 1):
            block = []
            for position, width in enumerate(widths, 1):
                is_tap = number in self.blocks and position == len(widths)
                block.append((channels, BLOCKS[number - 1][-1] if is_tap else width))
                channels = width
            blocks.append(block)
        return blocks

    @property
    def multiply_adds(self) -> float:
        """Of all convolutions, for one pixel of the input."""
        blocks = [sum(read * written for read, written in block) for block in self.convolutions]
        return sum(9 * block / (1 << 2 * pools) for pools, block in enumerate(blocks))

    def features(self, side: int) -> int:
        """F, the gate's features of a map of side×side patches: each channel of the deepest layer in each cell."""
        return self.widths[-1] * self.cells(side) ** 2

    @staticmethod
    def cells(side: int) -> int:
        """Cells of the grid in a row of a map of side×side patches."""
        return min(GRID, side)


def narrow_widths(share: float) -> Widths:
    """`share` of each of VGG-16's widths, rounded down to whole channels."""
    return tuple(tuple(max(1, int(share * width)) for width in block) for block in BLOCKS)


def grid_window(side: int) -> tuple[int, int]:
    """Side and stride, in patches, of the grid's cells on a map of side×side.

    They cover all of it, and overlap where it can't be divided evenly.
    """
    cells = min(GRID, side)
    stride = side // cells
    return side - (cells - 1) * stride, stride
