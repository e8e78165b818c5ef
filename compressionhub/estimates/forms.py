"""The form of a workload: every assumption is a field, and an empty override means the table's figure."""

from __future__ import annotations

from typing import Any, get_args

from django import forms
from pydantic import ValidationError

from compressionhub.estimates import form_parts as parts
from compressionhub.estimates import tables
from compressionhub.estimates.assumptions import Assumptions, JobRates
from compressionhub.estimates.choices import BILLINGS, DAYS, DEVICE, FIRST_PLACE, OWNED, WEARABLE, day_of, places
from compressionhub.estimates.form_parts import number
from workers.serving.presets import PRESETS
from workers.serving.workload import TITLES, Currency, Override, OverrideName, Workload

OVERRIDES: tuple[OverrideName, ...] = get_args(OverrideName)


SAME = ("name", "peak_factor", "sla_p95_ms", "ha_floor", "workers_per_instance", "horizon_months",
        "serverless_memory_mb", "stored_copies", "downloads_per_month")  # fmt: skip
NEEDED: dict[str, tuple[str, tuple[str, ...]]] = {
    OWNED: ("A machine of your own", parts.OWN_NEEDED),
    DEVICE: ("A device with a battery", parts.DEVICE_NEEDED),
}


class WorkloadForm(forms.Form):
    """Reads and writes ``Assumptions``. Fields of overrides are added by name."""

    name = forms.CharField(max_length=120, label="Name")
    volume = number("Predictions", least=0, most=1e15)
    per = forms.ChoiceField(choices=[("month", "a month"), ("day", "a day")], label="Counted")
    peak_factor = number("Peak to mean", least=1, most=24)
    sla_p95_ms = number("p95 limit", least=0.001, most=1e7, required=False)
    place = forms.ChoiceField(label="Region and instance")
    billing = forms.ChoiceField(choices=BILLINGS, label="How you pay")
    same_machine = forms.BooleanField(required=False, label="Take the measured time over to this instance")

    day = forms.ChoiceField(label="Day")
    target_percent = number("Busy at peak, at most", least=1, most=95)
    ha_floor = forms.IntegerField(label="Instances at least", min_value=0, max_value=100_000)
    workers_per_instance = forms.IntegerField(label="Requests at a time", min_value=1, max_value=1024, required=False)
    horizon_months = number("Horizon", least=0.1, most=240)
    serverless_memory_mb = number("Serverless memory", least=128, most=10240)
    stored_copies = number("Stored copies", least=0, most=1e9)
    downloads_per_month = number("Downloads a month", least=0, most=1e12)
    job_usd_per_hour = number("Compressing host", least=0, most=1e5, required=False)
    job_watts = number("Compressing host draws", least=0, most=1e6, required=False)
    currency_code = forms.RegexField("^[A-Z]{3}$", label="Show dollars in", required=False)
    currency_per_usd = number("One dollar is", least=1e-6, most=1e6, required=False)
    currency_as_of = forms.DateField(label="Rate of", required=False)

    def __init__(self, data: Any = None, *, assumed: Assumptions | None = None, author: str = "") -> None:
        self.author = author
        self.kept = assumed
        super().__init__(data, initial=initial(assumed) if assumed else {"place": FIRST_PLACE})
        self.fields["place"].choices = self._places()  # type: ignore[attr-defined]
        days = [(slug, title) for slug, (title, _) in DAYS.items()]
        self.fields["day"].choices = [*days, ("kept", "As it was")]  # type: ignore[attr-defined]
        known = tables.at(assumed.tables if assumed else "")
        self.fields.update({**parts.own_fields(known), **parts.device_fields(), **parts.gpu_fields(known)})
        for name in OVERRIDES:
            self._add_override(name)
        for field in self.fields.values():
            field.widget.attrs.update(_look(field))

    def _places(self) -> list[Any]:
        """Those with a price, and the one the workload names where that has none."""
        known = places(self.kept.tables if self.kept else "")
        now = _place(self.kept.workload) if self.kept else FIRST_PLACE
        listed = {value for _, group in known for value, _ in group}
        return list(known) if now in listed else [*known, ("without a price", [(now, now)])]

    def _add_override(self, name: OverrideName) -> None:
        title, _ = TITLES[name]
        self.fields[name] = number(title, least=0, most=1e12, required=False)
        self.fields[f"{name}_source"] = forms.CharField(max_length=200, required=False, label=f"{title}: source")
        self.fields[f"{name}_as_of"] = forms.DateField(required=False, label=f"{title}: date")
        if self.kept and (typed := next((one for one in self.kept.workload.overrides if one.name == name), None)):
            told = {f"{name}_source": typed.source, f"{name}_as_of": typed.as_of}
            self.initial.update({name: _tidy(typed.value), **told})

    def clean(self) -> dict[str, Any]:
        """Add ``assumed`` where all of it holds together."""
        found = super().clean() or {}
        where, needed = NEEDED.get(found.get("billing", ""), ("", ()))
        if gaps := parts.missing(found, needed):
            named = ", ".join(str(self.fields[name].label).lower() for name in gaps)
            self.add_error(None, f"Under “{where}”, fill in: {named}.")
        if self.errors:
            return found
        try:
            found["assumed"] = self._assumed(found)
        except ValidationError as fault:
            for each in fault.errors():
                where = " ".join(str(part).replace("_", " ") for part in each["loc"])
                self.add_error(None, f"{where}: {each['msg'].removeprefix('Value error, ')}.".removeprefix(": "))
        return found

    def _assumed(self, found: dict[str, Any]) -> Assumptions:
        return Assumptions(
            workload=Workload.model_validate({**self._kept_fields(), **self._workload(found)}),
            job=JobRates(usd_per_hour=found["job_usd_per_hour"], watts=found["job_watts"], author=self.author),
            same_machine=self.author if found["same_machine"] else "",
            tables=self.kept.tables if self.kept else "",
            gpu=parts.on_gpu_now(found, author=self.author),
            device=parts.on_device(found, author=self.author) if found["billing"] == DEVICE else None,
        )

    def _kept_fields(self) -> dict[str, Any]:
        """What the form does not ask for stays as it was."""
        if self.kept is None:
            return {}
        asked = {"requests_per_day", "predictions_per_month", "overrides", "on_premises", "currency", "authors"}
        return self.kept.workload.model_dump(exclude=asked)

    def _workload(self, found: dict[str, Any]) -> dict[str, Any]:
        provider, region, instance = found["place"].split("/", 2)
        field = "requests_per_day" if found["per"] == "day" else "predictions_per_month"
        day = {} if found["day"] == "kept" else {"shape": DAYS[found["day"]][1]}
        return {
            **{name: found[name] for name in SAME}, **day, field: found["volume"], "author": self.author,
            "provider": provider, "region": region, "instance": instance,
            "target_utilisation": found["target_percent"] / 100, "currency": self._currency(found),
            "overrides": tuple(self._overrides(found)),
            "billing": "autoscaled" if found["billing"] == DEVICE else found["billing"],
            "on_premises": parts.own_machine(found) if found["billing"] == OWNED else None,
        }  # fmt: skip

    def _overrides(self, found: dict[str, Any]) -> list[Override]:
        return [
            Override(
                name=name,
                value=found[name],
                author=self.author,
                source=found[f"{name}_source"],
                as_of=found[f"{name}_as_of"],
            )
            for name in OVERRIDES
            if found[name] is not None
        ]

    def _currency(self, found: dict[str, Any]) -> Currency | None:
        if not found["currency_code"]:
            return None
        return Currency.model_validate(
            {
                "code": found["currency_code"],
                "per_usd": found["currency_per_usd"],
                "as_of": found["currency_as_of"],
                "author": self.author,
            }
        )

    @property
    def overrides(self) -> list[tuple[str, str, Any, Any, Any]]:
        """Title, unit, and the fields of value, source and date of each override."""
        return [(*TITLES[name], self[name], self[f"{name}_source"], self[f"{name}_as_of"]) for name in OVERRIDES]


def initial(assumed: Assumptions) -> dict[str, Any]:
    """The form's fields for some assumptions."""
    work, job = assumed.workload, assumed.job
    daily = work.requests_per_day is not None
    return {
        **{name: _tidy(getattr(work, name)) for name in SAME},
        **parts.own_initial(work.on_premises),
        **parts.device_initial(assumed.device),
        **parts.gpu_initial(assumed.gpu),
        "billing": DEVICE if assumed.device else work.billing,
        "volume": _tidy(work.requests_per_day if daily else work.predictions_per_month),
        "per": "day" if daily else "month",
        "place": _place(work),
        "day": day_of(work.shape),
        "target_percent": _tidy(round(work.target_utilisation * 100, 6)),
        "same_machine": bool(assumed.same_machine),
        "job_usd_per_hour": job.usd_per_hour,
        "job_watts": job.watts,
        "currency_code": work.currency.code if work.currency else "",
        "currency_per_usd": work.currency.per_usd if work.currency else None,
        "currency_as_of": work.currency.as_of if work.currency else None,
    }


def _tidy(value: Any) -> Any:
    """A whole number without the point that a float is written with."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _look(field: forms.Field) -> dict[str, str]:
    if isinstance(field, forms.BooleanField):
        return {}
    if isinstance(field, forms.ChoiceField):
        return {"class": "form-select"}
    dated = {"placeholder": "2026-07-20"} if isinstance(field, forms.DateField) else {}
    return {"class": "form-control", "autocomplete": "off", **dated}


def _place(work: Workload) -> str:
    return f"{work.provider}/{work.region}/{work.instance}"


def starting(*, slug: str, author: str, monthly: float | None = None, like: Assumptions | None = None) -> Assumptions:
    """A preset as somebody's assumptions, in the place of another workload or on the first place of the list.

    Raises:
        KeyError: if there is no such preset.
    """
    place = _place(like.workload) if like is not None and like.workload.instance else FIRST_PLACE
    provider, region, instance = place.split("/", 2)
    preset, on_device = PRESETS[slug], PRESETS[slug].on_device
    place_of = {"provider": provider, "region": region, "instance": instance}
    made = preset.workload(author=author).model_copy(update=place_of)
    if monthly is not None:
        made = made.model_copy(update={"requests_per_day": None, "predictions_per_month": monthly})
    return Assumptions(workload=made, device=WEARABLE.model_copy(update={"author": author}) if on_device else None)
