"""A language model as it writes: one new token after some earlier ones, whose keys and values are kept.

The graph that decodes is derived from the one that was stored (``workers.graph.cache``), and believed only after it
has said of the next token what the stored graph says of it in a whole window.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto

from workers import formats
from workers.contract import Contract, TokenizerSpec
from workers.errors import EngineError, YoursToFix
from workers.evaluation.sessions import Feed, fit_feed, open_session, run
from workers.graph import cache, surgery

LENDER, DERIVED = "model.onnx", "decode.onnx"  # the network is called so in a bundle
PAST_TOKENS = 64
# Length of the difference over that of the scores around their mean. Where activations are rounded by the range of a
# whole window, one token alone is rounded otherwise; a graph that looked at the wrong tokens would be off by 1.
TOLERANCE, ROUNDED_TOLERANCE = 1e-3, 0.2


class DoesNotDecode(YoursToFix):
    code = "model.does-not-decode"

    def __init__(self, found: str) -> None:
        super().__init__(
            f"Expected a language model whose attention can keep keys and values, found {found}.",
            hint="Upload the Hugging Face directory or GGUF file itself, then the conversion prepares it.",
        )


@dataclass(frozen=True)
class Decoder:
    """A file that decodes, one new token with ``past`` earlier ones as its sample, and how far it was off."""

    file: Path
    sample: Feed
    past: int
    apart: float


def decoder(model: Path, sample: Feed, contract: Contract, *, file: Path, threads: int) -> Decoder:
    """Derive the graph that decodes, and compare it with the whole window.

    Args:
        model: an ONNX file that scores the next token at each place of a window.
        sample: a window of tokens with its mask, a batch of one; its tokens are repeated where they are few.
        file: where the result is written, about a megabyte; its folder is made and gets the model as well, as
            ``model.onnx``, of which the result reads the weights.

    Raises:
        DoesNotDecode: if the network has no such attention, wants other inputs, or answers otherwise.
    """
    proto = formats.load(model)
    names, past = _names(proto, contract), _past(contract)
    kept = cache.kept_values(proto.graph)
    if not kept:
        raise DoesNotDecode("none that reads keys and values")
    ids = np.resize(sample[names[0]][sample[names[1]] > 0], past + 1)[None]
    feed = {names[0]: ids, names[1]: np.ones_like(ids)}
    file.parent.mkdir(parents=True, exist_ok=True)
    lender = Path(shutil.copyfile(model, file.with_name(LENDER)))
    formats.borrow(proto, lender)
    expected, *seen = _shown(proto, kept, feed, file, threads)
    if any(value.ndim != 4 for value in seen):
        raise DoesNotDecode("keys without an axis of heads")
    cache.keep(proto.graph, kept, seen)
    formats.save(proto, file)
    one_token = feed | {names[0]: ids[:, past:]}
    one_token |= {one.past: _first(value, past, one.axis) for one, value in zip(kept, seen, strict=True)}
    apart = _apart(expected[0, -1], _last_scores(file, one_token, threads))
    if apart > (ROUNDED_TOLERANCE if surgery.is_quantized(proto) else TOLERANCE):
        raise DoesNotDecode(f"scores {apart:.2g} away from those of a whole window")
    return Decoder(file, one_token, past, apart)


def decoders(
    before: Path, after: Path, sample: Feed, contract: Contract, *, folder: Path, threads: int
) -> tuple[Decoder, Decoder]:
    """What decodes of two networks, which may be one and the same; each in a folder of its own.

    Raises:
        DoesNotDecode: if one of the two does not.
    """
    made = {
        path: decoder(path, sample, contract, file=folder / str(number) / DERIVED, threads=threads)
        for number, path in enumerate(dict.fromkeys((before, after)))
    }
    return made[before], made[after]


def _names(proto: ModelProto, contract: Contract) -> tuple[str, str]:
    """The inputs for token numbers and mask."""
    spec = contract.tokenizer or TokenizerSpec()
    stored = {tensor.name for tensor in proto.graph.initializer}
    wanted = {item.name for item in proto.graph.input} - stored
    if wanted != {spec.ids, spec.mask}:
        raise DoesNotDecode(f"the inputs {', '.join(sorted(wanted))[:120]}")
    return spec.ids, spec.mask


def _past(contract: Contract) -> int:
    """How many earlier tokens: 64, or what the shorter window leaves."""
    longest = contract.tokenizer.max_length if contract.tokenizer else PAST_TOKENS + 1
    return max(1, min(PAST_TOKENS, longest - 1))


def _shown(proto: ModelProto, kept: tuple[cache.Kept, ...], feed: Feed, file: Path, threads: int) -> list[np.ndarray]:
    """The scores of a window, and the keys and values in it. ``file`` is written for it, and may be written again."""
    own = cache.show(proto.graph, kept)
    formats.save(proto, file)
    del proto.graph.output[own:]
    session = open_session(file, threads=threads)
    found = run(session, fit_feed(session, feed))
    by_name = dict(zip((node.name for node in session.get_outputs()), found, strict=True))
    return [found[0], *(by_name[one.value] for one in kept)]


def _first(value: np.ndarray, count: int, axis: int) -> np.ndarray:
    return np.ascontiguousarray(np.take(value, range(count), axis=axis))


def _last_scores(file: Path, sample: Feed, threads: int) -> np.ndarray:
    try:
        session = open_session(file, threads=threads)
        scores: np.ndarray = run(session, fit_feed(session, sample))[0][0, -1]
    except EngineError as fault:
        raise DoesNotDecode(f"one that did not run with them: {fault.message}") from fault
    return scores


def _apart(expected: np.ndarray, found: np.ndarray) -> float:
    expected, found = expected.astype(np.float64), found.astype(np.float64)
    about = expected - expected.mean()
    return float(np.linalg.norm(found - found.mean() - about) / max(float(np.linalg.norm(about)), 1e-12))
