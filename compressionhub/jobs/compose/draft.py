"""A job that is being put together: what the page sent, and the edits its buttons make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from compressionhub.jobs.gate import Gate
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.ui import params_form
from compressionhub.ui.params_form import ParamsForm
from workers.errors import YoursToFix
from workers.recipe import MOST_STEPS, Recipe, techniques
from workers.technique import Technique

TOKEN = re.compile(r"s\d{1,4}")
MOST_SEED = 2**31 - 1


@dataclass(frozen=True)
class DraftStep:
    """One step on the page. ``token`` starts the names of its inputs and outlives changes of order."""

    token: str
    kind: type[Technique]
    form: ParamsForm
    is_open: bool = True

    @property
    def technique(self) -> Technique | None:
        return self.form.value if isinstance(self.form.value, Technique) else None

    @property
    def summary(self) -> str:
        return self.technique.summary() if self.technique else "has a fault"


@dataclass(frozen=True)
class Draft:
    """Everything the page holds. ``seed`` is as typed."""

    version: ModelVersion | None = None
    dataset: Dataset | None = None
    steps: tuple[DraftStep, ...] = ()
    name: str = ""
    device: str = "host-1t"
    seed: str = "0"
    gate: ParamsForm = field(default_factory=lambda: params_form.blank(Gate, "gate-"))

    @property
    def recipe(self) -> Recipe | None:
        """The recipe, once every step is sound and there is one."""
        made = [step.technique for step in self.steps]
        sound = [one for one in made if one is not None]
        return Recipe(name=self.name, steps=tuple(sound)) if sound and len(sound) == len(made) else None

    @property
    def gate_value(self) -> Gate | None:
        return self.gate.value if isinstance(self.gate.value, Gate) else None

    @property
    def seed_value(self) -> int | None:
        """The seed as a number; None where something else was typed."""
        # Python reads no number of over 4,300 digits
        typed = int(self.seed) if self.seed.isdecimal() and len(self.seed) < 20 else MOST_SEED + 1
        return typed if typed <= MOST_SEED else None

    @property
    def faults(self) -> list[str]:
        """What keeps it from being submitted, in the order of the page."""
        said = []
        if self.version is None:
            said.append("Choose a model.")
        if self.dataset is None:
            said.append("Choose a dataset.")
        if not self.steps:
            said.append("Add at least one step.")
        said += [
            f"Step {place}, {step.kind.about.title}: correct the marked fields."
            for place, step in enumerate(self.steps, 1)
            if not step.technique
        ]
        if self.seed_value is None:
            said.append(f"The seed is a whole number from 0 to {MOST_SEED}.")
        if self.gate_value is None:
            said.append("Correct the marked fields of the gate.")
        return said


def new_step(technique: Technique, taken: Iterable[str], *, is_open: bool = True) -> DraftStep:
    """A step with a token of its own."""
    token = f"s{max((int(one[1:]) for one in taken), default=0) + 1}"
    return DraftStep(
        token=token, kind=type(technique), form=params_form.filled(technique, f"{token}-"), is_open=is_open
    )


def steps_of(recipe: Recipe) -> tuple[DraftStep, ...]:
    """The steps of a stored recipe, folded."""
    made: list[DraftStep] = []
    for technique in recipe.steps:
        made.append(new_step(technique, [one.token for one in made], is_open=False))
    return tuple(made)


# --- reading what the page sent


def read(
    sent: Mapping[str, str], tokens: Sequence[str], *, version: ModelVersion | None, dataset: Dataset | None
) -> Draft:
    """The draft as the form holds it; ``tokens`` are the steps in their order. Unknown techniques fall away."""
    steps = [_read_step(sent, token) for token in dict.fromkeys(tokens) if TOKEN.fullmatch(token)]
    return Draft(
        version=version,
        dataset=dataset,
        steps=tuple(step for step in steps if step)[:MOST_STEPS],
        name=sent.get("name", "")[:80],
        device=sent.get("device", "host-1t"),
        seed=sent.get("seed", "0").strip(),
        gate=params_form.read(Gate, sent, "gate-"),
    )


def _read_step(sent: Mapping[str, str], token: str) -> DraftStep | None:
    kind = techniques().get(sent.get(f"{token}-technique", ""))
    if kind is None:
        return None
    form = params_form.read(kind, sent, f"{token}-")
    return DraftStep(token=token, kind=kind, form=form, is_open=sent.get(f"{token}-open") == "1" or not form.is_valid)


# --- edits


def edited(draft: Draft, order: str, recipes: Mapping[str, Recipe]) -> Draft:
    """Do what a button asks: ``add:slug``, ``recipe:key``, or ``up``, ``down``, ``remove``, ``fold`` with a token.

    Args:
        recipes: what ``recipe:key`` may put in place of the steps: starters and saved recipes by key.
    """
    verb, _, subject = order.partition(":")
    if verb == "add" and subject in techniques() and len(draft.steps) < MOST_STEPS:
        made = new_step(techniques()[subject].model_validate({}), [step.token for step in draft.steps])
        return replace(draft, steps=(*draft.steps, made))
    if verb == "recipe" and subject in recipes:
        return with_recipe(draft, recipes[subject])
    place = next((index for index, step in enumerate(draft.steps) if step.token == subject), None)
    return draft if place is None else replace(draft, steps=_changed(draft.steps, verb, place))


def with_recipe(draft: Draft, recipe: Recipe) -> Draft:
    return replace(draft, steps=steps_of(recipe), name=recipe.name)


def _changed(steps: tuple[DraftStep, ...], verb: str, place: int) -> tuple[DraftStep, ...]:
    rest = [*steps[:place], *steps[place + 1 :]]
    if verb == "remove":
        return tuple(rest)
    if verb == "fold":
        return (*steps[:place], replace(steps[place], is_open=not steps[place].is_open), *steps[place + 1 :])
    goal = {"up": place - 1, "down": place + 1}.get(verb, place)
    rest.insert(min(max(goal, 0), len(rest)), steps[place])
    return tuple(rest)


# --- what stands beside the steps


def chain_fault(steps: Sequence[DraftStep], data: Any) -> tuple[str, YoursToFix] | None:
    """The step that breaks the chain or lacks what it needs, by token, with the error that says so.

    The recipe's own check is asked of ever longer beginnings: the step whose arrival makes it fail is at fault.
    """
    for end in range(1, len(steps) + 1):
        made = [step.technique for step in steps[:end]]
        if any(one is None for one in made):
            return None
        try:
            Recipe(steps=tuple(one for one in made if one is not None)).check(data)
        except YoursToFix as error:
            return steps[end - 1].token, error
    return None
