"""Sums over a team: low to low and high to high, gaps left out and said, shares weighted by what they are shares of."""

import numpy as np
import pytest

from workers.estimate import Grade
from workers.serving.jobs import JobRun
from workers.serving.totals import MOST_NAMED, Part, Parts, part_of, share, spent, total
from workers.serving.worked_example import JOB, figures, workload


def part(value, low=None, high=None, grade=Grade.TABLE, title="a model"):
    return Part(title, value, value if low is None else low, value if high is None else high, grade)


def test_ends_add_up_each_for_itself_and_the_worst_class_stands():
    found = total(Parts.of([part(1.0, 0.5, 2.0, Grade.MODELLED), part(10.0, 9.0, 12.0)]), "$/month", nothing="nothing")

    assert (found.low, found.value, found.high, found.grade) == (9.5, 11.0, 14.0, Grade.TABLE)


def test_what_is_not_known_is_left_out_and_said():
    found = total(Parts.of([part(1.0), Part("b", None, None, None, None)]), "$/month", nothing="nothing")

    assert found.value == 1.0 and found.reason == "1 of 2 are left out, because they are not known."


def test_an_open_end_stays_open():
    found = total(Parts.of([part(1.0), Part("b", 2.0, 1.0, None, Grade.TABLE)]), "$/month", nothing="nothing")

    assert found.high is None and found.low == 2.0


def test_nothing_to_add_is_not_known_for_its_reason_and_never_zero():
    assert total(Parts.of([]), "$/month", nothing="Nobody said so.").reason == "Nobody said so."
    assert total(Parts.of([Part("b", None, None, None, None)]), "$", nothing="x").value is None
    assert total(Parts.of([part(0.0)]), "$/month", nothing="x").value == 0.0


def test_many_parts_name_the_largest_and_put_the_rest_together():
    parts = [part(float(at), title=f"model {at}") for at in range(1, 31)]

    found = total(Parts.of(parts), "$/month", nothing="x")

    assert found.value == sum(range(1, 31)) == sum(each.value for each in found.inputs)
    assert [each.title for each in found.inputs][:2] == ["model 30", "model 29"]
    assert found.inputs[-1].title == f"{30 - MOST_NAMED} others"


def test_one_share_keeps_its_class_and_several_are_weighted_by_what_they_are_shares_of():
    half, tenth = part(0.5, 0.4, 0.6, Grade.MODELLED), part(0.1, 0.1, 0.1, Grade.MODELLED)

    alone = share(Parts.of([half]), Parts.of([part(900.0)]), nothing="x")
    both = share(Parts.of([half, tenth]), Parts.of([part(900.0), part(100.0)]), nothing="x")

    assert (alone.value, alone.low, alone.high, alone.grade) == (0.5, 0.4, 0.6, Grade.MODELLED)
    assert both.value == pytest.approx((0.5 * 900 + 0.1 * 100) / 1000) and both.grade == Grade.TABLE
    assert both.low == pytest.approx((0.4 * 900 + 0.1 * 100) / 1000)


def test_over_time_a_figure_and_its_ends_are_multiplied():
    found = Parts.of([part(2.0, 1.0, 3.0), Part("open", 1.0, 1.0, None, None)]).times(np.array([1.5, 2.0]))

    assert part_of("a model", found.figures[0]) == part(3.0, 1.5, 4.5)
    assert part_of("open", found.figures[1]) == Part("open", 2.0, 2.0, None, None)


def test_what_jobs_took_does_not_depend_on_the_networks_they_made():
    found = spent(workload(), JOB)

    assert found.cost == figures().amount("job-cost", 1)
    assert found.energy == figures().amount("job-energy", 1)
    assert found.carbon == figures().amount("job-carbon", 1)


def test_a_job_without_rates_says_what_to_type_in():
    found = spent(workload(), JobRun(title="3 jobs", hours=1))

    assert "Type in $/h" in found.cost.reason and "meter" in found.carbon.reason
