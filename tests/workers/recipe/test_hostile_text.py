"""What a stranger may type into "load recipe": refused in a moment and in a sentence, whatever it is."""

import time

import pytest

from workers.errors import YoursToFix
from workers.recipe import Recipe, from_value, parse, step

DOUBLING = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 9)}]\n" for i in range(12)
)


@pytest.mark.parametrize(
    "text",
    [
        DOUBLING,
        DOUBLING + "steps: [*m]",
        "steps: &a [*a]",
        "[" * 20_000,
        "[" * 3_000 + "]" * 3_000,
        "{a: " * 3_000 + "}" * 3_000,
        "steps: [" + "{technique: tidy}," * 10_000 + "]",
        "day: 2001-13-40",
        "steps: " + "9" * 5_000,
        "a: !!int x",
        "a: !!float x",
        "a: !!bool x",
        "a: !!timestamp x",
        "a: !!python/object/apply:os.system [id]",
        "steps: [{technique: magnitude-pruning, sparsity: .nan}]",
        "steps: [{technique: static-int8, samples: .inf}]",
        "steps: [{technique: static-int8, samples: 9223372036854775808}]",
        "steps: [{technique: static-int8, nobody_knows: 1}]",
        "name: " + "x" * 200 + "\nsteps: [{technique: tidy}]",
    ],
    ids=lambda text: text[:20].replace("\n", " "),
)
def test_hostile_text_is_refused_at_once_and_in_few_words(text):
    began = time.perf_counter()

    with pytest.raises(YoursToFix) as refused:
        parse(text)

    assert time.perf_counter() - began < 2
    assert len(refused.value.message) < 300


def test_a_value_that_doubles_is_never_spelt_out_in_a_message():
    value: list[object] = ["x"] * 9
    for _ in range(40):
        value = [value] * 9

    for wrong in ({"steps": [value]}, {"steps": [{"technique": value}]}, {"steps": [], "unknown": value}):
        with pytest.raises(YoursToFix) as refused:
            from_value(wrong)
        assert len(refused.value.message) < 300


def test_a_recipes_name_is_one_line_that_reads_in_one_direction():
    recipe = Recipe(name="a\x00b\r\nc\u202exnno", steps=(step({"technique": "tidy"}),))

    assert recipe.name == "a b  c xnno"


def test_a_recipe_that_was_written_out_can_be_read_again_without_aliases():
    twice = Recipe(name="twice", steps=(step({"technique": "tidy"}), step({"technique": "tidy"})))

    assert parse(twice.as_yaml()) == twice
