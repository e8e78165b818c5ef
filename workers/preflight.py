"""What a job will take and probably give, from the facts alone, before anything runs."""

from collections.abc import Mapping
from types import MappingProxyType

from workers.device import DeviceProfile
from workers.errors import Frozen
from workers.facts import DatasetFacts, ModelFacts, Role, Span
from workers.recipe import Recipe, unmet_needs
from workers.technique import Fit, Forecast

# Measured with ONNX Runtime 1.31 on one AVX512 core in float32: 55 to 89 GMAC/s for 3x3 convolutions and products at
# batch 32, 6 for a product at batch 1 that waits for memory. The middle allows for hosts without AVX512.
MACS_PER_SECOND = Span(value=30e9, low=5e9, high=90e9)
START_SECONDS = Span(value=2.0, low=1.0, high=6.0)
# A/A, interleaved rounds at two batch sizes, service time and memory; bounded by the time budget of the study.
MEASURE_SECONDS = Span(value=12.0, low=5.0, high=45.0)
# Two processes under the device's memory, and the answers of a few rows under QEMU where the worker can.
ELSEWHERE_SECONDS = Span(value=12.0, low=4.0, high=90.0)
BASE_MEMORY_BYTES = 300 << 20


class StepOutlook(Frozen):
    """One step before it runs: does it fit, what is missing, what will it take."""

    technique: str
    fit: Fit
    missing: str
    forecast: Forecast


class Preflight(Frozen):
    """The outlook of a whole job. Seconds of wall clock, bytes of peak memory, disk and final file."""

    seconds: Span
    memory_bytes: Span
    disk_bytes: Span
    size_bytes: Span
    steps: tuple[StepOutlook, ...]
    refused: str = ""


def preflight(
    recipe: Recipe,
    model: ModelFacts,
    data: DatasetFacts | None,
    device: DeviceProfile,
    *,
    memory_bytes: int,
    disk_bytes: int,
    others: Mapping[str, ModelFacts] = MappingProxyType({}),
) -> Preflight:
    """Forecast every step on the network the previous one leaves.

    Args:
        others: what is known of the networks that steps go on with, by the recipe's names.
        memory_bytes, disk_bytes: what the worker may use; a job that needs more at the low end of its range is refused.
    """
    steps, facts = [], model
    for technique in recipe.steps:
        other = others.get(technique.other_model)
        forecast = technique.forecast_with(facts, other) if other else technique.forecast(facts)
        facts = other or facts
        steps.append(
            StepOutlook(
                technique=technique.technique,
                fit=technique.fits(facts, data, device),
                missing=unmet_needs(technique, data),
                forecast=forecast,
            )
        )
        facts = facts.model_copy(update={"size_bytes": round(forecast.size_bytes.value)})
    evaluations = _evaluation_seconds(model, data, len(recipe.steps))
    tried = [] if device.kind == "host" else [ELSEWHERE_SECONDS]
    seconds = _add([START_SECONDS, MEASURE_SECONDS, evaluations, *tried, *(step.forecast.seconds for step in steps)])
    memory = _most([step.forecast.memory_bytes for step in steps], floor=BASE_MEMORY_BYTES + 4 * model.size_bytes)
    disk = _disk([model, *others.values()], data, steps)
    return Preflight(
        seconds=seconds,
        memory_bytes=memory,
        disk_bytes=disk,
        size_bytes=steps[-1].forecast.size_bytes,
        steps=tuple(steps),
        refused=_refusal(memory, disk, memory_bytes, disk_bytes, recipe, [one.forecast for one in steps]),
    )


def _evaluation_seconds(model: ModelFacts, data: DatasetFacts | None, steps: int) -> Span:
    rows = {role: facts.rows for role, facts in data.roles.items()} if data else {}
    samples = rows.get(Role.VALIDATION, 0) * (steps + 2) + rows.get(Role.TEST, 0) * 2
    work = samples * max(model.macs, 100_000)
    return Span(value=work / MACS_PER_SECOND.value, low=work / MACS_PER_SECOND.high, high=work / MACS_PER_SECOND.low)


def _disk(models: list[ModelFacts], data: DatasetFacts | None, steps: list[StepOutlook]) -> Span:
    inputs = sum(model.size_bytes for model in models) + (data.size_bytes if data else 0)
    sizes = [step.forecast.size_bytes for step in steps]
    return _add([Span(value=inputs, low=inputs, high=inputs), *(_times(size, 2) for size in sizes)])


def _refusal(
    memory: Span, disk: Span, memory_bytes: int, disk_bytes: int, recipe: Recipe, steps: list[Forecast]
) -> str:
    """What is too little, and what would be enough; empty where the job may run."""
    if memory.low > memory_bytes:
        heaviest = max(range(len(steps)), key=lambda place: steps[place].memory_bytes.low)
        alone = steps[heaviest].memory_bytes.low >= memory.low
        why = f" for step {heaviest + 1}, {recipe.steps[heaviest].about.title}" if alone else ""
        return (
            f"Needs at least {memory.low / 2**30:.1f} GiB of memory{why}; "
            f"the worker has {memory_bytes / 2**30:.1f} GiB. "
            f"{'Leave that step out, or run' if alone and len(steps) > 1 else 'Run'} it on a worker with "
            f"{memory.value / 2**30:.1f} GiB."
        )
    if disk.low > disk_bytes:
        return (
            f"Needs at least {disk.low / 2**30:.1f} GiB of disk; the worker may use {disk_bytes / 2**30:.1f} GiB. "
            f"Free some, or run it on a worker with {disk.value / 2**30:.1f} GiB."
        )
    return ""


def _add(spans: list[Span]) -> Span:
    return Span(value=sum(s.value for s in spans), low=sum(s.low for s in spans), high=sum(s.high for s in spans))


def _times(span: Span, factor: float) -> Span:
    return Span(value=span.value * factor, low=span.low * factor, high=span.high * factor)


def _most(spans: list[Span], *, floor: float) -> Span:
    return Span(
        value=max([floor, *(s.value for s in spans)]),
        low=max([floor / 2, *(s.low for s in spans)]),
        high=max([floor * 1.5, *(s.high for s in spans)]),
    )
