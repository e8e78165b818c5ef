import numpy as np
import pytest

from workers.numerics import blockwise

SCHEMES = pytest.mark.parametrize(("bits", "symmetric"), [(4, True), (4, False), (8, True), (8, False)])


def weight(outputs=6, inputs=40, seed=0):
    return np.random.default_rng(seed).standard_t(4, size=(outputs, inputs)).astype(np.float32)


def nearest_slowly(matrix, bits, size, symmetric):
    """Block by block and entry by entry."""
    result = np.zeros_like(matrix, dtype=np.float64)
    for row in range(len(matrix)):
        for begin in range(0, matrix.shape[1], size):
            block = [float(value) for value in matrix[row, begin : begin + size]]
            scale, zero = grid_slowly(block, bits, symmetric)
            for offset, value in enumerate(block):
                level = min(max(round(value / scale) + zero, 0), 2**bits - 1)
                result[row, begin + offset] = (level - zero) * scale
    return result


def grid_slowly(block, bits, symmetric):
    if symmetric:
        return -max(block, key=abs) / 2 ** (bits - 1), 2 ** (bits - 1)
    low, high = min(*block, 0), max(*block, 0)
    scale = (high - low) / (2**bits - 1)
    return scale, round(-low / scale)


@SCHEMES
def test_nearest_agrees_with_a_slow_loop(bits, symmetric):
    matrix = weight()

    stored = blockwise.nearest(matrix, bits=bits, size=16, symmetric=symmetric)

    expected = nearest_slowly(matrix, bits, 16, symmetric)
    step = np.abs(matrix).max() / 2 ** (bits - 1)
    off = np.abs(stored.values(40) - expected)
    assert np.mean(off < 1e-5) > 0.99 and off.max() <= 1.01 * step  # a tie may fall to either side


def test_a_block_of_zeros_stays_zero():
    stored = blockwise.nearest(np.zeros((2, 32), np.float32), bits=4, size=32, symmetric=True)

    assert not stored.values(32).any()


@SCHEMES
def test_half_quadratic_lowers_its_loss_in_every_block(bits, symmetric):
    matrix = weight(30, 128)

    plain = blockwise.nearest(matrix, bits=bits, size=32, symmetric=symmetric)
    fitted = blockwise.half_quadratic(matrix, bits=bits, size=32, symmetric=symmetric)

    def loss(stored):
        return (np.abs(matrix - stored.values(128)) ** 0.7).reshape(30, 4, 32).sum(axis=2)

    assert (loss(fitted) <= loss(plain) * 1.0001).all()
    assert loss(fitted).sum() < 0.99 * loss(plain).sum()


@SCHEMES
def test_half_quadratic_cuts_no_entry_off(bits, symmetric):
    matrix = weight(30, 128)
    matrix[:, ::32] *= 10

    fitted = blockwise.half_quadratic(matrix, bits=bits, size=32, symmetric=symmetric)

    span = blockwise.fit(blockwise.in_blocks(matrix, 32), bits=bits, symmetric=symmetric)
    off = np.abs(fitted.values(128) - matrix).reshape(30, 4, 32).max(axis=2)
    plain = np.abs(blockwise.nearest(matrix, bits=bits, size=32, symmetric=symmetric).values(128) - matrix)
    assert (off <= np.maximum(0.5501 * np.abs(span.scale), plain.reshape(30, 4, 32).max(axis=2))).all()


def test_half_quadratic_finds_a_grid_that_explains_the_block_but_for_an_outlier():
    levels = np.random.default_rng(3).integers(1, 15, size=(1, 64))
    matrix = ((levels - 8) * 0.1).astype(np.float32)
    matrix[0, 4:6] = 0.7, -0.84  # the last stretches the span off the true grid

    stored = blockwise.half_quadratic(matrix, bits=4, size=64, symmetric=False)

    plain = blockwise.nearest(matrix, bits=4, size=64, symmetric=False)
    assert np.mean(np.abs(stored.values(64) - matrix) < 1e-3) > 0.9
    assert np.mean(np.abs(plain.values(64) - matrix) < 1e-3) < 0.2


def compensated_slowly(matrix, seconds, grids, size):
    """Optimal brain surgeon, an input at a time, the strongest first, with a fresh inverse of what is left."""
    work = matrix.astype(np.float64).copy()
    damped = seconds + 0.01 * np.diag(seconds).mean() * np.eye(len(seconds))
    left = sorted(range(matrix.shape[1]), key=lambda column: -seconds[column, column])
    while left:
        column = left[0]
        scale, zero = grids.scale[:, column // size], grids.zero[:, column // size]
        top = 2**grids.bits - 1
        value = (np.clip(np.round(work[:, column] / scale) + zero, 0, top) - zero) * scale
        inverse = np.linalg.inv(damped[np.ix_(left, left)])
        error = (work[:, column] - value) / inverse[0, 0]
        work[:, left] -= np.outer(error, inverse[0])
        work[:, column] = value
        left = left[1:]
    return work


@SCHEMES
def test_compensated_agrees_with_inverting_anew_for_each_input(bits, symmetric):
    rng = np.random.default_rng(4)
    matrix = rng.normal(size=(5, 37)).astype(np.float32)
    x = rng.normal(size=(200, 37)) @ rng.normal(size=(37, 37))

    stored = blockwise.compensated(matrix, x.T @ x, bits=bits, size=16, symmetric=symmetric)

    expected = compensated_slowly(matrix, x.T @ x, stored.grid, 16)
    assert np.mean(np.abs(stored.values(37) - expected) < 1e-3) > 0.97


def test_compensated_crosses_the_border_of_collected_columns_rightly(monkeypatch):
    rng = np.random.default_rng(5)
    matrix = rng.normal(size=(4, 100)).astype(np.float32)
    x = rng.normal(size=(300, 100)) @ rng.normal(size=(100, 100))
    whole = blockwise.compensated(matrix, x.T @ x, bits=8, size=16, symmetric=True).values(100)

    monkeypatch.setattr(blockwise, "_AT_ONCE", 16)
    pieces = blockwise.compensated(matrix, x.T @ x, bits=8, size=16, symmetric=True).values(100)

    assert np.mean(np.abs(whole - pieces) < 1e-4) > 0.98


def test_compensated_changes_the_outputs_less_than_rounding_to_nearest():
    rng = np.random.default_rng(6)
    matrix = rng.normal(size=(64, 96)).astype(np.float32)
    x = (rng.normal(size=(500, 20)) @ rng.normal(size=(20, 96)) + 0.1 * rng.normal(size=(500, 96))).astype(np.float32)

    def off(stored):
        return np.square(x @ (stored.values(96) - matrix).T).mean()

    plain = blockwise.nearest(matrix, bits=4, size=32, symmetric=True)
    moved = blockwise.compensated(matrix, (x.T @ x).astype(np.float64), bits=4, size=32, symmetric=True)

    assert off(moved) < 0.5 * off(plain)


def test_inputs_that_are_always_zero_do_no_harm():
    x = np.random.default_rng(7).normal(size=(50, 32))
    x[:, 3] = 0

    stored = blockwise.compensated(weight(4, 32), x.T @ x, bits=8, size=32, symmetric=True)

    assert np.isfinite(stored.values(32)).all()


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_packed_puts_two_to_a_byte_the_first_below(count):
    levels = np.random.default_rng(8).integers(0, 16, size=(3, count)).astype(np.uint8)

    bytes_ = blockwise.packed(levels, 4)

    for row in range(3):
        for place in range(count):
            byte = int(bytes_[row, place // 2])
            assert (byte >> 4 if place % 2 else byte & 15) == levels[row, place]
    assert bytes_.shape == (3, (count + 1) // 2)
