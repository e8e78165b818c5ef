"""Which techniques fit a network, and why not the others."""

from dataclasses import dataclass

from compressionhub.library.hosts import job_host
from compressionhub.library.models import Dataset, ModelVersion
from compressionhub.ui.words import Word
from workers.recipe import techniques, unmet_needs
from workers.technique import Fit, FitWord, Technique, can_be_taken_apart

WORDS: dict[FitWord, Word] = {
    "fits": Word("fits", "check", "ok"),
    "little-gain": Word("little gain", "minus", ""),
    "slower-here": Word("slower here", "arrow-down-right", "no"),
    "smaller-only": Word("smaller only", "package", "mid"),
    "does-not-fit": Word("does not fit", "x", ""),
}
ORDER: tuple[FitWord, ...] = tuple(WORDS)


@dataclass(frozen=True)
class Row:
    """One technique as this version meets it."""

    technique: Technique
    fit: Fit

    @property
    def word(self) -> Word:
        return WORDS[self.fit.word]

    @property
    def is_offered(self) -> bool:
        return self.fit.word != "does-not-fit"

    @property
    def can_be_asked(self) -> bool:
        """Whether its layers can be measured one by one."""
        return can_be_taken_apart(type(self.technique))


def rows(version: ModelVersion, dataset: Dataset | None) -> list[Row]:
    """Every technique with its defaults, those that fit first; none before the version is verified."""
    facts = version.facts
    if facts is None:
        return []
    data = dataset.facts if dataset else None
    here = job_host()
    judged = []
    for kind in techniques().values():
        technique = kind.model_validate({})
        lacks = unmet_needs(technique, data)
        fit = Fit(word="does-not-fit", reason=f"Needs {lacks}.") if lacks else technique.fits(facts, data, here)
        judged.append(Row(technique, fit))
    return sorted(judged, key=lambda row: ORDER.index(row.fit.word))
