"""The draft of a new job: its edits, and the ticks under model and data."""

import pytest

from compressionhub.jobs.compose import draft as drafts
from compressionhub.jobs.compose.checks import checks
from compressionhub.jobs.compose.draft import Draft
from workers.contract import InputSpec, TokenizerSpec
from workers.facts import Role, TensorFacts
from workers.recipe import MOST_STEPS, from_value, techniques


@pytest.fixture
def draft() -> Draft:
    recipe = from_value([{"technique": "magnitude-pruning"}, {"technique": "static-int8"}, {"technique": "tidy"}])
    return drafts.with_recipe(Draft(), recipe)


def tokens(draft: Draft) -> list[str]:
    return [step.token for step in draft.steps]


@pytest.mark.parametrize(
    ("order", "left"),
    [
        ("up:s2", ["s2", "s1", "s3"]),
        ("down:s2", ["s1", "s3", "s2"]),
        ("up:s1", ["s1", "s2", "s3"]),
        ("down:s3", ["s1", "s2", "s3"]),
        ("remove:s2", ["s1", "s3"]),
        ("remove:s9", ["s1", "s2", "s3"]),
        ("nonsense", ["s1", "s2", "s3"]),
        ("add:no-such-technique", ["s1", "s2", "s3"]),
        ("add:fp16", ["s1", "s2", "s3", "s4"]),
    ],
)
def test_an_edit_moves_what_it_names_and_nothing_else(draft, order, left):
    assert tokens(drafts.edited(draft, order, {})) == left


def test_a_technique_may_stand_twice_with_parameters_of_its_own(draft):
    twice = drafts.edited(draft, "add:magnitude-pruning", {})

    assert [step.kind.slug() for step in twice.steps].count("magnitude-pruning") == 2
    assert len(set(tokens(twice))) == len(twice.steps)


def test_a_recipe_stops_growing_at_its_limit(draft):
    for _ in range(2 * MOST_STEPS):
        draft = drafts.edited(draft, "add:tidy", {})

    assert len(draft.steps) == MOST_STEPS


def test_folding_changes_only_what_is_shown(draft):
    folded = drafts.edited(draft, "fold:s1", {})

    assert [step.is_open for step in folded.steps] == [True, False, False]
    assert folded.recipe == draft.recipe


def test_what_the_page_sends_is_read_in_its_order_and_hostile_names_fall_away():
    sent = {"s2-technique": "tidy", "s1-technique": "fp16", "x-technique": "tidy", "s3-technique": "os.system"}

    found = drafts.read(sent, ["s2", "x", "s1", "s2", "s3", "../s1"], version=None, dataset=None)

    assert [(step.token, step.kind) for step in found.steps] == [
        ("s2", techniques()["tidy"]),
        ("s1", techniques()["fp16"]),
    ]


@pytest.mark.parametrize("seed", ["", "-1", "1.5", "seven", "99999999999", "9" * 5000, "\u0669" * 5000])
def test_a_seed_that_is_no_small_whole_number_is_a_fault(seed):
    assert any("seed" in fault for fault in Draft(seed=seed).faults)


def said(version, dataset) -> dict[str, bool]:
    return {check.text: check.good for check in checks(version, dataset)}


def test_matching_model_and_data_have_only_ticks(confirmed, dataset):
    assert said(confirmed, dataset) == {
        "input matches 1 × 8 × 8": True,
        "train 1,000": True,
        "validation 200": True,
        "calibration 200, apart from test": True,
        "test 397": True,
    }


def test_another_shape_is_laid_out_resized_or_refused(confirmed, dataset):
    def with_shape(*shape):
        one = dataset.facts.inputs[0].model_copy(update={"shape": shape})
        dataset.facts = dataset.facts.model_copy(update={"inputs": (one,)})
        return said(confirmed, dataset)

    assert with_shape(64)["64 is laid out as 1 × 8 × 8"]
    assert not with_shape(1, 28, 28)["the model takes 1 × 8 × 8, the data holds 1 × 28 × 28"]
    contract = confirmed.contract
    wanted = contract.inputs[0].model_copy(update={"resize": (8, 8)})
    confirmed.contract = contract.model_copy(update={"inputs": (wanted,)})
    assert with_shape(1, 28, 28)["1 × 28 × 28 is resized to 1 × 8 × 8"]


def test_text_goes_with_a_network_that_came_with_its_tokenizer(confirmed, dataset):
    text = TensorFacts(name="query", dtype="text", shape=())
    dataset.facts = dataset.facts.model_copy(update={"inputs": (text,)})
    ids = InputSpec(name="input_ids", dtype="int64", shape=(-1,))
    confirmed.contract = confirmed.contract.model_copy(update={"inputs": (ids,)})

    without = said(confirmed, dataset)
    confirmed.contract = confirmed.contract.model_copy(update={"tokenizer": TokenizerSpec(max_length=16)})

    assert [good for text, good in without.items() if "without a tokenizer" in text] == [False]
    assert said(confirmed, dataset)["text, cut into tokens by the model's own tokenizer"]


def test_a_free_axis_takes_any_length(confirmed, dataset):
    ids = InputSpec(name="x", dtype="int64", shape=(-1, 8, 8))
    confirmed.contract = confirmed.contract.model_copy(update={"inputs": (ids,)})

    assert said(confirmed, dataset)["input matches any × 8 × 8"]


def test_shared_rows_and_missing_roles_are_said(confirmed, dataset):
    roles = {role: one for role, one in dataset.facts.roles.items() if role is not Role.TEST}
    dataset.facts = dataset.facts.model_copy(update={"roles": roles, "overlaps": {Role.CALIBRATION: 3, Role.TRAIN: 50}})

    found = said(confirmed, dataset)

    assert found["calibration 200, 3 of them test rows"] is False
    assert found["train 1,000, 50 rows stand in test as well"] is False
    assert found["no test rows"] is False
