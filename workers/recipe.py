"""A recipe: an ordered list of steps, checked before anything runs."""

import reprlib
from functools import cache
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, field_validator

import workers.techniques
from workers import recipe_text
from workers.errors import Frozen, YoursToFix
from workers.facts import DatasetFacts, Role
from workers.registry import members
from workers.technique import About, Need, Technique

MOST_STEPS = 20


@cache
def techniques() -> dict[str, type[Technique]]:
    """Every technique by slug."""
    return members(workers.techniques, Technique)  # type: ignore[type-abstract]


class UnknownTechnique(YoursToFix):
    code = "recipe.unknown-technique"

    def __init__(self, slug: object, position: int) -> None:
        super().__init__(
            f"Step {position}: expected the name of a technique, found {brief(slug)}.",
            hint=f"Known techniques: {', '.join(techniques())}.",
        )


class BadParameters(YoursToFix):
    code = "recipe.bad-parameters"


class StepsConflict(YoursToFix):
    code = "recipe.steps-conflict"

    def __init__(self, before: About, after: About) -> None:
        super().__init__(
            f"{after.title} works on a network in float32, but {before.title} leaves one in fewer bits.",
            hint=f"Move {after.title} before {before.title}, or remove one of them.",
        )


class NeedsUnmet(YoursToFix):
    code = "recipe.needs-unmet"


def step(values: Any, position: int = 1) -> Technique:
    """Read one step from a mapping with a ``technique`` key.

    Raises:
        UnknownTechnique: if no technique has this slug.
        BadParameters: if a parameter is unknown, missing or out of range.
    """
    if isinstance(values, Technique):
        return values
    if not isinstance(values, dict):
        raise BadParameters(
            f"Step {position}: expected a technique with its parameters, found {brief(values)}.",
            hint="Write: technique: static-int8",
        )
    slug = values.get("technique")
    if not isinstance(slug, str) or slug not in techniques():
        raise UnknownTechnique(slug, position)
    try:
        return techniques()[slug].model_validate(values)
    except ValidationError as error:
        raise BadParameters(
            f"Step {position} ({techniques()[slug].about.title}): {first_fault(error)}",
            hint="Correct the parameter and try again.",
        ) from None


def first_fault(error: ValidationError) -> str:
    """The first fault of a validation error in one sentence: where, what was expected, what was found."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"]) or "value"
    return f"{where}: {fault['msg']}, found {brief(fault.get('input'))}."


def brief(value: object) -> str:
    """A value as a message shows it: never more than a line, however large it is."""
    return reprlib.repr(value)[:80]


class Recipe(Frozen):
    """One to twenty configured techniques, in order; the same technique may appear twice."""

    name: str = Field(default="", max_length=120)
    steps: tuple[Annotated[Technique, SerializeAsAny()], ...]

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        """No line breaks, NUL or letters that change the direction of reading: no page or database needs them."""
        return "".join(letter if letter.isprintable() else " " for letter in name).strip()

    @field_validator("steps", mode="before")
    @classmethod
    def _read_steps(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_STEPS:
            raise YoursToFix(
                f"Expected a recipe of 1 to {MOST_STEPS} steps.",
                hint="Add at least one technique.",
                code="recipe.empty",
            )
        return tuple(step(item, position) for position, item in enumerate(value, start=1))

    @property
    def other_models(self) -> tuple[str, ...]:
        """The other stored networks that steps go on with, each once."""
        return tuple(dict.fromkeys(item.other_model for item in self.steps if item.other_model))

    def with_other_model(self, name: str) -> Self:
        """The same steps, where one can go on with another network and names none, with this one.

        Raises:
            YoursToFix: if there is no such step.
        """
        steps = [
            item.model_copy(update={item.model_field(): name}) if item.model_field() and not item.other_model else item
            for item in self.steps
        ]
        if steps == list(self.steps):
            raise YoursToFix(
                "Expected a step that takes a student and names none, found none in the recipe.",
                hint="Add one: technique: distillation.",
                code="recipe.no-student",
            )
        return self.model_copy(update={"steps": tuple(steps)})

    def check(self, data: DatasetFacts | None) -> None:
        """See that each step can take what the ones before it leave, and that needs are met.

        Raises:
            StepsConflict: where a step works on floats and an earlier one has left integers.
            NeedsUnmet: where the data lacks what a step needs.
        """
        for place, item in enumerate(self.steps):
            lowering = next((one.about for one in self.steps[:place] if one.about.lowers_precision), None)
            if lowering is not None and not item.about.takes_low_precision:
                raise StepsConflict(lowering, item.about)
        for item in self.steps:
            missing = unmet_needs(item, data)
            if missing:
                raise NeedsUnmet(
                    f"{item.about.title} needs {missing}, which the dataset does not have.",
                    hint="Choose another dataset or remove the step.",
                )

    def as_yaml(self) -> str:
        """The recipe as a file, with every parameter spelt out."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=False), sort_keys=False, allow_unicode=True)


def unmet_needs(item: Technique, data: DatasetFacts | None) -> str:
    """What a step needs and the data lacks, in words; empty if nothing."""
    if not item.about.needs - {Need.GPU}:
        return ""
    if data is None:
        return "a dataset"
    missing = []
    if Need.LABELS in item.about.needs and data.target.kind == "none":
        missing.append("labels")
    if Need.CALIBRATION in item.about.needs and not data.rows(Role.CALIBRATION):
        missing.append("calibration data")
    if Need.TRAINING in item.about.needs and not data.rows(Role.TRAIN):
        missing.append("training data")
    return " and ".join(missing)


def parse(text: str) -> Recipe:
    """Read a recipe from YAML or JSON.

    Raises:
        YoursToFix: if the text is no recipe, with the first thing that is wrong.
    """
    return from_value(recipe_text.read(text))


def from_value(value: Any) -> Recipe:
    """Read a recipe from parsed JSON: ``{"steps": [...], "name": ...}`` or the bare list of steps."""
    if isinstance(value, list):
        value = {"steps": value}
    if not isinstance(value, dict):
        raise YoursToFix(
            "Expected a recipe: a mapping with the key 'steps'.",
            hint="steps: [{technique: static-int8}]",
            code="recipe.unreadable",
        )
    try:
        return Recipe.model_validate(value)
    except ValidationError as error:
        raise YoursToFix(
            f"Expected a recipe; {first_fault(error)}",
            hint="A recipe has 'steps' and, optionally, 'name'.",
            code="recipe.unreadable",
        ) from None
