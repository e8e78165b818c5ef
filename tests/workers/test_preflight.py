import pytest

from workers.device import DeviceProfile
from workers.facts import DatasetFacts, ModelFacts, Role, RoleFacts, TargetFacts, TensorFacts
from workers.preflight import preflight
from workers.recipe import from_value

GIB = 1 << 30
HOST = DeviceProfile(key="test", title="test", isa=("avx512_vnni",))


@pytest.fixture
def facts() -> ModelFacts:
    tensor = TensorFacts(name="x", dtype="float32", shape=("n", 64))
    return ModelFacts(
        size_bytes=1_000_000,
        zip_bytes=900_000,
        params=250_000,
        macs=250_000,
        opset=17,
        inputs=(tensor,),
        outputs=(tensor,),
        op_counts={"Gemm": 3, "Relu": 2},
        weight_bytes={"float32": 1_000_000},
    )


@pytest.fixture
def data() -> DatasetFacts:
    return DatasetFacts(
        format="npz",
        size_bytes=500_000,
        inputs=(),
        target=TargetFacts(kind="class", classes=("0", "1")),
        roles={role: RoleFacts(rows=100, declared=True) for role in Role},
    )


def test_every_range_holds_its_middle_and_adds_up_over_the_steps(facts, data):
    one = preflight(from_value([{"technique": "static-int8"}]), facts, data, HOST, memory_bytes=GIB, disk_bytes=GIB)
    two = preflight(
        from_value([{"technique": "magnitude-pruning"}, {"technique": "static-int8"}]),
        facts,
        data,
        HOST,
        memory_bytes=GIB,
        disk_bytes=GIB,
    )

    for span in (one.seconds, one.memory_bytes, one.disk_bytes, one.size_bytes):
        assert span.low <= span.value <= span.high
    assert two.seconds.value > one.seconds.value
    assert not one.refused


def test_a_job_that_cannot_fit_is_refused_with_both_figures(facts, data):
    recipe = from_value([{"technique": "static-int8"}])

    found = preflight(recipe, facts, data, HOST, memory_bytes=1 << 20, disk_bytes=GIB)

    assert "GiB of memory" in found.refused


def test_what_the_data_lacks_is_said_at_the_step_that_needs_it(facts):
    found = preflight(
        from_value([{"technique": "tidy"}, {"technique": "static-int8"}]),
        facts,
        None,
        HOST,
        memory_bytes=GIB,
        disk_bytes=GIB,
    )

    assert [step.missing for step in found.steps] == ["", "a dataset"]


def test_the_refusal_names_the_heaviest_step_and_what_would_be_enough(facts, data):
    recipe = from_value([{"technique": "fine-tune"}, {"technique": "tidy"}])
    big = facts.model_copy(update={"size_bytes": 200_000_000})

    found = preflight(recipe, big, data, HOST, memory_bytes=GIB, disk_bytes=10 * GIB)
    enough = found.steps[0].forecast.memory_bytes.value

    assert "for step 1, Fine-tune" in found.refused
    assert f"a worker with {enough / GIB:.1f} GiB" in found.refused
    assert not preflight(recipe, big, data, HOST, memory_bytes=round(enough), disk_bytes=10 * GIB).refused
