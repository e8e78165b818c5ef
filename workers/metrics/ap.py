"""How pure the answers are that score highest: average precision, for classes that are rare."""

from typing import ClassVar

from workers.contract import Task
from workers.metric import AboutMetric, RankingMetric
from workers.numerics.rank_curves import Flags, Floats, average_precision


class Ap(RankingMetric):
    """The mean precision at each positive answer: of class 1 of two, or the mean over classes, each against the rest.

    The figure to look at where positives are rare: always saying no has a high accuracy and an average precision
    equal to the share of positives. Measured for up to 20 million scores, answers times classes.
    """

    name: ClassVar[str] = "ap"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Average precision",
        unit="share",
        higher_is_better=True,
        tasks=frozenset({Task.CLASSIFICATION}),
        source="Boyd et al. 2013, ECML PKDD, LNCS 8190:451 (log-odds interval); "
        "Efron 1981, Biometrika 68:589 (influences)",
    )

    @staticmethod
    def curve(scores: Floats, positive: Flags) -> tuple[float, Floats]:
        return average_precision(scores, positive)
