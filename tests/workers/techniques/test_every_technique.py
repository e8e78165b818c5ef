"""What holds for every technique in the folder, without naming one."""

import inspect
import json
import subprocess
import sys

import jsonschema
import pytest
from pydantic import ValidationError

from tests.workers.techniques.conftest import AVX2, VNNI, convolutional, rows, run
from workers import formats
from workers.facts import DatasetFacts, ModelFacts, Role, RoleFacts, TargetFacts
from workers.recipe import techniques
from workers.technique import Technique

ALL = pytest.mark.parametrize("kind", techniques().values(), ids=techniques().keys())
ROLES = {role: RoleFacts(rows=100, declared=True) for role in Role}
DATA = DatasetFacts(format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="class"), roles=ROLES)


@pytest.fixture(scope="module")
def facts() -> ModelFacts:
    return formats.facts(convolutional(64).proto)


def fields(kind: type[Technique]):
    return {name: field for name, field in kind.model_fields.items() if name != "technique"}


@ALL
def test_it_says_what_it_is(kind):
    assert 3 < len(kind.about.title) < 30
    assert len(kind.about.source) > 20
    assert kind.card().endswith(".") and len(kind.card()) < 110
    assert len(kind.help_text()) > 80


@ALL
def test_its_file_is_called_like_its_slug(kind):
    assert inspect.getfile(kind).endswith(f"/{kind.slug().replace('-', '_')}.py")


@ALL
def test_every_field_speaks_to_its_user(kind):
    for name, field in fields(kind).items():
        assert field.title and field.description, name
        assert not field.is_required(), f"{name} needs a default, so that the step works as it comes"


@ALL
def test_its_own_fields_stand_before_those_it_shares_with_others(kind):
    shared = {name for base in kind.__mro__[1:] if issubclass(base, Technique) for name in base.model_fields}

    places = [name in shared for name in fields(kind)]

    assert places == sorted(places)


@ALL
def test_numbers_have_a_unit_a_step_and_limits(kind):
    properties = kind.model_json_schema()["properties"]

    for name in fields(kind):
        if properties[name].get("type") in ("number", "integer"):
            assert {"unit", "step"} <= properties[name].keys(), name
            assert {"minimum", "exclusiveMinimum"} & properties[name].keys(), name
            assert {"maximum", "exclusiveMaximum"} & properties[name].keys(), name


@ALL
def test_its_schema_is_valid_and_accepts_its_defaults(kind):
    schema = kind.model_json_schema()

    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(kind().model_dump_json()), schema)


@ALL
def test_it_survives_the_way_through_json(kind):
    assert kind.model_validate_json(kind().model_dump_json()) == kind()


@ALL
def test_its_summary_of_the_defaults_is_one_word(kind):
    assert kind().summary() == "defaults"


@ALL
def test_it_refuses_fields_it_does_not_know(kind):
    with pytest.raises(ValidationError, match="banana"):
        kind(banana=1)


@ALL
def test_its_forecast_is_a_range_around_its_value(kind, facts):
    forecast = kind().forecast(facts)

    for span in (forecast.seconds, forecast.memory_bytes, forecast.size_bytes):
        assert 0 < span.low <= span.value <= span.high


@ALL
def test_a_bigger_network_takes_longer_and_stays_bigger(kind, facts):
    bigger = formats.facts(convolutional(128).proto)

    small, big = kind().forecast(facts), kind().forecast(bigger)

    assert big.seconds.value > small.seconds.value
    assert big.size_bytes.value > small.size_bytes.value


@ALL
@pytest.mark.parametrize("device", [VNNI, AVX2], ids=lambda device: device.key)
def test_it_says_whether_it_fits_and_why(kind, facts, device):
    fit = kind().fits(facts, DATA, device)

    assert fit.reason.endswith(".") and len(fit.reason) < 160


@ALL
def test_whether_it_refuses_a_quantized_network_is_what_it_declares(kind, facts):
    fit = kind().fits(facts.model_copy(update={"quantized": True}), DATA, VNNI)

    assert (fit.word == "does-not-fit") is not kind.about.takes_low_precision


@ALL
def test_what_it_makes_lies_in_its_forecast_size_and_still_runs(kind, bench):
    if kind.about.needs - {"calibration"}:
        pytest.skip("needs more than calibration data")
    model = convolutional(64)
    if kind().fits(formats.facts(model.proto), DATA, VNNI).word == "does-not-fit":
        pytest.skip("says itself that it does not suit this network")

    result = kind().apply(model, bench)

    span = kind().forecast(formats.facts(model.proto)).size_bytes
    assert span.low <= result.proto.ByteSize() <= span.high
    assert run(result.proto, rows(3, 3, 12, 12)).shape == (3, 10)
    assert result.contract == model.contract


def test_asking_for_all_of_them_loads_no_tensor_library():
    code = (
        "import sys; from workers.recipe import techniques;"
        "[kind.model_json_schema() for kind in techniques().values()];"
        "sys.exit(any(name in sys.modules for name in ('torch', 'onnx', 'onnxruntime')))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("slug", ["static-int8", "dynamic-int8", "fp16", "magnitude-pruning", "tidy"])
def test_the_first_five_are_there(slug):
    assert slug in techniques()
