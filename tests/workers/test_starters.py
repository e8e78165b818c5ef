"""Three recipes to start from: each runs on what it was made for, and does what its name says."""

import pytest

from tests.workers.techniques import conftest
from tests.workers.techniques.conftest import ARM, AVX2, CONTRACT, VNNI, convolutional, gaussian, loaded, network
from workers import formats
from workers.device import profiles
from workers.facts import DatasetFacts, ModelFacts, Role, RoleFacts, TargetFacts
from workers.starters import starters

make_bench = conftest.make_bench


def data(*roles: Role, kind: str = "class") -> DatasetFacts:
    return DatasetFacts(
        format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind=kind),
        roles={role: RoleFacts(rows=100, declared=True) for role in roles},
    )  # fmt: skip


ALL_ROLES = data(*Role)


def facts_of_cnn() -> ModelFacts:
    return formats.facts(convolutional(64).proto)


def facts_of_text_network() -> ModelFacts:
    """Nearly all weights in matrix products."""
    from onnx import helper

    make = gaussian(2)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("MatMul", ["m", "v"], ["y"])]
    proto = network(nodes, {"w": make(256, 512), "v": make(512, 256)}, ("N", 256), ("N", 256))
    return formats.facts(loaded(proto).proto)


def slugs(found) -> dict[str, list[str]]:
    return {starter.key: [step.technique for step in starter.recipe.steps] for starter in found}


def test_there_are_three_and_they_say_why():
    found = starters(facts_of_cnn(), ALL_ROLES, VNNI)

    assert [starter.title for starter in found] == [
        "Smallest file, no retraining",
        "Fastest on this device",
        "Keep every tenth of a point",
    ]
    assert all(starter.says.endswith(".") and starter.recipe.name == starter.title for starter in found)


def test_a_convolutional_network_on_vnni_is_quantized_for_size_and_speed_and_halved_for_care():
    found = slugs(starters(facts_of_cnn(), ALL_ROLES, VNNI))

    assert found["smallest"] == ["magnitude-pruning", "static-int8", "tidy"]
    assert found["fastest"] == ["static-int8", "tidy"]
    assert found["careful"] == ["fp16", "tidy"]


def test_the_smallest_recipe_forecasts_no_bigger_a_file_than_the_others():
    facts = facts_of_cnn()

    def forecast(starter):
        return min(step.forecast(facts).size_bytes.value for step in starter.recipe.steps)

    smallest, *others = starters(facts, ALL_ROLES, VNNI)
    assert all(forecast(smallest) <= forecast(other) for other in others)


def test_without_calibration_data_nothing_asks_for_it():
    for starter in starters(facts_of_text_network(), data(Role.TEST), VNNI):
        starter.recipe.check(data(Role.TEST))

    found = slugs(starters(facts_of_text_network(), data(Role.TEST), VNNI))
    assert "dynamic-int8" in found["smallest"]
    assert found["fastest"] == ["dynamic-int8", "tidy"]


def test_a_device_without_the_instructions_is_told_that_speed_is_doubtful():
    fastest = starters(facts_of_cnn(), ALL_ROLES, AVX2)[1]

    assert "not a good one" in fastest.says and "VNNI" in fastest.says


def test_a_quantized_network_is_only_tidied():
    quantized = facts_of_cnn().model_copy(update={"quantized": True})

    assert set(map(tuple, slugs(starters(quantized, ALL_ROLES, VNNI)).values())) == {("tidy",)}


@pytest.mark.parametrize("roles", [None, data(), ALL_ROLES], ids=["no data", "no roles", "all roles"])
@pytest.mark.parametrize("device", [*profiles().values(), VNNI, AVX2, ARM], ids=lambda device: device.key)
@pytest.mark.parametrize("make", [facts_of_cnn, facts_of_text_network])
def test_every_starter_can_run_on_what_it_was_made_for(make, roles, device):
    facts = make()

    for starter in starters(facts, roles, device):
        starter.recipe.check(roles)
        assert all(step.fits(facts, roles, device).word != "does-not-fit" for step in starter.recipe.steps)


def test_the_starters_of_a_real_network_run_in_order(make_bench):
    model = convolutional(32)

    for starter in starters(formats.facts(model.proto), ALL_ROLES, VNNI):
        result = model
        for step in starter.recipe.steps:
            result = step.apply(result, make_bench())
        assert result.contract == CONTRACT
        assert result.proto.ByteSize() < 0.6 * model.proto.ByteSize()
