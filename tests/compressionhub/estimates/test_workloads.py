"""Workloads: who may change them, who answers for which assumption, and what their form makes of what is typed."""

from datetime import date

import pytest

from compressionhub.accounts.models import AuditEntry
from compressionhub.errors import Invalid, NotAllowed
from compressionhub.estimates import actions
from compressionhub.estimates.assumptions import Assumptions, signed
from compressionhub.estimates.forms import WorkloadForm, initial, starting
from compressionhub.estimates.models import Workload
from workers.serving.presets import PRESETS


def assumed(name: str = "Gate", author: str = "Vera") -> Assumptions:
    made = starting(slug="boarding-gate", author=author)
    return made.model_copy(update={"workload": made.workload.model_copy(update={"name": name})})


def posted(of: Assumptions, **changes: object) -> dict[str, object]:
    fields = {name: value for name, value in initial(of).items() if value not in (None, "") and value is not False}
    return {**fields, **changes}


def test_a_viewer_keeps_a_workload_and_the_first_one_is_the_usual(team, vera):
    first = actions.create(team=team, by=vera, assumed=assumed("Gate"))
    second = actions.create(team=team, by=vera, assumed=assumed("Lounge"))

    assert (first.is_usual, second.is_usual) == (True, False)
    assert AuditEntry.objects.filter(verb="workload.create", by=vera).count() == 2


def test_a_stranger_neither_sees_nor_changes_a_workload(team, vera, charlie):
    made = actions.create(team=team, by=vera, assumed=assumed())

    assert not Workload.objects.visible_to(charlie).exists()
    for act in (actions.make_usual, actions.delete):
        with pytest.raises(NotAllowed):
            act(workload=made, by=charlie)
    with pytest.raises(NotAllowed):
        actions.change(workload=made, by=charlie, assumed=assumed("Mine"))


def test_two_workloads_of_a_team_cannot_have_one_name(team, vera):
    actions.create(team=team, by=vera, assumed=assumed("Gate"))

    with pytest.raises(Invalid, match="already"):
        actions.create(team=team, by=vera, assumed=assumed("Gate"))


def test_who_changes_an_assumption_answers_for_it_and_for_nothing_else(team, vera, bob):
    made = actions.create(team=team, by=vera, assumed=assumed(author=str(vera)))
    form = WorkloadForm(posted(made.assumed, peak_factor="7", pue="1.3"), assumed=made.assumed, author=str(bob))
    assert form.is_valid(), form.errors

    kept = actions.change(workload=made, by=bob, assumed=form.cleaned_data["assumed"]).assumed

    assert kept.workload.author == str(vera)
    assert kept.workload.authors == {"peak_factor": str(bob)}
    assert [(each.name, each.value, each.author) for each in kept.workload.overrides] == [("pue", 1.3, str(bob))]
    line = AuditEntry.objects.get(verb="workload.change")
    assert line.detail["changed"] == ["peak_factor", "pue"]


def test_an_override_keeps_its_author_when_another_person_saves_it_unchanged():
    start = assumed(author="Vera")
    first = WorkloadForm(
        posted(start, pue="1.3", pue_source="meter room", pue_as_of="2026-01-31"), assumed=start, author="Bob"
    )
    assert first.is_valid(), first.errors
    before = signed(first.cleaned_data["assumed"], start, by="Bob")
    body = posted(before, pue="1.3", pue_source="meter room", pue_as_of="2026-01-31", ha_floor="4")
    again = WorkloadForm(body, assumed=before, author="Adam")
    assert again.is_valid(), again.errors

    after = signed(again.cleaned_data["assumed"], before, by="Adam")

    assert [(each.author, each.as_of) for each in after.workload.overrides] == [("Bob", date(2026, 1, 31))]
    assert after.workload.authors == {"ha_floor": "Adam"}


@pytest.mark.parametrize("slug", PRESETS)
def test_a_preset_goes_through_the_form_unchanged(slug):
    start = starting(slug=slug, author="Vera")

    form = WorkloadForm(posted(start), assumed=start, author="Bob")

    assert form.is_valid(), form.errors
    assert form.cleaned_data["assumed"].differing(start) == ()


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("volume", "-1"), ("volume", "nan"), ("volume", "inf"), ("peak_factor", "0.5"), ("target_percent", "100"),
        ("place", "aws/nowhere/huge"), ("pue", "0.5"), ("sla_p95_ms", "0"), ("currency_code", "<b>"), ("name", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_with_a_sentence(field, typed):
    start = assumed()

    form = WorkloadForm(posted(start, **{field: typed}), assumed=start, author="Bob")

    assert not form.is_valid()
    assert all(text for texts in form.errors.values() for text in texts)


def test_when_the_usual_workload_goes_another_takes_its_place(team, vera):
    first = actions.create(team=team, by=vera, assumed=assumed("Gate"))
    second = actions.create(team=team, by=vera, assumed=assumed("Lounge"))

    actions.delete(workload=first, by=vera)

    second.refresh_from_db()
    assert second.is_usual


OWN = {
    "billing": "on-premises", "own_title": "Shop server", "own_workers": "8", "own_memory_gb": "64", "own_idle_w": "80",
    "own_active_w": "200", "own_hardware_usd": "6000", "own_life_years": "5", "own_used_percent": "50",
    "own_operations_usd": "400", "own_grid_zone": "DEU", "own_device": "", "usd_per_kwh": "0.2",
}  # fmt: skip


def test_a_machine_of_ones_own_goes_through_the_form_and_back():
    start = assumed()
    first = WorkloadForm(posted(start, **OWN), assumed=start, author="Bob")
    assert first.is_valid(), first.errors
    made = signed(first.cleaned_data["assumed"], start, by="Bob")

    rates = {"usd_per_kwh": "0.2"}  # overrides are initial values of the form, not of ``initial``
    again = WorkloadForm(posted(made, **rates), assumed=made, author="Adam")

    assert again.is_valid(), again.errors
    assert again.cleaned_data["assumed"].differing(made) == ()
    assert made.workload.on_premises.hardware_usd == 6000 and made.workload.authors["on_premises"] == "Bob"


@pytest.mark.parametrize(
    ("billing", "field"), [("on-premises", "own_hardware_usd"), ("device", "dev_battery_wh"), ("device", "dev_key")]
)
def test_a_way_of_running_needs_its_own_fields(billing, field):
    start = assumed()
    whole = {**OWN, "dev_key": "stm32u575", "dev_battery_wh": "1", "dev_base_mw": "1", "billing": billing}
    assert WorkloadForm(posted(start, **whole), assumed=start, author="Bob").is_valid()

    form = WorkloadForm(posted(start, **{**whole, field: ""}), assumed=start, author="Bob")

    assert not form.is_valid()
    assert str(form.fields[field].label).lower() in str(form.non_field_errors())


def test_who_typed_a_gpus_time_answers_for_it_after_others_saved():
    start = assumed()
    typed = {"gpu_instance": "g4dn.xlarge", "gpu_mean_ms": "6", "gpu_p95_ms": "7"}
    first = WorkloadForm(posted(start, **typed), assumed=start, author="Bob")
    assert first.is_valid(), first.errors
    before = signed(first.cleaned_data["assumed"], start, by="Bob")
    again = WorkloadForm(posted(before, ha_floor="5"), assumed=before, author="Adam")
    assert again.is_valid(), again.errors

    after = signed(again.cleaned_data["assumed"], before, by="Adam")

    assert after.gpu.author == "Bob" and after.gpu.p95_ms == 7
