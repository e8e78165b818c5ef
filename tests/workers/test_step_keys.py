"""A finished step may be reused only where everything it depends on is the same (each factor is changed alone)."""

import pytest

from workers.recipe import from_value
from workers.step_keys import step_keys
from workers.ticket import Blob, DataOptions, Kind, Ticket


def ticket(**changes: object) -> Ticket:
    steps = changes.pop("steps", [{"technique": "magnitude-pruning"}, {"technique": "static-int8"}])
    values = {
        "job": "j",
        "kind": Kind.COMPRESS,
        "attempt": 1,
        "team": "t",
        "model": Blob(key="k", name="m.onnx", sha256="a" * 64, size_bytes=1),
        "data": Blob(key="d", name="d.npz", sha256="b" * 64, size_bytes=1),
        "recipe": from_value(steps),
        "seed": 0,
    }
    return Ticket.model_validate(values | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"team": "another"},
        {"seed": 1},
        {"model": Blob(key="k", name="m.onnx", sha256="c" * 64, size_bytes=1)},
        {"data": Blob(key="d", name="d.npz", sha256="c" * 64, size_bytes=1)},
        {"options": DataOptions(target="y")},
        {"steps": [{"technique": "magnitude-pruning", "sparsity": 0.31}, {"technique": "static-int8"}]},
    ],
)
def test_another_input_gives_another_key(changes):
    assert not set(step_keys(ticket(), threads=2)) & set(step_keys(ticket(**changes), threads=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"job": "another"},
        {"attempt": 2},
        {"number": 7},
        {"model": Blob(key="elsewhere", name="other.onnx", sha256="a" * 64, size_bytes=1)},
    ],
)
def test_what_a_result_does_not_depend_on_keeps_the_key(changes):
    assert step_keys(ticket(), threads=2) == step_keys(ticket(**changes), threads=2)


def taught(name: str, sha256: str) -> Ticket:
    """A job whose second step goes on with another network."""
    steps = [{"technique": "magnitude-pruning"}, {"technique": "distillation", "student": name}]
    others = {name: Blob(key="s", name="small.onnx", sha256=sha256, size_bytes=1)}
    return ticket(steps=steps, others=others)


def test_another_network_counts_by_its_content_and_not_by_its_name():
    one = step_keys(taught("small", "e" * 64), threads=2)

    assert step_keys(taught("renamed", "e" * 64), threads=2) == one
    other = step_keys(taught("small", "f" * 64), threads=2)
    assert other[0] == one[0] and other[1] != one[1]


def test_threads_are_part_of_the_key():
    assert step_keys(ticket(), threads=1) != step_keys(ticket(), threads=2)


def test_a_later_step_does_not_change_the_keys_before_it():
    short = step_keys(ticket(steps=[{"technique": "magnitude-pruning"}]), threads=2)
    long = step_keys(ticket(steps=[{"technique": "magnitude-pruning"}, {"technique": "tidy"}]), threads=2)

    assert long[:1] == short


def test_the_same_technique_twice_has_two_keys():
    first, second = step_keys(ticket(steps=[{"technique": "tidy"}, {"technique": "tidy"}]), threads=2)

    assert first != second
