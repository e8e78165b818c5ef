"""The verdict: faster, smaller only, slower, or no gain, with its reasons in plain sentences.

"Smaller" is not "faster". Per batch size a network is *faster* if the whole 95 % interval of its
speed-up lies above 1.05, *slower* if it lies below 0.95, else *not faster*. The one word is for the
device's usual batch size; a file at least 5 % smaller is *smaller only* if it is neither. A host on
which the baseline differs from itself by more than 5 % gets no word.
"""

from workers.evaluation.latency import LatencyStudy
from workers.report import BatchWord, Ratio, Verdict, VerdictWord

FASTER_ABOVE = 1.05
SLOWER_BELOW = 0.95
SMALLER_BY = 0.05


def verdict(
    study: LatencyStudy, *, baseline_bytes: int, result_bytes: int, baseline_zip: int, result_zip: int, usual_batch: int
) -> Verdict:
    """Judge a result from its timings and sizes alone.

    Args:
        study: both networks, timed in turn.
        baseline_bytes, result_bytes: sizes of the files.
        baseline_zip, result_zip: sizes of the compressed files.
        usual_batch: the batch size the device usually serves; where not measured, the nearest below that was.
    """
    words = {key: None if key in study.noisy else batch_word(ratio) for key, ratio in study.speedup.items()}
    usual = _usual_key(study, usual_batch)
    saved, shipped = 1 - result_bytes / baseline_bytes, 1 - result_zip / baseline_zip
    timing = [_about_batch(key, study, words[key]) for key in sorted(words, key=lambda key: (key != usual, int(key)))]
    return Verdict(
        word=_word(words[usual], saved),
        batches=words,
        reasons=(*timing, *_about_size(saved, shipped, words[usual])),
    )


def batch_word(speedup: Ratio) -> BatchWord:
    """Only an interval that is wholly on one side says more than *not faster*."""
    if speedup.low > FASTER_ABOVE:
        return "faster"
    return "slower" if speedup.high < SLOWER_BELOW else "not-faster"


def _word(usual: BatchWord | None, saved: float) -> VerdictWord | None:
    if usual is None or usual == "faster" or usual == "slower":
        return usual
    return "smaller-only" if saved >= SMALLER_BY else "no-gain"


def _usual_key(study: LatencyStudy, usual_batch: int) -> str:
    sizes = sorted(map(int, study.speedup))
    return str(max((size for size in sizes if size <= usual_batch), default=sizes[0]))


def _about_batch(key: str, study: LatencyStudy, word: BatchWord | None) -> str:
    if word is None:
        return (
            f"This host is too noisy to judge batch {key}: the baseline timed against itself gave "
            f"{study.noise[key]:.2f} instead of 1.00 in the last of {study.attempts[key]} attempts. "
            "Measure again when the host is quieter."
        )
    ratio = study.speedup[key]
    said = (
        f"At batch {key} it runs {ratio.value:.2f}× as fast as the baseline "
        f"(95 % interval {ratio.low:.2f} to {ratio.high:.2f})"
    )
    return f"{said}{_meaning(word, ratio)}."


def _meaning(word: BatchWord, ratio: Ratio) -> str:
    if word != "not-faster":
        return ", beyond the 5 % that counts" if word == "faster" else ": slower, beyond the 5 % that counts"
    if ratio.high > FASTER_ABOVE and ratio.low < SLOWER_BELOW:
        return ": the interval is too wide to say more"
    if ratio.high > FASTER_ABOVE:
        return f": not shown to be faster, as the interval begins below {FASTER_ABOVE}"
    if ratio.low < SLOWER_BELOW:
        return f": not shown to be slower, as the interval ends above {SLOWER_BELOW}"
    return ", the same within 5 %"


def _about_size(saved: float, shipped: float, usual: BatchWord | None) -> tuple[str, ...]:
    if saved >= SMALLER_BY:
        also = " all the same" if usual == "slower" else ""
        return (f"The file is {saved:.1%} smaller{also}.".replace("%", " %"),)
    if shipped >= SMALLER_BY:
        return (
            f"Smaller to ship: compressed, the file is {shipped:.1%} smaller, but as it is used it is not.".replace(
                "%", " %"
            ),
        )
    if saved <= -SMALLER_BY:
        return (f"The file is {-saved:.1%} larger.".replace("%", " %"),)
    return ("The file is not smaller by the 5 % that counts.",)
