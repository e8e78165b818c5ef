"""What a technique is: a frozen object whose fields are its parameters.

The form, the API body, the stored JSON and the docs page all come from the class.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

from pydantic import model_validator
from pydantic.fields import FieldInfo

from workers.errors import Frozen
from workers.facts import DatasetFacts, ModelFacts, Span

if TYPE_CHECKING:
    from workers.device import DeviceProfile
    from workers.model import LoadedModel
    from workers.workbench import Workbench


class Family(StrEnum):
    QUANTIZATION = "quantization"
    PRUNING = "pruning"
    DISTILLATION = "distillation"
    LOWRANK = "lowrank"
    SHARING = "sharing"
    SEARCH = "search"
    RECOVERY = "recovery"
    COMBINED = "combined"


class Need(StrEnum):
    LABELS = "labels"
    CALIBRATION = "calibration"
    TRAINING = "training"
    GPU = "gpu"


class About(Frozen):
    """What a technique says of itself.

    Attributes:
        lowers_precision: its result holds integers or half floats, which steps for float32 networks refuse.
        takes_low_precision: it works on such a result too.
        version: rises when its results change: it is part of the cache key.
        searches: it decides by itself which layers to treat, so that treating one alone says nothing.
    """

    title: str
    family: Family
    needs: frozenset[Need] = frozenset()
    source: str
    lowers_precision: bool = False
    takes_low_precision: bool = False
    version: int = 1
    searches: bool = False


FitWord = Literal["fits", "little-gain", "slower-here", "smaller-only", "does-not-fit"]


class Fit(Frozen):
    """Whether a technique suits a network on a device, with the reason and, where known, what to expect."""

    word: FitWord
    reason: str
    expect: str = ""


class Forecast(Frozen):
    """What one step will take: seconds of one core, peak memory, and the size of its result."""

    seconds: Span
    memory_bytes: Span
    size_bytes: Span


class Technique(Frozen):
    """One configured step of a recipe."""

    about: ClassVar[About]
    technique: str

    @model_validator(mode="before")
    @classmethod
    def _fill_in_the_slug(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "technique" not in values:
            return {"technique": cls.slug(), **values}
        return values

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Name a step's own fields first, then those it shares with others of its kind: so pages show them."""
        super().__pydantic_init_subclass__(**kwargs)
        kinds = [kind for kind in cls.__mro__ if issubclass(kind, Technique)]
        owner = {name: rank for rank, kind in enumerate(kinds) for name in kind.model_fields}
        order = sorted(cls.model_fields, key=lambda name: (name != "technique", owner[name]))
        cls.__pydantic_fields__ = {name: cls.model_fields[name] for name in order}

    @classmethod
    def slug(cls) -> str:
        """The one value its ``technique`` field may have."""
        return str(get_args(cls.model_fields["technique"].annotation)[0])

    @classmethod
    def model_field(cls) -> str:
        """The field that names another stored network, with which the step goes on; empty where there is none."""
        return next((name for name, field in cls.model_fields.items() if names_a_model(field)), "")

    @property
    def other_model(self) -> str:
        """The other stored network that the step goes on with, by the name its recipe gives it; empty for none."""
        name = type(self).model_field()
        return str(getattr(self, name)) if name else ""

    @classmethod
    def card(cls) -> str:
        """The first line of the docstring: one sentence for the picker."""
        return (cls.__doc__ or "").strip().splitlines()[0]

    @classmethod
    def help_text(cls) -> str:
        """The rest of the docstring, as paragraphs."""
        return "\n".join(line.strip() for line in (cls.__doc__ or "").strip().splitlines()[1:]).strip()

    def summary(self) -> str:
        """The parameters that differ from their defaults, or the word ``defaults``."""
        said = []
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if name != "technique" and value != field.default:
                extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
                unit = str(extra.get("unit", ""))
                value = "uploaded" if names_a_model(field) else value
                said.append(f"{(field.title or name).lower()} {value}{'' if unit in ('', 'fraction') else ' ' + unit}")
        return ", ".join(said) or "defaults"

    def fits(self, model: ModelFacts, data: DatasetFacts | None, device: DeviceProfile) -> Fit:
        """Judge from the facts alone, before anything runs."""
        return Fit(word="fits", reason="The format suits.")

    @abstractmethod
    def forecast(self, facts: ModelFacts) -> Forecast:
        """Say what the step will take, from the facts alone."""

    def forecast_with(self, facts: ModelFacts, other: ModelFacts) -> Forecast:
        """The same for a step that goes on with another network. ``facts``: of the one it is applied to."""
        return self.forecast(other)

    @abstractmethod
    def apply(self, model: LoadedModel, bench: Workbench) -> LoadedModel:
        """Do the step. Checks ``bench.check()`` between units of work and reports ``bench.progress``."""


def names_a_model(field: FieldInfo) -> bool:
    """Whether a parameter is the name of another stored network: a version's id on the hub, a path in a shell."""
    return isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("names") == "model"


def can_be_taken_apart(kind: type[Technique]) -> bool:
    """Whether it can treat one layer alone: layers can be excluded, and it neither trains nor searches."""
    families = (Family.QUANTIZATION, Family.PRUNING, Family.LOWRANK)
    about = kind.about
    can = "excluded" in kind.model_fields and about.family in families
    return can and Need.TRAINING not in about.needs and not about.searches


def whole(value: Any) -> Any:
    """A choice among numbers as a form sends it, as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value
