"""What a job uses stays while it is at work."""

import pytest

from compressionhub.errors import WrongState
from compressionhub.jobs.models import Job
from compressionhub.jobs.states import Kind, State
from compressionhub.library import actions
from compressionhub.library.models import Dataset, TrainedModel


@pytest.mark.parametrize("which", ["model", "version", "dataset"])
def test_nothing_is_deleted_while_a_job_uses_it(job, alice, which):
    item = {"model": job.model_version.model, "version": job.model_version, "dataset": job.dataset}[which]

    with pytest.raises(WrongState, match=rf"Job #{job.number} is using"):
        actions.delete(item=item, by=alice)

    assert Job.objects.filter(pk=job.pk).exists() and TrainedModel.objects.exists() and Dataset.objects.exists()


def test_a_job_that_has_ended_holds_nothing(job, alice):
    Job.objects.filter(pk=job.pk).update(state=State.FAILED)

    actions.delete(item=job.dataset, by=alice)

    assert not Dataset.objects.exists()


def test_looking_at_a_file_does_not_keep_it(job, alice):
    Job.objects.filter(pk=job.pk).update(kind=Kind.INSPECT)

    actions.delete(item=job.model_version, by=alice)

    assert not TrainedModel.objects.get().versions.exists()
