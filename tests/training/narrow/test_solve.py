"""Weights by least squares, for what lies above zero."""

import torch

from training.narrow.solve import solve


def patches(rows: int = 400, inputs: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.cat([torch.rand(rows, inputs), torch.ones(rows, 1)], 1)


def test_weights_that_there_are_come_back() -> None:
    x = patches()
    weights = torch.randn(7, 3)
    assert torch.allclose(solve(x, x @ weights, noise=0.0), weights, atol=1e-3)


def test_what_lies_below_zero_need_only_stay_there() -> None:
    x = patches(inputs=2)
    weights = torch.tensor([[2.0], [1.0], [-1.5]])
    target = x @ weights
    bent = torch.where(target > 0, target, 10 * target)  # the same after ReLU
    linear = torch.linalg.lstsq(x, bent).solution
    error = [((x @ each).relu() - target.relu()).square().mean() for each in (linear, solve(x, bent, noise=0.0))]
    assert error[1] < error[0] / 2


def test_more_noise_makes_smaller_weights() -> None:
    x = patches()
    x[:, 1] = x[:, 0] + 1e-3 * torch.randn(len(x))  # a difference that rounding would drown
    target = 100 * (x[:, :1] - x[:, 1:2])
    plain, robust = (solve(x, target, noise)[:-1].abs().max() for noise in (0.0, 10.0))
    assert robust < plain / 2
