from dataclasses import dataclass
from itertools import product

from compressionhub.zoo.catalogue import best_trade_offs


@dataclass(frozen=True)
class Point:
    speedup: float
    drop_points: float


def dominated(point: Point, others: list[Point]) -> bool:
    """The definition, spelt out."""
    return any(
        other.speedup >= point.speedup
        and other.drop_points <= point.drop_points
        and (other.speedup > point.speedup or other.drop_points < point.drop_points)
        for other in others
    )


def test_the_front_holds_exactly_the_points_nobody_dominates():
    points = [Point(speed / 3, ((speed * 7 + drop * 5) % 11) / 4) for speed, drop in product(range(1, 8), range(4))]

    front = best_trade_offs(points)  # type: ignore[arg-type]

    assert {(p.speedup, p.drop_points) for p in front} == {
        (p.speedup, p.drop_points) for p in points if not dominated(p, points)
    }


def test_the_front_rises_with_the_speed_up():
    front = best_trade_offs([Point(2.0, 0.5), Point(1.0, 0.1), Point(3.0, 0.9)])  # type: ignore[arg-type]

    assert [point.speedup for point in front] == [1.0, 2.0, 3.0]
