"""The pages of models and datasets in each of their states."""

import re

import pytest
from django.urls import reverse

from compressionhub.library import actions
from compressionhub.library.models import State
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.errors import Problem
from workers.events import Sample, Tried
from workers.facts import TargetFacts, TensorFacts
from workers.report import Interval

CONTRACT = Contract(
    task=Task.CLASSIFICATION,
    inputs=(InputSpec(name="pixels", shape=(1, 8, 8), layout="CHW", channels="gray"),),
    outputs=(OutputSpec(name="logits", meaning="logits"),),
)


def tried(**changes) -> Tried:
    sample = Sample(row=3, label="7", prediction="1", right=False, score=0.51)
    values = {
        "samples": (sample,),
        "metric": "accuracy",
        "measured": Interval(value=0.97, low=0.94, high=0.985, n=360),
        "chance": 0.1,
        "no_better_than_chance": False,
        "contract": CONTRACT,
    }
    return Tried(**{**values, **changes})


@pytest.mark.parametrize(
    ("inputs", "said", "target"),
    [
        (("query", "document"), "Queries, each with the document to find.", "the document of each query"),
        (("text",), "Text for a language model to foretell.", "the next token"),
    ],
)
def test_texts_are_their_own_target(client, alice, dataset, inputs, said, target):
    client.force_login(alice)
    texts = tuple(TensorFacts(name=name, dtype="text", shape=()) for name in inputs)
    dataset.facts = dataset.facts.model_copy(update={"inputs": texts, "target": TargetFacts(kind="none")})
    dataset.save()

    page = client.get(dataset.get_absolute_url()).content.decode()

    assert said in page and f"<dd>{target}</dd>" in page and "<dd>text</dd>" in page


def test_the_file_chooser_offers_every_kind_of_data_the_page_names(client, alice):
    client.force_login(alice)
    page = client.get(reverse("library:upload-dataset")).content.decode()

    offered = re.search(r'accept="([^"]*)"', page)[1].split(",")

    named = re.search(r"<span class=\"s13\">(\.npz[^<]*)</span>", page)[1]
    assert set(offered) == set(re.findall(r"\.[a-z0-9]+", named))


def test_a_verified_model_says_where_its_size_sits_and_which_techniques_fit(client, alice, version, dataset):
    client.force_login(alice)

    page = client.get(version.get_absolute_url()).content.decode()

    assert "fc holds 100 % of the parameters and does 99 % of the work" in page
    assert "Static INT8" in page
    assert "1.4 MB" in page and "1.3 MB zipped" in page


def test_a_model_that_is_verified_stops_asking_for_news(client, alice, version):
    client.force_login(alice)
    version.state = State.VERIFYING
    version.save()
    asking = client.get(version.get_absolute_url()).content.decode()

    actions.record_model_inspection(version=version, facts=version.facts, contract=version.contract, sha256="c" * 64)
    settled = client.get(version.get_absolute_url()).content.decode()

    assert 'hx-trigger="every 2s"' in asking
    assert 'hx-trigger="every 2s"' not in settled
    assert "c" * 64 in settled


def test_a_refused_file_shows_what_was_found_and_what_helps(client, alice, version):
    client.force_login(alice)
    found = Problem(
        fault="yours", code="model.refused-pickle", message="Expected ONNX, found a pickle.", hint="Export it."
    )
    actions.record_rejection(item=version, problem=found)

    page = client.get(version.get_absolute_url()).content.decode()

    assert "Expected ONNX, found a pickle." in page
    assert "Export it." in page
    assert "Upload another file" in page


def test_a_baseline_no_better_than_chance_is_said_to_be_so_with_the_usual_causes(client, alice, version, dataset):
    client.force_login(alice)
    poor = tried(
        no_better_than_chance=True,
        causes=("Pixels are scaled otherwise.",),
        measured=Interval(value=0.1, low=0.07, high=0.13, n=360),
    )
    actions.record_trial(version=version, dataset=dataset, tried=poor)

    page = client.get(version.get_absolute_url()).content.decode()

    assert "No better than guessing" in page
    assert "Pixels are scaled otherwise." in page


def test_predictions_stand_beside_labels(client, alice, version, dataset):
    client.force_login(alice)
    actions.record_trial(version=version, dataset=dataset, tried=tried())

    page = client.get(version.get_absolute_url()).content.decode()

    assert "label 7" in page
    assert "97.00 % right" in page


def test_a_confirmed_version_leads_to_a_new_job(client, bob, version, dataset):
    client.force_login(bob)
    actions.confirm_contract(version=version, by=bob)

    page = client.get(version.get_absolute_url()).content.decode()

    assert "Confirmed by Bob" in page


def test_a_viewer_sees_no_button_that_would_refuse_them(client, vera, version, dataset):
    client.force_login(vera)

    page = client.get(version.get_absolute_url()).content.decode()

    for label in ("Confirm contract", "Edit contract", "New version", "Delete version", "Try ten samples"):
        assert label not in page


@pytest.mark.parametrize("where", ["/models/", "/datasets/"])
def test_an_empty_list_says_what_to_do_next(client, bob, where):
    client.force_login(bob)

    page = client.get(where).content.decode()

    assert "yet" in page and "Upload" in page


def test_a_dataset_shows_its_roles_and_where_they_come_from(client, alice, dataset):
    client.force_login(alice)

    page = client.get(dataset.get_absolute_url()).content.decode()

    assert "1,000" in page
    assert "carved by seed 0" in page


def test_names_are_text_and_never_markup(client, alice, version, dataset):
    client.force_login(alice)
    hostile = '<script>alert(1)</script>"onload=x'
    actions.describe(item=version.model, by=alice, name=hostile, description=hostile)
    actions.describe(item=dataset, by=alice, name=hostile, description=hostile)

    for address in ("/models/", version.get_absolute_url(), "/datasets/", dataset.get_absolute_url(), "/team/"):
        assert "<script>alert" not in client.get(address).content.decode(), address


def test_names_of_layers_and_labels_are_text_and_never_markup(client, alice, version, dataset):
    client.force_login(alice)
    hostile = "</script><img src=x onerror=alert(1)>"
    layer = version.facts.layers[0].model_copy(update={"name": hostile})
    version.facts = version.facts.model_copy(update={"layers": (layer,), "producer": hostile, "warnings": (hostile,)})
    version.contract = version.contract.model_copy(update={"classes": (hostile,)})
    version.save()
    actions.record_trial(
        version=version,
        dataset=dataset,
        tried=tried(samples=(Sample(row=0, label=hostile, prediction=hostile, right=False),)),
    )

    page = client.get(version.get_absolute_url()).content.decode()

    assert "<img src=x" not in page


def test_a_trial_replaces_a_guess_by_the_contract_it_made_with_the_data(version, dataset):
    actions.record_trial(version=version, dataset=dataset, tried=tried())

    version.refresh_from_db()
    assert version.contract == CONTRACT


def test_a_trial_leaves_a_contract_that_a_person_edited(version, dataset, alice, contract):
    actions.edit_contract(version=version, by=alice, contract=contract)
    actions.record_trial(version=version, dataset=dataset, tried=tried())

    version.refresh_from_db()
    assert version.contract == contract
