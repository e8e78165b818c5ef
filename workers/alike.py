"""Whether one network can stand in another's place: whether it takes the same inputs and answers the same questions."""

from collections.abc import Iterable, Sequence, Sized
from typing import Protocol, TypeVar

from workers.contract import Contract, InputSpec, OutputSpec
from workers.errors import Frozen, YoursToFix
from workers.facts import ModelFacts, TensorFacts

HOW_INPUTS_ARE_MADE = ("dtype", "layout", "channels", "resize", "scale", "mean", "std", "columns", "batch_axis")
WHAT_OUTPUTS_SAY = ("meaning", "per")


class OtherModel(Frozen):
    """Another network that steps went on with: what the recipe calls it, its file, and its content."""

    name: str
    file: str
    sha256: str


class Named(Protocol):
    """Something at the border of a network."""

    @property
    def name(self) -> str: ...


N = TypeVar("N", bound=Named)


class NotAlike(YoursToFix):
    """``what`` is where the two differ; ``found`` is the other network's, ``expected`` the job's."""

    code = "model.not-alike"

    def __init__(self, name: str, what: str, *, expected: object, found: object) -> None:
        super().__init__(
            f"Expected {name} to take and answer what the network of the job does; its {what} is {_brief(found)}, not "
            f"{_brief(expected)}.",
            hint="Choose another network, correct its input contract, or export it like that of the job.",
        )


def see_contracts_match(job: Contract, other: Contract, *, name: str) -> None:
    """Hold what people confirmed of two networks against each other; names of inputs and outputs may differ.

    Args:
        name: of the other network, for the message.

    Raises:
        NotAlike: with the first difference.
    """
    _same(name, "task", job.task.value, other.task.value)
    for wanted, given in paired(job.inputs, other.inputs, name=name, what="inputs"):
        _see_inputs_match(wanted, given, name)
    see_outputs_match(job.outputs, other.outputs, name=name)
    if job.classes and other.classes:
        _same(name, "class names", job.classes, other.classes)
    see_texts_match(job, other, name=name)


def see_outputs_match(job: Sequence[OutputSpec], other: Sequence[OutputSpec], *, name: str) -> None:
    """Hold what outputs mean against each other.

    Raises:
        NotAlike: with the first difference.
    """
    for wanted, given in paired(job, other, name=name, what="outputs"):
        for field in WHAT_OUTPUTS_SAY:
            _same(name, f"{field} of output {given.name!r}", getattr(wanted, field), getattr(given, field))


def see_texts_match(job: Contract, other: Contract, *, name: str) -> None:
    """Hold against each other how texts are cut and filled up, where both say so.

    Raises:
        NotAlike: if that differs.
    """
    if job.tokenizer is not None and other.tokenizer is not None:
        _same(name, "most tokens of a text", job.tokenizer.max_length, other.tokenizer.max_length)
        _same(name, "number of the token that fills texts up", job.tokenizer.pad_id, other.tokenizer.pad_id)


def see_vocabularies_match(job: Sized | None, other: Sized | None, *, name: str) -> None:
    """Hold the numbers of tokens against each other, where both networks came with a tokenizer.

    Raises:
        NotAlike: if they differ.
    """
    if job is not None and other is not None and job != other:
        expected = f"that of the job with {len(job):,} tokens"
        raise NotAlike(name, "vocabulary", expected=expected, found=f"another with {len(other):,}")


def see_borders_match(job: ModelFacts, other: ModelFacts, *, name: str) -> None:
    """Hold the shapes and types at the borders of two graphs against each other; free axes fit any size.

    Raises:
        NotAlike: with the first difference.
    """
    for what, wanted, given in (("input", job.inputs, other.inputs), ("output", job.outputs, other.outputs)):
        for first, second in paired(wanted, given, name=name, what=f"{what}s"):
            _same(name, f"type of {what} {second.name!r}", first.dtype, second.dtype)
            if not _same_sides(first.shape[1:], second.shape[1:]) or len(first.shape) != len(second.shape):
                raise NotAlike(name, f"shape of {what} {second.name!r}", expected=_said(first), found=_said(second))


def paired(job: Sequence[N], other: Sequence[N], *, name: str, what: str) -> list[tuple[N, N]]:
    """What belongs together at two borders, in the order of the job's: by name where both have the same, else by place.

    Raises:
        NotAlike: if there are more of one than of the other.
    """
    _same(name, f"number of {what}", len(job), len(other))
    by_name = {item.name: item for item in other}
    if by_name.keys() == {item.name for item in job}:
        return [(item, by_name[item.name]) for item in job]
    return list(zip(job, other, strict=True))


def _see_inputs_match(wanted: InputSpec, given: InputSpec, name: str) -> None:
    if not _same_sides(wanted.shape, given.shape):
        raise NotAlike(name, f"shape of input {given.name!r}", expected=wanted.shape, found=given.shape)
    for field in HOW_INPUTS_ARE_MADE:
        _same(name, f"{field.replace('_', ' ')} of input {given.name!r}", getattr(wanted, field), getattr(given, field))


def _same(name: str, what: str, expected: object, found: object) -> None:
    if expected != found:
        raise NotAlike(name, what, expected=expected, found=found)


def _same_sides(first: Sequence[int | str], second: Sequence[int | str]) -> bool:
    """Whether two shapes can be one; a side that is no size, or −1, is free."""
    return len(first) == len(second) and all(
        one == two or not _is_size(one) or not _is_size(two) for one, two in zip(first, second, strict=True)
    )


def _is_size(side: int | str) -> bool:
    return isinstance(side, int) and side > 0


def _said(tensor: TensorFacts) -> str:
    return " × ".join(str(side) for side in tensor.shape) or "one number"


def _brief(value: object) -> str:
    """A value as a message shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        parts = [str(part) for part in value]
        return ", ".join(parts[:5]) + (" …" if len(parts) > 5 else "") or "none"
    return "none" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
