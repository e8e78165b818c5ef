"""What earlier jobs say about a draft."""

from __future__ import annotations

import pytest
from django.utils import timezone

from compressionhub.jobs.compose.precedents import precedents
from compressionhub.jobs.gate import Gate
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library.models import ModelVersion, TrainedModel
from tests.compressionhub.jobs.conftest import report
from workers.recipe import from_value
from workers.report import Ratio

INT8 = from_value([{"technique": "static-int8"}])
OTHER_SETTINGS = from_value([{"technique": "static-int8", "samples": 64}])
PRUNED_INT8 = from_value([{"technique": "magnitude-pruning"}, {"technique": "static-int8"}])


@pytest.fixture
def ended(team, version, dataset):
    """Make a job that has ended with a result: ``ended(drop=0.004, speedup=2.0)``."""

    def make(*, drop: float, speedup: float, recipe=INT8, version=version, team=team) -> Job:
        found = report(drop=drop)
        ratio = Ratio(value=speedup, low=speedup, high=speedup)
        found = found.model_copy(update={"delta": found.delta.model_copy(update={"speedup": {"1": ratio}})})
        return Job.objects.create(
            team=team, number=Job.objects.count() + 1, kind=Kind.COMPRESS, state=State.SUCCEEDED,
            model_version=version, dataset=dataset, recipe=recipe.model_dump(mode="json"),
            report=found.model_dump(mode="json"), finished_at=timezone.now(),
        )  # fmt: skip

    return make


@pytest.fixture
def another_model(team, version) -> ModelVersion:
    other = TrainedModel.objects.create(team=team, name="another")
    return ModelVersion.objects.create(model=other, number=1, filename="a.onnx", store_key="k", size_bytes=1)


def test_the_middle_and_the_ends_are_those_of_the_jobs(ended, version):
    for drop, speedup in ((0.001, 2.0), (0.02, 1.5), (0.004, 3.0)):
        ended(drop=drop, speedup=speedup)

    found = precedents(version, INT8, Gate(max_drop_points=1.0))

    assert (found.jobs, found.is_range, found.passing) == (3, True, 2)
    assert [found.change.value, found.change.low, found.change.high] == pytest.approx([-0.4, -2.0, -0.1])
    assert [found.speedup.value, found.speedup.low, found.speedup.high] == pytest.approx([2.0, 1.5, 3.0])


def test_settings_may_differ_but_techniques_and_their_order_may_not(ended, version):
    ended(drop=0.001, speedup=2.0, recipe=OTHER_SETTINGS)
    ended(drop=0.5, speedup=9.0, recipe=PRUNED_INT8)

    found = precedents(version, INT8, None)

    assert (found.jobs, found.is_range, found.speedup.value) == (1, False, 2.0)
    assert "one earlier job" in found.says and "Too few for a range" in found.says


def test_jobs_on_the_same_model_count_before_those_on_others(ended, version, another_model):
    ended(drop=0.3, speedup=1.0, version=another_model)
    elsewhere = precedents(version, INT8, None)
    ended(drop=0.001, speedup=2.0)

    here = precedents(version, INT8, None)

    assert (elsewhere.same_model, elsewhere.speedup.value) == (False, 1.0)
    assert (here.same_model, here.jobs, here.speedup.value) == (True, 1, 2.0)


def test_another_teams_jobs_say_nothing(ended, version, other_team):
    ended(drop=0.001, speedup=2.0, team=other_team)

    assert precedents(version, INT8, None) is None
