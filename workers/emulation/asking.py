"""How a question to the predictor arrives: as JSON from outside, or from the facts of a network."""

from pydantic import ValidationError

from workers.emulation.layers import Layer
from workers.emulation.predictor import Ask
from workers.errors import YoursToFix
from workers.facts import ModelFacts


def read_ask(text: bytes | str) -> Ask:
    """Read ``{"layers": [{"kind", "macs", "weights", "act_in", "act_out"}, …], "host": {"device", "p50_ms"}}``.

    Raises:
        YoursToFix: naming the first place that is not as expected.
    """
    try:
        return Ask.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the text"
        raise YoursToFix(
            f'Expected {{"layers": [...]}} as JSON, found {where}: {first["msg"]}.',
            hint="A layer has kind, macs, weights, act_in and act_out; host has device and p50_ms.",
            code="predict.facts",
        ) from None


def ask_about(facts: ModelFacts) -> Ask:
    """The question for a network that was inspected.

    Raises:
        YoursToFix: if its layers could not be told apart, or were not when it was inspected.
    """
    if not facts.work:
        raise YoursToFix(
            "Expected the network's work by kind of layer, found none.",
            hint="Inspect the network again.",
            code="predict.no-layers",
        )
    layers = tuple(Layer.model_validate(row.model_dump()) for row in facts.work)
    return Ask(layers=layers, precision="int8" if facts.quantized else "float32")
