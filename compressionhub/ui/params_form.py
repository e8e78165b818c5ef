"""A form made from the fields of a value, such as a technique, and the value made from what the form sent.

The class is the only description: its types give the kind of input, its constraints the limits, its
titles and descriptions the words. Values below a prefix belong to one step, so a page may hold many.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from workers.errors import Frozen
from workers.technique import names_a_model

FRACTION = "fraction"
EXACT = 10  # decimal places that survive turning a fraction into percent and back


@dataclass(frozen=True)
class Input:
    """One field as a page draws it.

    ``name`` carries the prefix; limits and value are as shown, in percent for fractions. A ``model`` is chosen from
    those that the page offers as ``students``.
    """

    name: str
    label: str
    hint: str
    kind: Literal["select", "number", "checkbox", "text", "model"]
    value: str = ""
    options: tuple[str, ...] = ()
    least: str = ""
    most: str = ""
    step: str = "any"
    unit: str = ""
    optional: bool = False
    errors: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return f"id-{self.name}"

    @property
    def checked(self) -> bool:
        return self.kind == "checkbox" and self.value == "on"

    @property
    def described_by(self) -> str:
        """The ids of what explains the input, for screen readers."""
        ids = [f"{self.id}-hint"] * bool(self.hint) + [f"{self.id}-errors"] * bool(self.errors)
        return " ".join(ids)


@dataclass(frozen=True)
class ParamsForm:
    """The inputs of one step, and the value they describe when nothing is wrong with them."""

    kind: type[Frozen]
    prefix: str
    inputs: tuple[Input, ...]
    value: Frozen | None = None
    errors: tuple[str, ...] = field(default=())

    @property
    def is_valid(self) -> bool:
        return self.value is not None


def blank(kind: type[Frozen], prefix: str = "") -> ParamsForm:
    """The form with its defaults."""
    return filled(kind.model_validate({}), prefix)


def filled(value: Frozen, prefix: str = "") -> ParamsForm:
    """The form that shows a value, for example a configured technique."""
    kind = type(value)
    inputs = tuple(
        _with_value(describe(name, info, prefix), getattr(value, name), info) for name, info in _parameters(kind)
    )
    return ParamsForm(kind=kind, prefix=prefix, inputs=inputs, value=value)


def read(kind: type[Frozen], sent: Mapping[str, str], prefix: str = "") -> ParamsForm:
    """The form as it was sent, with an error beside each field that cannot be used.

    A field that was not sent keeps its default, except a checkbox, which is then off.
    """
    shown, values = [], {}
    for name, info in _parameters(kind):
        one = describe(name, info, prefix)
        raw = sent.get(one.name)
        if one.kind == "checkbox":
            raw = "on" if raw else ""
        elif raw is None:
            one = _with_value(one, info.default, info)
            shown.append(one)
            continue
        shown.append(replace(one, value=raw))
        values[name] = _parse(raw, one, info)
    return _judge(kind, prefix, shown, values)


def _judge(kind: type[Frozen], prefix: str, shown: list[Input], values: dict[str, Any]) -> ParamsForm:
    try:
        value = kind.model_validate(values)
    except ValidationError as error:
        faults: dict[str, list[str]] = {}
        for fault in error.errors(include_url=False):
            name = str(fault["loc"][0]) if fault["loc"] else ""
            scale = _scale(kind.model_fields[name]) if name in kind.model_fields else 1
            faults.setdefault(name, []).append(_in_words(fault, scale))
        inputs = tuple(replace(one, errors=tuple(faults.get(one.name.removeprefix(prefix), ()))) for one in shown)
        return ParamsForm(kind=kind, prefix=prefix, inputs=inputs, errors=tuple(faults.get("", ())))
    return ParamsForm(kind=kind, prefix=prefix, inputs=tuple(shown), value=value)


def _parameters(kind: type[Frozen]) -> list[tuple[str, FieldInfo]]:
    return [(name, info) for name, info in kind.model_fields.items() if name != "technique"]


def describe(name: str, info: FieldInfo, prefix: str = "") -> Input:
    """What kind of input a field becomes, with its words and limits.

    Raises:
        TypeError: for a field type that no input exists for; a technique should not have one.
    """
    kind, optional = _without_none(info.annotation)
    title = info.title or name.replace("_", " ").capitalize()
    one = Input(name=prefix + name, label=title, hint=info.description or "", kind="text", optional=optional)
    if kind is bool:
        return replace(one, kind="checkbox")
    if names_a_model(info):
        return replace(one, kind="model")
    choices = _choices(kind)
    if choices:
        return replace(one, kind="select", options=(("",) if optional else ()) + choices)
    if kind in (int, float):
        return _number(one, kind, info)
    if kind is str or _is_list_of_text(kind):
        return one
    raise TypeError(f"expected a field that a form can hold, found {name}: {info.annotation}")


def _without_none(annotation: Any) -> tuple[Any, bool]:
    """A type without its ``| None``, and whether it had one."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation, False
    rest = [one for one in get_args(annotation) if one is not type(None)]
    return (rest[0] if len(rest) == 1 else annotation), len(rest) < len(get_args(annotation))


def _choices(kind: Any) -> tuple[str, ...]:
    if get_origin(kind) is Literal:
        return tuple(str(value) for value in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return ()


def _is_list_of_text(kind: Any) -> bool:
    return get_origin(kind) in (list, tuple) and set(get_args(kind)) <= {str, ...}


def _extra(info: FieldInfo) -> Mapping[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _number(one: Input, kind: type, info: FieldInfo) -> Input:
    unit = str(_extra(info).get("unit", ""))
    scale = 100 if unit == FRACTION else 1
    limits = {key: value for rule in info.metadata for key, value in _limits(rule).items()}
    return replace(
        one,
        kind="number",
        unit="%" if unit == FRACTION else unit,
        least=_written(limits.get("least"), scale),
        most=_written(limits.get("most"), scale),
        step="1" if kind is int else "any",  # arrows that step by a grid would refuse what lies between
    )


def _limits(rule: Any) -> dict[str, float]:
    found = {}
    for name, end in (("ge", "least"), ("gt", "least"), ("le", "most"), ("lt", "most")):
        if getattr(rule, name, None) is not None:
            found[end] = getattr(rule, name)
    return found


def _written(value: Any, scale: int = 1) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and scale == 1:
        return str(value)
    return f"{round(float(value) * scale, EXACT):g}" if abs(value) < 1e6 else str(value)


def _with_value(one: Input, value: Any, info: FieldInfo) -> Input:
    """The input showing a value of the technique."""
    if isinstance(value, bool):
        return replace(one, value="on" if value else "")
    if value is None:
        return replace(one, value="")
    if isinstance(value, list | tuple):
        return replace(one, value=", ".join(value))
    if isinstance(value, Enum):
        return replace(one, value=str(value.value))
    if isinstance(value, int | float):
        return replace(one, value=_written(value, _scale(info)))
    return replace(one, value=str(value))


def _scale(info: FieldInfo) -> int:
    return 100 if _extra(info).get("unit") == FRACTION else 1


def _parse(raw: str, one: Input, info: FieldInfo) -> Any:
    """What pydantic should judge: text where it is none of ours, so that its message names what was typed."""
    text = raw.strip()
    kind, optional = _without_none(info.annotation)
    if one.kind == "checkbox":
        return text == "on"
    if _is_list_of_text(kind):
        return [part.strip() for part in text.split(",") if part.strip()]
    if optional and not text:
        return None
    return _number_or_text(text, _scale(info)) if one.kind == "number" else text


def _number_or_text(text: str, scale: int) -> float | str | list[str]:
    """A number as the technique means it. Infinities become a list, which no number accepts."""
    try:
        typed = float(text)
    except ValueError:
        return text
    if not math.isfinite(typed):
        return [text]
    return text if scale == 1 else round(typed / scale, EXACT + 2)


def _in_words(fault: Any, scale: int) -> str:
    """A fault as a sentence for people, with limits as the form shows them."""
    limits = {
        name: _written(value, scale) if isinstance(value, int | float) else value
        for name, value in (fault.get("ctx") or {}).items()
    }
    words = {
        "greater_than": "Must be above {gt}.",
        "greater_than_equal": "Must be {ge} or more.",
        "less_than": "Must be below {lt}.",
        "less_than_equal": "Must be {le} or less.",
        "float_parsing": "Expected a number.",
        "int_parsing": "Expected a whole number.",
        "int_from_float": "Expected a whole number.",
        "literal_error": "Choose one of {expected}.",
        "enum": "Choose one of {expected}.",
        "float_type": "Expected a finite number.",
        "int_type": "Expected a finite number.",
    }
    known = words.get(fault["type"])
    return known.format(**limits) if known else f"{fault['msg'].rstrip('.')}."
