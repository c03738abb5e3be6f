"""Resampling, against waves whose values are known everywhere."""

import math

import torch

from aigc.augmentation.space import compose, geometry, rotation, scaling, translation, warp

SIZE = 16


def waves(columns, rows, down, across):
    """Waves that equal their own mirror images at the edges, at positions from the centre; (n, 1, ...)."""
    first, second = (
        torch.cos(wave.double() * math.pi / SIZE * (where + SIZE / 2))
        for wave, where in ((across, columns), (down, rows))
    )
    return (first * second).unsqueeze(1)


def places(matrices):
    """Where the pixels lie, as the definition of the matrices says."""
    from_centre = torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2
    rows, columns = torch.meshgrid(from_centre, from_centre, indexing="ij")
    points = torch.stack([columns, rows, torch.ones_like(rows)]).view(3, -1)
    return (matrices @ points).view(-1, 3, SIZE, SIZE).unbind(1)[:2]


def drawn(count):
    """Matrices that turn, scale by up to 1.4 in one direction, and move."""
    torch.manual_seed(1)
    turn, stretch = torch.rand(count).double() * 7, 2 ** (torch.rand(count).double() - 0.5)
    moves = translation(*(torch.randn(2, count, dtype=torch.float64) * 5))
    return compose(rotation(turn), scaling(stretch, 1 / stretch), rotation(turn * 3), moves)


def test_waves_are_where_the_matrices_say():
    matrices = drawn(100)
    still = torch.eye(3, dtype=torch.float64).expand(100, 3, 3)
    down, across = torch.randint(0, 5, (2, 100, 1, 1))
    images = waves(*places(still), down, across)
    expected = waves(*places(matrices), down, across)
    assert (warp(images, matrices) - expected).abs().max() < 0.06
    assert (warp(images, matrices) - expected).square().mean().sqrt() < 0.015
    assert (warp(images, matrices.inverse()) - expected).square().mean().sqrt() > 0.3  # negative control


def test_nothing_is_lost_on_average():
    """Up to 3/4 of the highest frequency: linear interpolation alone would take a tenth at 12 of 16."""
    matrices = drawn(400)
    matrices[:, :2, :2] = rotation(torch.rand(400, dtype=torch.float64) * 7)[:, :2, :2]
    still = torch.eye(3, dtype=torch.float64).expand(400, 3, 3)
    for wave in (4, 8, 11):
        down = torch.zeros(400, 1, 1)
        expected = waves(*places(matrices), down, down + wave)
        shown = warp(waves(*places(still), down, down + wave), matrices)
        assert abs((shown * expected).sum() / expected.square().sum() - 1) < 0.01


def test_waves_too_fine_for_a_smaller_image_are_left_out():
    matrices = scaling(*torch.full((2, 1), 2.0, dtype=torch.float64))
    still = torch.eye(3, dtype=torch.float64).unsqueeze(0)
    for wave, most in ((14, 1e-9), (10, 1e-9), (5, 1.2)):
        images = waves(*places(still), torch.zeros(1, 1, 1), torch.full((1, 1, 1), wave))
        assert warp(images, matrices).abs().max() <= most
    assert warp(images, matrices).abs().max() > 0.9  # of the last, which is coarse enough


def test_a_constant_image_stays():
    torch.manual_seed(0)
    images = torch.rand(50, 3, 1, 1).expand(-1, -1, 12, 8)
    assert torch.allclose(geometry(images, torch.tensor(1.0)), images, atol=1e-6)


def test_what_is_drawn_deviates_as_in_the_paper(monkeypatch):
    seen = []
    monkeypatch.setattr("aigc.augmentation.space.warp", lambda images, matrices: seen.append(matrices) or images)
    torch.manual_seed(0)
    geometry(torch.zeros(20_000, 1, 8, 16), torch.tensor(1.0))
    linear = seen[0][:, :2, :2]
    octaves = torch.linalg.svdvals(linear).log2()
    assert abs(octaves.mean(1).std() - 0.2) < 0.005
    assert abs((octaves[:, 0] - octaves[:, 1]).square().mean().sqrt() / 2 - 0.2) < 0.005
    moves = torch.linalg.solve(linear, seen[0][:, :2, 2])  # the move is done first, in the image's own pixels
    assert torch.allclose(moves.std(0), torch.tensor([2.0, 1.0]), rtol=0.03)
    directions = torch.atan2(linear[:, 1, 0], linear[:, 0, 0])
    assert abs(directions.cos().mean()) < 0.03
    assert abs(directions.sin().mean()) < 0.03
