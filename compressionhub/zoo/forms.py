"""The form that publishes a result."""

from django import forms

from compressionhub.jobs.models import Job
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
