"""Which channels are kept."""

import torch

from training.narrow.selection import choose_channels


def test_each_is_the_best_by_the_criterion_as_it_is_written() -> None:
    torch.manual_seed(0)
    activations, reader = torch.randn(500, 20) @ torch.randn(20, 20), torch.randn(7, 20, 3, 3)
    centred = (activations - activations.mean(0)).double()
    rest = centred.T @ centred / len(centred)
    flat = reader.double().transpose(0, 1).flatten(1)
    expected: list[int] = []
    for _ in range(10):
        gains = torch.stack([row @ flat @ flat.T @ row / row[j] for j, row in enumerate(rest)])
        gains[expected] = -1
        expected.append(int(gains.argmax()))
        chosen = rest[expected[-1]]
        rest = rest - torch.outer(chosen, chosen) / chosen[expected[-1]]
    assert choose_channels(activations, reader, 10) == expected


def test_copies_of_a_channel_and_channels_that_nobody_reads_come_last() -> None:
    torch.manual_seed(1)
    own = torch.randn(300, 3)
    activations = torch.cat([own, 2 * own, torch.randn(300, 1) * 100], 1)  # 3, 3 copies, 1 that isn't read
    reader = torch.randn(5, 7, 3, 3)
    reader[:, 6] = 0
    chosen = choose_channels(activations, reader, 7)
    assert {number % 3 for number in chosen[:3]} == {0, 1, 2}
    assert 6 in chosen[3:]
    assert sorted(chosen) == list(range(7))


def test_a_channel_that_is_always_zero_breaks_nothing() -> None:
    activations = torch.randn(50, 4)
    activations[:, 2] = 0
    assert choose_channels(activations, torch.ones(2, 4, 3, 3), 3)[-1] != 2
    assert choose_channels(torch.zeros(50, 4), torch.ones(2, 4, 3, 3), 2) == [0, 1]
