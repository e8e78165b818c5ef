import json

import pytest
import yaml

from workers.errors import YoursToFix
from workers.facts import DatasetFacts, Role, RoleFacts, TargetFacts
from workers.recipe import (
    MOST_STEPS,
    BadParameters,
    NeedsUnmet,
    Recipe,
    StepsConflict,
    UnknownTechnique,
    from_value,
    parse,
    techniques,
)
from workers.techniques.magnitude_pruning import MagnitudePruning
from workers.techniques.static_int8 import StaticInt8


def data(*roles: Role) -> DatasetFacts:
    return DatasetFacts(
        format="npz", size_bytes=1, inputs=(), target=TargetFacts(kind="none"),
        roles={role: RoleFacts(rows=10, declared=True) for role in roles},
    )  # fmt: skip


def test_a_recipe_is_read_from_yaml():
    recipe = parse("""
        name: small
        steps:
          - technique: magnitude-pruning
            sparsity: 0.3
          - technique: static-int8
    """)

    assert recipe.name == "small"
    assert recipe.steps == (MagnitudePruning(sparsity=0.3), StaticInt8())


def test_json_and_a_bare_list_of_steps_are_read_too():
    steps = [{"technique": "static-int8", "calibration": "percentile", "samples": 512}]

    assert parse(json.dumps({"steps": steps})) == from_value(steps) == parse(yaml.safe_dump(steps))


def test_a_technique_may_appear_twice():
    recipe = from_value([{"technique": "magnitude-pruning", "sparsity": share} for share in (0.3, 0.6)])

    assert [step.sparsity for step in recipe.steps] == [0.3, 0.6]


def test_what_is_written_as_yaml_is_read_back_the_same():
    recipe = Recipe(name="kéep", steps=(MagnitudePruning(excluded=("a", "b")), StaticInt8(calibration="entropy")))

    assert parse(recipe.as_yaml()) == recipe


def test_a_stored_recipe_is_read_back_the_same():
    recipe = Recipe(steps=(MagnitudePruning(sparsity=0.7), StaticInt8()))

    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_every_parameter_is_spelt_out_when_written():
    written = yaml.safe_load(Recipe(steps=(StaticInt8(),)).as_yaml())

    assert set(written["steps"][0]) == set(StaticInt8.model_fields)


def test_an_unknown_technique_is_refused_with_its_position_and_the_known_ones():
    with pytest.raises(UnknownTechnique, match=r"Step 2.*'magic'") as caught:
        from_value([{"technique": "tidy"}, {"technique": "magic"}])

    assert all(slug in caught.value.hint for slug in techniques())


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"technique": "magnitude-pruning", "sparsity": 1.5}, "sparsity.*less than 1.*1.5"),
        ({"technique": "magnitude-pruning", "sparsity": float("nan")}, "sparsity"),
        ({"technique": "magnitude-pruning", "sparsity": float("inf")}, "sparsity"),
        ({"technique": "static-int8", "samples": 2**63}, "samples"),
        ({"technique": "static-int8", "samples": 1.5}, "samples"),
        ({"technique": "static-int8", "calibration": "guess"}, "calibration.*min-max.*guess"),
        ({"technique": "static-int8", "calibration_path": "/etc/passwd"}, "calibration_path"),
        ({"technique": "static-int8", "excluded": "conv1"}, "excluded"),
        ({"technique": "tidy", "queue": "gpu"}, "queue"),
    ],
)
def test_a_bad_parameter_is_refused_with_its_name_and_what_was_found(step, says):
    with pytest.raises(BadParameters, match=says):
        from_value([step])


@pytest.mark.parametrize("value", [None, 7, "tidy", {}, {"steps": []}, {"steps": "tidy"}, {"steps": [None]}, [[]]])
def test_what_is_no_recipe_is_refused(value):
    with pytest.raises(YoursToFix) as caught:
        from_value(value)

    assert caught.value.hint


def test_text_that_is_no_yaml_is_refused_with_an_example():
    with pytest.raises(YoursToFix, match="neither") as caught:
        parse("steps: [")

    assert "static-int8" in caught.value.hint


def test_yaml_tags_that_run_code_are_refused():
    with pytest.raises(YoursToFix):
        parse("!!python/object/apply:os.system ['true']")


def test_too_many_steps_are_refused():
    assert len(from_value([{"technique": "tidy"}] * MOST_STEPS).steps) == MOST_STEPS

    with pytest.raises(YoursToFix, match=f"1 to {MOST_STEPS}"):
        from_value([{"technique": "tidy"}] * (MOST_STEPS + 1))


def test_an_unknown_key_beside_the_steps_is_refused():
    with pytest.raises(YoursToFix, match="owner"):
        from_value({"steps": [{"technique": "tidy"}], "owner": "charlie"})


def test_calibration_data_is_asked_for_before_anything_runs():
    recipe = Recipe(steps=(StaticInt8(),))

    recipe.check(data(Role.CALIBRATION, Role.TEST))
    with pytest.raises(NeedsUnmet, match="Static INT8 needs calibration data"):
        recipe.check(data(Role.TEST))
    with pytest.raises(NeedsUnmet, match="needs a dataset"):
        recipe.check(None)


def test_a_recipe_without_needs_runs_without_data():
    Recipe(steps=(MagnitudePruning(),)).check(None)


def test_a_summary_names_what_differs_from_the_defaults():
    step = StaticInt8(samples=512, calibration="entropy")

    assert step.summary() == "calibration entropy, calibration samples 512 rows"
    assert MagnitudePruning(sparsity=0.6).summary() == "sparsity 0.6"


def test_a_step_for_floats_behind_one_that_leaves_integers_is_refused_with_the_way_out():
    recipe = from_value([{"technique": "static-int8"}, {"technique": "tidy"}, {"technique": "fp16"}])

    with pytest.raises(StepsConflict, match="FP16 works on a network in float32, but Static INT8") as caught:
        recipe.check(data(*Role))
    assert caught.value.hint.startswith("Move FP16 before Static INT8")


def test_tidying_an_integer_network_is_no_conflict():
    from_value([{"technique": "static-int8"}, {"technique": "tidy"}]).check(data(*Role))
