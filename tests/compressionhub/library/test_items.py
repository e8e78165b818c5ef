"""Models and datasets: verified, described, deleted."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from compressionhub.errors import Invalid, NotAllowed
from compressionhub.library import actions, layers, roles
from compressionhub.library.models import Dataset, ModelVersion, State, TrainedModel
from compressionhub.library.signals import file_arrived
from compressionhub.library.store import store
from workers.facts import LayerFacts, Role


@pytest.fixture
def stored(alice, team, tmp_path) -> ModelVersion:
    """A version whose file lies in the store, as an upload leaves it."""
    file = tmp_path / "net.onnx"
    file.write_bytes(b"onnx")
    return actions.add_model(team=team, by=alice, name="net", blob=store().adopt(file, name="net.onnx"))


def test_deleting_a_version_removes_its_file(stored, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        actions.delete(item=stored, by=alice)

    assert not store().exists(stored.store_key)


def test_deleting_a_model_removes_all_its_files(stored, alice, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        actions.delete(item=stored.model, by=alice)

    assert not store().exists(stored.store_key)
    assert not ModelVersion.objects.exists()


def test_a_converted_upload_is_kept_beside_its_onnx_form_and_goes_with_it(
    stored, alice, model_facts, contract, tmp_path, django_capture_on_commit_callbacks
):
    upload = stored.blob
    (tmp_path / "model.zip").write_bytes(b"converted")
    converted = store().put(tmp_path / "model.zip", name="model.zip")

    for _ in range(2):  # looking again must not take the ONNX form for the upload
        actions.record_model_inspection(
            version=stored, facts=model_facts, contract=contract, sha256="a" * 64, converted=converted
        )
    stored.refresh_from_db()

    assert (stored.original.key, stored.original.name, stored.original.sha256) == (upload.key, "net.onnx", "a" * 64)
    assert stored.blob == converted and stored.is_ready
    with django_capture_on_commit_callbacks(execute=True):
        actions.delete(item=stored, by=alice)
    assert not store().exists(upload.key)


@pytest.mark.parametrize("who", ["adam", "bob", "vera", "charlie"])
def test_only_owners_delete(cast, dataset, who):
    with pytest.raises(NotAllowed):
        actions.delete(item=dataset, by=cast[who])


def test_names_are_unique_in_a_team_and_free_in_another(alice, charlie, version, team, other_team, tmp_path):
    file = tmp_path / "x.onnx"
    file.write_bytes(b"onnx")
    blob = store().put(file, name="x.onnx")

    second = actions.add_model(team=team, by=alice, name=version.model.name, blob=blob)
    foreign = actions.add_model(team=other_team, by=charlie, name=version.model.name, blob=blob)

    assert second.model.name == "digits-cnn (2)"
    assert foreign.model.name == "digits-cnn"


def test_a_name_that_is_taken_cannot_be_given(alice, version, stored):
    with pytest.raises(Invalid):
        actions.describe(item=stored.model, by=alice, name=version.model.name, description="")


def test_what_no_database_stores_is_left_out(alice, dataset):
    actions.describe(item=dataset, by=alice, name="a\x00b", description="one\x00\ntwo")
    actions.choose_target(dataset=dataset, by=alice, target="pri\x00ce")

    found = Dataset.objects.get()
    assert (found.name, found.description, found.target) == ("a b", "one\ntwo", "price")


def test_choosing_a_column_has_the_table_looked_at_again(
    bob, dataset, dataset_facts, django_capture_on_commit_callbacks
):
    dataset.facts = dataset_facts.model_copy(update={"columns": ("a", "price")})
    dataset.save()
    seen = []
    file_arrived.connect(lambda instance, **_: seen.append(instance.options.target), weak=False, dispatch_uid="t")

    with django_capture_on_commit_callbacks(execute=True):
        actions.choose_target(dataset=dataset, by=bob, target="price")
    file_arrived.disconnect(dispatch_uid="t")

    assert seen == ["price"]
    assert Dataset.objects.get().state == State.VERIFYING
    with pytest.raises(Invalid):
        actions.choose_target(dataset=dataset, by=bob, target="cost")


def test_lists_show_ones_own_teams_only(cast, version, dataset):
    for who, count in (("alice", 1), ("vera", 1), ("charlie", 0)):
        assert TrainedModel.objects.visible_to(cast[who]).count() == count
        assert ModelVersion.objects.visible_to(cast[who]).count() == count
        assert Dataset.objects.visible_to(cast[who]).count() == count


def test_twenty_models_take_as_many_queries_as_one(client, alice, version, team):
    client.force_login(alice)
    client.get("/models/")
    with CaptureQueriesContext(connection) as one:
        client.get("/models/")
    for number in range(20):
        model = TrainedModel.objects.create(team=team, name=f"m{number}")
        ModelVersion.objects.create(model=model, number=1, filename="f", store_key=f"k{number}", size_bytes=1)

    with CaptureQueriesContext(connection) as many:
        client.get("/models/")

    assert len(many) == len(one)


def test_calibration_rows_that_stand_in_test_are_marked_as_refused(dataset_facts):
    facts = dataset_facts.model_copy(update={"overlaps": {Role.CALIBRATION: 1, Role.TRAIN: 11, Role.VALIDATION: 2}})

    found = {row.role: (row.overlap_is_bad, row.overlap_is_refused) for row in roles.rows(facts)}

    assert found[Role.CALIBRATION] == (True, True)
    assert found[Role.TRAIN] == (True, False)  # 11 of 1,000 is over one percent
    assert found[Role.VALIDATION] == (False, False)  # 2 of 200 is one percent


def test_a_deep_network_shows_its_heaviest_layers_in_graph_order(model_facts):
    deep = tuple(LayerFacts(name=f"l{index}", op="Conv", params=index % 7 + 1, macs=1) for index in range(300))
    facts = model_facts.model_copy(update={"layers": deep})

    found = layers.shown(facts)

    order = [int(layer.name[1:]) for layer in found]
    assert len(found) == layers.MOST_BARS
    assert order == sorted(order)
    assert min(layer.params for layer in found) == 6
