"""Says in our words what ONNX Runtime said in its own: whose fault it is, which operator, what helps."""

import re
from dataclasses import dataclass

from workers.errors import EngineError, OursToFix, YoursToFix

MOST_QUOTED = 300
OPERATOR = (
    re.compile(r"[Nn]ode, \(\"[^\"]*\", (?P<op>\w+)"),
    re.compile(r"No Op registered for (?P<op>[\w.:]+)"),
    re.compile(r"(?P<op>[\w.:]+)\(-?\d+\) is not a registered function/op"),
    re.compile(r"implementation for (?P<op>[\w.:]+)\(\d+\)"),
    re.compile(r"running (?P<op>[\w.:]+) node"),
    re.compile(r"(?:Optype|operator|Op) \((?P<op>[\w.:]+)\)"),
)
CLUTTER = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |(?:/\S+|\w+)\.(?:cc|h):\d+ [^()]*\([^()]*\)(?: const)? ?")


@dataclass(frozen=True)
class Refusal:
    """One way the runtime refuses: known by ``signs`` in the name or text of its exception."""

    signs: tuple[str, ...]
    fault: type[EngineError]
    code: str
    expected: str
    hint: str

    def matches(self, words: str) -> bool:
        return any(sign in words for sign in self.signs)


REFUSALS = (
    Refusal(
        ("Failed to allocate memory", "bad_alloc", "MemoryError:"),
        OursToFix,
        "runtime.out-of-memory",
        "Expected enough memory for the network",
        "Choose a host with more memory, or a smaller batch.",
    ),
    Refusal(
        (
            "is not a registered function/op",
            "No Op registered for",
            "Could not find an implementation",
            "NotImplemented:",
        ),
        YoursToFix,
        "model.unsupported-operator",
        "Expected operators that ONNX Runtime has",
        "Export with standard ONNX operators, or with another opset.",
    ),
    Refusal(
        ("Unsupported model IR version", "is under development"),
        YoursToFix,
        "model.too-new",
        "Expected an ONNX version that this runtime knows",
        "Export with an earlier opset.",
    ),
    Refusal(
        ("Invalid rank for input", "Got invalid dimensions", "Unexpected input data type", "Required inputs"),
        YoursToFix,
        "data.does-not-fit",
        "Expected samples shaped as the network's input",
        "Correct shape, layout or type in the input contract.",
    ),
    Refusal(
        ("External data path",),
        YoursToFix,
        "model.external-data-missing",
        "Expected the network's external data beside it",
        "Upload both files in one zip, or save the network as a single file.",
    ),
    Refusal(
        ("InvalidProtobuf:", "NoModel:", "No graph was found"),
        YoursToFix,
        "model.unreadable",
        "Expected an ONNX file",
        "Export the network again as ONNX.",
    ),
    Refusal(
        ("NoSuchFile:",),
        OursToFix,
        "model.file-missing",
        "Expected the network's file",
        "Upload it again.",
    ),
    Refusal(
        ("while running",),
        YoursToFix,
        "model.does-not-run",
        "Expected a network that runs on these samples",
        "Check the shapes inside the network; a batch size written into a Reshape is the usual cause.",
    ),
    Refusal(
        ("InvalidGraph:", "InvalidArgument:", "Fail:"),
        YoursToFix,
        "model.invalid",
        "Expected a valid network",
        "Check the export with onnx.checker, then export again.",
    ),
)
UNKNOWN = Refusal(
    (),
    OursToFix,
    "runtime.failed",
    "Expected the runtime to work",
    "Try again; if it stays, report the network.",
)


def refusal(error: Exception) -> EngineError:
    """The engine's error for an exception of ONNX Runtime; one of our own is handed back as it is."""
    if isinstance(error, EngineError):
        return error
    said = " ".join(str(error).split())
    words = f"{type(error).__name__}: {said}"
    known = next((rule for rule in REFUSALS if rule.matches(words)), UNKNOWN)
    operator = operator_in(said)
    found = f"{operator}: {quoted(said)}" if operator else quoted(said)
    return known.fault(f"{known.expected}, found: {found}", hint=known.hint, code=known.code)


def operator_in(said: str) -> str:
    """The operator the runtime names, or nothing."""
    return next((match["op"] for pattern in OPERATOR if (match := pattern.search(said))), "")


def quoted(said: str) -> str:
    """The runtime's own words, without its codes and C++ source positions, at most 300 characters."""
    plain = CLUTTER.sub("", said).strip()
    return plain if len(plain) <= MOST_QUOTED else plain[: MOST_QUOTED - 1] + "…"
