"""What the pages of models and datasets say in words."""

from __future__ import annotations

from compressionhub.library.hosts import job_host
from compressionhub.library.lineage import Tree
from compressionhub.library.models import Dataset, ModelVersion, TrainedModel
from compressionhub.library.roles import ORDER
from compressionhub.ui.units import clock, count, file_size, milliseconds, short_number, timed, tokens_per_second
from workers.contract import Task
from workers.facts import DatasetFacts, ModelFacts
from workers.report import Interval, Measured


def of_model(model: TrainedModel, version: ModelVersion | None) -> str:
    """The sentence under a model's name: what it is, and who brought it when."""
    if version is None:
        return model.description or "Nothing has been uploaded yet."
    by = f"uploaded by {version.uploaded_by}" if version.uploaded_by else "made by a job"
    came = f"Version {version.number}, {by}, {clock(version.created_at)}{_state(version)}."
    return " ".join(part for part in (model.description or _what(version), came) if part)


def _state(version: ModelVersion) -> str:
    if version.is_ready:
        return ", verified in the sandbox"
    return ", being verified" if version.is_verifying else ", refused"


def _what(version: ModelVersion) -> str:
    facts, contract = version.facts, version.contract
    if facts is None or contract is None:
        return ""
    tasks = {
        Task.CLASSIFICATION: f"names one of {len(contract.classes)} classes" if contract.classes else "names classes",
        Task.REGRESSION: "predicts a number",
        Task.EMBEDDING: "makes embeddings",
        Task.CAUSAL_LM: "foretells the next token",
    }
    does = tasks.get(contract.task)
    return f"A network of {short_number(facts.params)} parameters{f' that {does}' if does else ''}."


def of_dataset(dataset: Dataset) -> str:
    """The sentence under a dataset's name: what is in it."""
    facts = dataset.facts
    if facts is None or dataset.is_verifying:
        return dataset.description
    rows = ", ".join(f"{count(facts.roles[role].rows)} {role}" for role in ORDER if role in facts.roles)
    return " ".join(part for part in (dataset.description, f"{_target(facts)} Rows: {rows}.") if part)


def _target(facts: DatasetFacts) -> str:
    if facts.target.kind == "class":
        return f"Samples of {len(facts.target.classes)} classes."
    if facts.target.kind == "number":
        return "A number to predict."
    return {
        "texts": "Text for a language model to foretell.",
        "pairs": "Queries, each with the document to find.",
        "": "No labels: a result is held against the answers of its original, not against the truth.",
    }[_own_target(facts)]


def unlabelled_target(facts: DatasetFacts) -> str:
    """What stands for the target where no labels do."""
    return {"texts": "the next token", "pairs": "the document of each query", "": "none"}[_own_target(facts)]


def _own_target(facts: DatasetFacts) -> str:
    """Texts without labels can be their own target; the only two of a row are a query and its document."""
    texts = sum(each.dtype == "text" for each in facts.inputs)
    return ("", "texts", "pairs")[min(texts, 2)]


def interval(measured: Interval) -> str:
    """A share's 95 % interval with the rows behind it: ``91.29 to 92.36, n = 10,000``."""
    return f"{measured.low * 100:.2f} to {measured.high * 100:.2f}, n = {count(measured.n)}"


def tiles(version: ModelVersion, facts: ModelFacts) -> dict[str, str]:
    """The small lines of a version's tiles."""
    first = facts.inputs[0].shape if facts.inputs else ()
    said = {
        "tiles_grid": tiles_grid(version),
        "zip_rng": f"{file_size(facts.zip_bytes)} zipped",
        "weights_rng": ", ".join(facts.weight_bytes) or "no weights",
        "macs_value": short_number(facts.macs, si=True),
        "input_rng": f"input {' × '.join(str(axis) for axis in first)}" if first else "",
    }
    if (tried := version.tried) is not None:
        said["tried_rng"] = interval(tried.measured)
    if (measured := version.measured) is not None:
        said |= _latency(measured)
        if "accuracy" in measured.metrics:
            said["measured_rng"] = interval(measured.metrics["accuracy"])
    return said


def tiles_grid(version: ModelVersion) -> str:
    """Three tiles for every version, one more for accuracy and one for latency where they were measured."""
    measured, tried = version.measured, version.tried
    knows_accuracy = (measured and "accuracy" in measured.metrics) or (tried and tried.metric == "accuracy")
    return f"g{3 + bool(knows_accuracy) + bool(measured and measured.latency)}"


def _latency(measured: Measured) -> dict[str, str]:
    one = measured.latency.get("1")
    if one is None:
        return {}
    rate = "" if measured.past_tokens is None else f", {tokens_per_second(one.p50_ms)}"
    return {
        "latency_label": timed("1", measured.past_tokens),
        "latency_value": milliseconds(one.p50_ms),
        "latency_rng": f"p95 {milliseconds(one.p95_ms)}{rate}",
    }


def layers(facts: ModelFacts, bars: int) -> dict[str, str]:
    """Heading and spoken label of the chart per layer."""
    working = sum(1 for layer in facts.layers if layer.params or layer.macs)
    end = (
        f"{bars} layers in graph order"
        if bars == working
        else f"the {bars} heaviest of {working} layers, in graph order"
    )
    return {"layers_end": end, "chart_label": f"Bars per layer, {end}: parameters and multiply-accumulates"}


def techniques(dataset: Dataset | None) -> str:
    """What the techniques were judged against."""
    with_data = f"the data {dataset}" if dataset else "no data (none is ready)"
    return f"judged for {with_data} and {job_host().title}"


def lineage(tree: Tree) -> str:
    listed = sum(1 for one in tree.placed if one.node.kind in ("listed", "chosen"))
    return f"{tree.variants} made from it, {listed} listed in the zoo"


def contract(version: ModelVersion) -> str:
    """How far the contract is."""
    if version.is_confirmed:
        return "confirmed"
    return "tried, to be confirmed" if version.tried_json else "guessed, to be tried and confirmed"
