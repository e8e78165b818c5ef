"""The forms that make a report and a link to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet

from compressionhub.accounts.models import Team, User
from compressionhub.estimates.models import Workload
from compressionhub.zoo.models import Entry
from compressionhub.zoo.reports.actions import MOST_DAYS, MOST_VARIANTS, TITLE_LETTERS

MOST_OFFERED = 200
DAYS = ((1, "1 day"), (7, "7 days"), (30, "30 days"), (MOST_DAYS, f"{MOST_DAYS} days"))


class ReportForm(forms.Form):
    """Which variants, at which workload, and the question the reader has."""

    entry = forms.ModelMultipleChoiceField(
        Entry.objects.none(), label="Variants", widget=forms.CheckboxSelectMultiple,
        help_text=f"One, or up to {MOST_VARIANTS} to compare. Each stands against its own baseline.",
    )  # fmt: skip
    workload = forms.ModelChoiceField(Workload.objects.none(), label="Workload", empty_label=None)
    question = forms.CharField(
        label="Question", required=False, max_length=TITLE_LETTERS,
        help_text="What the reader wants to know. Empty: a plain one is written.",
    )  # fmt: skip

    def __init__(self, data: Any = None, *, user: User, team: Team, chosen: list[str], workload: str) -> None:
        """``chosen`` and ``workload`` are ids of what is chosen beforehand."""
        super().__init__(data, initial={"entry": chosen, "workload": workload or None})
        self.fields["entry"].queryset = offered(user)  # type: ignore[attr-defined]
        self.fields["entry"].choices = _boxes(offered(user), chosen)  # type: ignore[attr-defined]
        if offered(user).count() > MOST_OFFERED:
            self.fields["entry"].help_text += f" The newest {MOST_OFFERED} are here; choose another on its own page."
        self.fields["workload"].queryset = Workload.objects.filter(team=team)  # type: ignore[attr-defined]
        self.fields["workload"].widget.attrs["class"] = "form-select"
        self.fields["question"].widget.attrs["class"] = "form-control"

    def clean_entry(self) -> list[Entry]:
        found = list(self.cleaned_data["entry"])
        if len(found) > MOST_VARIANTS:
            raise forms.ValidationError(f"Choose at most {MOST_VARIANTS}: a report is one page.")
        return found


def offered(user: User) -> QuerySet[Entry]:
    """The entries a person may put on a report."""
    return Entry.objects.visible_to(user).listed().select_related("team", "job", "published_by")


def _boxes(found: QuerySet[Entry], chosen: list[str]) -> list[tuple[UUID, str]]:
    """A box for each chosen entry and for the newest others; their records stay unread."""
    names = found.values_list("pk", "name")
    return [*names.filter(pk__in=chosen), *names.exclude(pk__in=chosen)[:MOST_OFFERED]]


class ShareForm(forms.Form):
    """How long a link lives."""

    days = forms.TypedChoiceField(choices=DAYS, coerce=int, initial=7, label="Works for")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.fields["days"].widget.attrs["class"] = "form-select"
