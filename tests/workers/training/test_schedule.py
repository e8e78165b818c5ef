"""Learning rates at points whose values are known."""

import pytest

from workers.training.loop import WARM_UP, rate


@pytest.mark.parametrize(
    ("schedule", "share", "expected"),
    [
        ("constant", 0.7, 1.0),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("one-cycle", 0.0, 0.04),
        ("one-cycle", WARM_UP, 1.0),
        ("one-cycle", 1.0, 0.0),
    ],
)
def test_the_rate_follows_its_curve(schedule, share, expected):
    assert rate(schedule, share) == pytest.approx(expected, abs=1e-9)
