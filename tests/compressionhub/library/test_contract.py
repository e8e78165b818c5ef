"""The input contract: edited by form, tried, confirmed."""

import pytest
from django.urls import reverse

from compressionhub.errors import Invalid, NotAllowed, WrongState
from compressionhub.library import actions
from compressionhub.library.contract_form import ContractForm
from compressionhub.library.models import ModelVersion, State
from compressionhub.library.signals import trial_wanted
from tests.compressionhub.library.test_pages import tried
from tests.workers import recurrent
from workers.contract import Task


def filled(contract, **changes: str) -> dict[str, str]:
    """What a browser sends for this contract, unchanged but for some fields."""
    form = ContractForm(contract)
    values = {name: form[name].value() for name in form.fields}
    return {name: "" if value is None else str(value) for name, value in {**values, **changes}.items()}


def test_a_form_that_nobody_changed_gives_the_same_contract(contract):
    form = ContractForm(contract, filled(contract))

    assert form.is_valid(), form.errors
    assert form.as_contract == contract


def test_numbers_keep_every_digit(contract):
    spec = contract.inputs[0].model_copy(update={"scale": 1 / 255, "mean": (0.485, 0.1 + 0.2), "std": (1 / 3,)})
    precise = contract.model_copy(update={"inputs": (spec,)})
    form = ContractForm(precise, filled(precise))

    assert form.is_valid(), form.errors
    assert form.as_contract == precise


def test_changes_arrive_in_the_contract(contract):
    changes = {"input-0-resize": "32 × 24", "input-0-mean": "0.5, 0.4", "task": "regression", "classes": ""}
    form = ContractForm(contract, filled(contract, **changes))

    assert form.is_valid(), form.errors
    assert (form.as_contract.inputs[0].resize, form.as_contract.inputs[0].mean) == ((32, 24), (0.5, 0.4))
    assert (form.as_contract.task, form.as_contract.classes) == (Task.REGRESSION, ())


def test_a_person_chooses_the_headline_metric_and_what_has_an_answer(contract):
    form = ContractForm(contract, filled(contract, headline="ap", per="frame"))

    assert form.is_valid(), form.errors
    assert form.as_contract.headline == "ap" and form.as_contract.outputs[0].per == "frame"


@pytest.mark.parametrize(
    "changes",
    [
        {"headline": "rmse"},
        {"per": "word"},
        {"input-0-mean": "a b"},
        {"input-0-resize": "3"},
        {"input-0-layout": "XYZ"},
        {"task": "magic"},
        {"input-0-scale": ""},
    ],
)
def test_what_is_no_contract_is_said_beside_its_field(contract, changes):
    assert not ContractForm(contract, filled(contract, **changes)).is_valid()


def test_editing_undoes_the_trial_and_the_confirmation(version, dataset, bob, contract):
    actions.record_trial(version=version, dataset=dataset, tried=tried(contract=contract))
    version.refresh_from_db()
    actions.confirm_contract(version=version, by=bob)

    actions.edit_contract(version=version, by=bob, contract=contract.model_copy(update={"classes": ()}))

    version = ModelVersion.objects.get(pk=version.pk)
    assert (version.is_confirmed, version.tried, version.contract_is_guess) == (False, None, False)


def test_an_answer_to_an_older_contract_is_dropped(version, dataset, bob, contract):
    actions.try_contract(version=version, dataset=dataset, by=bob)
    actions.edit_contract(version=version, by=bob, contract=contract.model_copy(update={"classes": ()}))

    actions.record_trial(version=version, dataset=dataset, tried=tried(contract=contract))

    version = ModelVersion.objects.get(pk=version.pk)
    assert version.tried is None
    assert version.contract.classes == ()


def test_a_contract_keeps_the_networks_own_inputs(version, bob, contract):
    renamed = contract.inputs[0].model_copy(update={"name": "other"})

    with pytest.raises(Invalid):
        actions.edit_contract(version=version, by=bob, contract=contract.model_copy(update={"inputs": (renamed,)}))


def test_a_trial_is_announced_once(version, dataset, bob, django_capture_on_commit_callbacks):
    wanted = []
    trial_wanted.connect(
        lambda **said: wanted.append((said["instance"], said["dataset"], said["by"])), weak=False, dispatch_uid="t"
    )
    with django_capture_on_commit_callbacks(execute=True):
        actions.try_contract(version=version, dataset=dataset, by=bob)
        with pytest.raises(WrongState):
            actions.try_contract(version=version, dataset=dataset, by=bob)
    trial_wanted.disconnect(dispatch_uid="t")

    assert wanted == [(version, dataset, bob)]


def test_a_viewer_neither_tries_nor_confirms_nor_edits(version, dataset, vera, contract):
    for act in (
        lambda: actions.try_contract(version=version, dataset=dataset, by=vera),
        lambda: actions.confirm_contract(version=version, by=vera),
        lambda: actions.edit_contract(version=version, by=vera, contract=contract),
    ):
        with pytest.raises(NotAllowed):
            act()


def test_what_is_not_verified_cannot_be_confirmed(version, bob):
    version.state = State.REJECTED
    version.save()

    with pytest.raises(WrongState):
        actions.confirm_contract(version=version, by=bob)


def test_a_saved_form_leads_back_to_the_contract(client, bob, version, contract):
    client.force_login(bob)

    answer = client.post(f"{version.get_absolute_url()}contract/", filled(contract, **{"input-0-scale": "2.5"}))

    assert answer.headers["Location"].endswith("#contract")
    assert ModelVersion.objects.get().contract.inputs[0].scale == 2.5


def test_a_contract_of_several_inputs_keeps_where_each_has_its_rows(client, bob, version):
    version.contract = recurrent.CONTRACT
    version.save()
    client.force_login(bob)
    form = ContractForm(recurrent.CONTRACT, filled(recurrent.CONTRACT))
    address = reverse("library:contract", args=[version.model_id, version.number])

    pages = [client.get(where).content.decode() for where in (address, version.get_absolute_url())]

    assert form.is_valid(), form.errors
    assert form.as_contract == recurrent.CONTRACT
    for page in pages:
        assert "int64, one for all rows" in page and "float32, rows along axis 2" in page
