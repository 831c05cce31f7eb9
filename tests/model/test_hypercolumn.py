"""Which layers can be read at a place, and how many features that gives."""

import msgspec
import pytest
import torch

from model.hypercolumn import BLOCKS, Hypercolumn, Widths, narrow_widths
from model.network import VGG16CAM
from model.weights import tensor_shapes


@pytest.mark.parametrize(
    ("blocks", "widths"),
    [((5,), [512]), ((3, 4), [256, 512]), ((1, 2, 3, 4, 5), [64, 128, 256, 512, 512]), ((2, 5), [128, 512])],
)
def test_features_of_a_patch_are_those_of_its_layers(blocks: tuple[int, ...], widths: list[int]) -> None:
    hypercolumn = Hypercolumn(blocks)
    assert hypercolumn.widths == widths
    assert hypercolumn.channels == hypercolumn.inputs == sum(widths)
    assert Hypercolumn(blocks, image_head=True).inputs == 2 * sum(widths)


def test_without_a_word_it_is_the_published_map() -> None:
    assert Hypercolumn() == Hypercolumn((5,), 16)


@pytest.mark.parametrize(("last", "strides"), [(1, [1, 2, 4, 8, 16]), (3, [4, 8, 16]), (5, [16])])
def test_a_patch_is_no_smaller_than_the_last_layers_own(last: int, strides: list[int]) -> None:
    for stride in strides:
        network = VGG16CAM(Hypercolumn((last,), stride)).eval()
        with torch.inference_mode():
            assert network(torch.zeros((1, 32, 48, 3), dtype=torch.uint8)).shape == (1, 32 // stride, 48 // stride)
    for stride in {0, 1, 2, 3, 4, 8, 12, 16, 32} - set(strides):
        with pytest.raises(
            ValueError, match=rf"the stride of block {last} must be one of \[{strides[0]}.*, not {stride}"
        ):
            Hypercolumn((last,), stride)


@pytest.mark.parametrize("blocks", [(), (0,), (6,), (4, 3), (3, 3), (-1, 5)])
def test_blocks_must_ascend_within_the_network(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must ascend within 1 … 5"):
        Hypercolumn(blocks)


def test_a_manifests_is_checked_too() -> None:
    assert msgspec.json.decode(b'{"blocks": [3, 4], "stride": 8}', type=Hypercolumn) == Hypercolumn((3, 4), 8)
    with pytest.raises(msgspec.ValidationError, match="stride of block 4"):
        msgspec.json.decode(b'{"blocks": [3, 4], "stride": 4}', type=Hypercolumn)


def test_blocks_beyond_the_last_one_are_no_part_of_the_network() -> None:
    names = VGG16CAM(Hypercolumn((2, 3), 8)).weights().keys()
    assert {name.split(".")[0] for name in names} == {
        "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv3_3", "dense",
    }  # fmt: skip


# A narrow trunk

QUARTER = ((16, 16), (32, 32), (64, 64, 64), (128, 128, 128), (128, 128, 128))


@pytest.mark.parametrize(("share", "first"), [(1.0, 64), (0.5, 32), (0.375, 24), (0.25, 16), (0.001, 1)])
def test_a_share_of_every_width(share: float, first: int) -> None:
    widths = narrow_widths(share)
    assert [len(block) for block in widths] == [len(block) for block in BLOCKS]
    assert widths[0] == (first, first)
    assert (narrow_widths(1.0), narrow_widths(0.25)) == (BLOCKS, QUARTER)


def test_what_the_dense_layer_reads_stays_as_wide_as_it_was() -> None:
    narrow = Hypercolumn((2, 3, 4), 8, trunk=QUARTER)
    assert narrow.convolutions == [
        [(3, 16), (16, 16)],
        [(16, 32), (32, 128)],
        [(32, 64), (64, 64), (64, 256)],
        [(64, 128), (128, 128), (128, 512)],
    ]
    assert narrow.widths == Hypercolumn((2, 3, 4), 8).widths
    shapes = {name: values.shape for name, values in VGG16CAM(narrow).weights().items()}
    assert shapes == tensor_shapes(narrow)
    assert (shapes["conv2_2.weight"], shapes["conv3_1.weight"]) == ((128, 32, 3, 3), (64, 32, 3, 3))


def test_the_next_layer_reads_the_first_channels_of_a_wide_one() -> None:
    torch.manual_seed(0)
    network = VGG16CAM(Hypercolumn((1, 2), 2, trunk=QUARTER)).eval()
    pixels = torch.randint(0, 256, (1, 32, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        of_first, of_second = network.layers(network.normalised(pixels))
        expected = network.blocks[1](torch.nn.functional.max_pool2d(of_first[:, :16], 2))
    assert (of_first.shape[1], of_second.shape[1]) == (64, 128)
    assert torch.equal(of_second, expected)


@pytest.mark.parametrize(
    "trunk", [BLOCKS[:4], ((0, 64), *BLOCKS[1:]), ((65, 64), *BLOCKS[1:]), ((64,), *BLOCKS[1:])], ids=str
)
def test_no_trunk_is_wider_than_vgg_16_or_of_another_form(trunk: Widths) -> None:
    with pytest.raises(ValueError, match="widths must be those of VGG-16 at most"):
        Hypercolumn((2,), 8, trunk=trunk)
    with pytest.raises(msgspec.ValidationError, match="widths must be those of VGG-16 at most"):
        msgspec.json.decode(msgspec.json.encode({"blocks": [2], "trunk": trunk}), type=Hypercolumn)
