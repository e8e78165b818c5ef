"""The forms that publish a result and record a deployment."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils import timezone

from compressionhub.accounts.models import Team
from compressionhub.errors import Invalid
from compressionhub.estimates.models import Workload
from compressionhub.estimates.volumes import monthly
from compressionhub.jobs.models import Job
from compressionhub.library.models import ModelVersion
from compressionhub.zoo.models import Entry, Visibility


class PublishForm(forms.Form):
    """Name, one sentence, who may see it, and which entry it replaces."""

    name = forms.CharField(max_length=80, help_text="Short and telling, such as digits-int8.")
    summary = forms.CharField(
        max_length=300, required=False, help_text="One sentence for people who did not see the job."
    )
    visibility = forms.ChoiceField(choices=Visibility.choices, initial=Visibility.TEAM, label="Seen by")
    supersedes = forms.ModelChoiceField(
        Entry.objects.none(),
        required=False,
        empty_label="none",
        help_text="That entry leaves the list and points here.",
    )

    def __init__(self, job: Job, data: object = None) -> None:
        super().__init__(data, initial={"name": suggested_name(job)})  # type: ignore[arg-type]
        listed = Entry.objects.listed().filter(team=job.team)
        self.fields["supersedes"].queryset = listed  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"


def suggested_name(job: Job) -> str:
    """The model and the techniques, such as ``digits-cnn-static-int8``; with a number where that is taken."""
    steps = job.recipe_value.steps if job.recipe_value else ()
    model = job.model_version.model.name if job.model_version else "variant"
    base = "-".join([model.lower().replace(" ", "-"), *dict.fromkeys(step.technique for step in steps)])[:70]
    taken = set(Entry.objects.listed().filter(team=job.team, name__startswith=base).values_list("name", flat=True))
    return next(name for name in [base, *(f"{base}-{number}" for number in range(2, 1000))] if name not in taken)


MOST_OFFERED = 500


class DeploymentForm(forms.Form):
    """What serves which workload, from when, until when, and how much traffic came."""

    served = forms.ChoiceField(label="What serves")
    workload = forms.ModelChoiceField(Workload.objects.none(), label="Workload", empty_label=None)
    since = forms.DateField(label="From", widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"))
    until = forms.DateField(
        label="Until", required=False, widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        help_text="The day it stopped. Empty while it runs.",
    )  # fmt: skip
    actual_monthly = forms.CharField(
        label="Actual traffic", required=False, max_length=30,
        help_text="Predictions a month, if you know them. Empty: the workload's assumption.",
    )  # fmt: skip

    def __init__(self, team: Team, data: Any = None, *, version: ModelVersion, entry: Entry | None = None) -> None:
        first = f"entry/{entry.pk}" if entry else f"version/{version.pk}"
        super().__init__(data, initial={"served": first, "since": timezone.localdate()})
        self.named = {**_versions(version), **_entries(version, entry)}
        self.fields["served"].choices = [(key, _title(one)) for key, one in self.named.items()]  # type: ignore[attr-defined]
        self.fields["workload"].queryset = Workload.objects.filter(team=team)  # type: ignore[attr-defined]
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
            field.widget.attrs["autocomplete"] = "off"

    def clean_served(self) -> ModelVersion | Entry:
        return self.named[self.cleaned_data["served"]]

    def clean_actual_monthly(self) -> float | None:
        try:
            return monthly(self.cleaned_data["actual_monthly"])
        except Invalid as fault:
            raise forms.ValidationError(f"{fault.message} {fault.hint}") from None


def _versions(version: ModelVersion) -> dict[str, ModelVersion | Entry]:
    ready = ModelVersion.objects.filter(model=version.model_id).ready().select_related("model")
    return {f"version/{one.pk}": one for one in ready.order_by("-number")[:MOST_OFFERED]}


def _entries(version: ModelVersion, entry: Entry | None) -> dict[str, ModelVersion | Entry]:
    """The listed variants of the model, and the one asked for whatever became of it."""
    listed = Entry.objects.listed().filter(baseline__model=version.model_id, team=version.team)
    found = list(listed.select_related("baseline")[:MOST_OFFERED])
    if entry is not None and entry not in found:
        found.insert(0, entry)
    return {f"entry/{one.pk}": one for one in found}


def _title(served: ModelVersion | Entry) -> str:
    if isinstance(served, ModelVersion):
        return f"{served}, untouched"
    return served.name if served.is_listed else f"{served.name} ({served.standing})"
