"""The form of an input contract: one group of fields per input, made from the contract itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from django import forms
from pydantic import ValidationError

from compressionhub.accounts.forms import HubForm
from workers.contract import Channels, Contract, InputSpec, Layout, Meaning, OutputSpec, Per, Task
from workers.metric import metrics
from workers.recipe import first_fault

TASKS = [(task.value, task.value) for task in Task]
MOST_CLASSES = 100_000


def _choices(words: Any) -> list[tuple[str, str]]:
    return [(word, word) for word in get_args(words)]


class Numbers(forms.CharField):
    """Numbers with spaces or commas between; read as a tuple."""

    def __init__(self, *, whole: bool = False, **options: Any) -> None:
        super().__init__(required=False, max_length=2000, **options)
        self.whole = whole

    def clean(self, value: Any) -> tuple[float, ...] | tuple[int, ...]:
        parts = str(super().clean(value)).replace(",", " ").replace("×", " ").replace("x", " ").split()
        try:
            return tuple(int(part) for part in parts) if self.whole else tuple(float(part) for part in parts)
        except ValueError:
            raise forms.ValidationError(f"Expected numbers with spaces between, found {value[:40]!r}.") from None


class ContractForm(HubForm):
    """Edits a contract. Names and types come from the network and stay; ``as_contract`` is valid after ``is_valid``."""

    task = forms.ChoiceField(choices=TASKS, label="Task", help_text="What the network is for.")
    classes = forms.CharField(
        label="Label names",
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="One a line, in the order of the outputs. Leave empty where there are no classes.",
    )
    per = forms.ChoiceField(
        choices=_choices(Per),
        label="One answer for each",
        required=False,
        help_text="Sequences may have one for each frame, pictures one for each pixel.",
    )
    headline = forms.ChoiceField(
        label="Headline metric",
        required=False,
        help_text="What gates and early stops look at. For a rare class, average precision says more than accuracy.",
    )

    def __init__(self, contract: Contract, data: Any = None) -> None:
        super().__init__(data)
        self.before = contract
        for index, spec in enumerate(contract.inputs):
            self._add_input(index, spec)
        for index, out in enumerate(contract.outputs):
            self.fields[f"output-{index}-meaning"] = forms.ChoiceField(
                choices=_choices(Meaning),
                label="Means",
                initial=out.meaning,
                widget=forms.Select(attrs={"class": "form-select"}),
            )
        choices = [(name, kind.about.title) for name, kind in metrics().items()]
        self.fields["headline"].choices = [("", "the usual one of the task"), *choices]  # type: ignore[attr-defined]
        for name in ("per", "headline"):
            self.fields[name].widget.attrs["class"] = "form-select"
        self.initial.update(
            task=contract.task.value,
            classes="\n".join(contract.classes),
            per=contract.outputs[0].per if contract.outputs else "sample",
            headline=contract.headline,
        )

    def _add_input(self, index: int, spec: InputSpec) -> None:
        made: dict[str, forms.Field] = {
            "shape": Numbers(whole=True, label="Shape of one sample", initial=_written(spec.shape)),
            "layout": forms.ChoiceField(choices=_choices(Layout), label="Layout", initial=spec.layout),
            "channels": forms.ChoiceField(choices=_choices(Channels), label="Channels", initial=spec.channels),
            "resize": Numbers(
                whole=True,
                label="Resize to",
                initial=_written(spec.resize or ()),
                help_text="Height and width, for images; empty for none.",
            ),
            "scale": forms.FloatField(
                label="Multiply by", initial=spec.scale, help_text="First. 0.00392157 turns bytes into 0 to 1."
            ),
            "mean": Numbers(
                label="Then subtract", initial=_written(spec.mean), help_text="One number, or one per channel."
            ),
            "std": Numbers(
                label="Then divide by", initial=_written(spec.std), help_text="One number, or one per channel."
            ),
        }
        for name, field in made.items():
            field.widget.attrs["class"] = "form-select" if isinstance(field, forms.ChoiceField) else "form-control"
            self.fields[f"input-{index}-{name}"] = field

    def input_groups(self) -> Iterator[tuple[InputSpec, list[forms.BoundField]]]:
        """Each input with its fields."""
        for index, spec in enumerate(self.before.inputs):
            yield spec, [self[name] for name in self.fields if name.startswith(f"input-{index}-")]

    def output_groups(self) -> Iterator[tuple[OutputSpec, forms.BoundField]]:
        for index, out in enumerate(self.before.outputs):
            yield out, self[f"output-{index}-meaning"]

    def clean_classes(self) -> tuple[str, ...]:
        names = tuple(line.strip()[:200] for line in self.cleaned_data["classes"].splitlines() if line.strip())
        if len(names) > MOST_CLASSES:
            raise forms.ValidationError(f"Expected at most {MOST_CLASSES} names, found {len(names)}.")
        return names

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.errors:
            try:
                self.as_contract = self._read(values)
            except ValidationError as error:
                raise forms.ValidationError(first_fault(error)) from None
        return values

    def _read(self, values: dict[str, Any]) -> Contract:
        inputs = tuple(self._input(index, spec, values) for index, spec in enumerate(self.before.inputs))
        outputs = tuple(
            out.model_copy(
                update={
                    "meaning": values[f"output-{index}-meaning"],
                    **({"per": self._per(values)} if not index else {}),
                }
            )
            for index, out in enumerate(self.before.outputs)
        )
        said = {"task": Task(values["task"]), "classes": values["classes"], "headline": values["headline"]}
        return self.before.model_copy(update={**said, "inputs": inputs, "outputs": outputs})

    def _per(self, values: dict[str, Any]) -> str:
        return str(values["per"] or self.initial["per"])

    def clean_headline(self) -> str:
        name, task = str(self.cleaned_data["headline"]), self.cleaned_data.get("task")
        if name and task not in metrics()[name].about.tasks:
            raise forms.ValidationError(f"{metrics()[name].about.title} is no metric of the task {task}.")
        return name

    def _input(self, index: int, spec: InputSpec, values: dict[str, Any]) -> InputSpec:
        said = {
            name: values[f"input-{index}-{name}"] for name in ("shape", "layout", "channels", "scale", "mean", "std")
        }
        resize = values[f"input-{index}-resize"] or None
        return InputSpec.model_validate({**spec.model_dump(), **said, "resize": resize})


def _written(numbers: tuple[float, ...]) -> str:
    return " ".join(repr(number) for number in numbers)
