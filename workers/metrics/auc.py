"""How well scores order answers of a class before all others: the area under the ROC curve."""

from typing import ClassVar

from workers.contract import Task
from workers.metric import AboutMetric, RankingMetric
from workers.numerics.rank_curves import Flags, Floats, auc


class Auc(RankingMetric):
    """The area under the ROC curve: of class 1 of two, or the mean over all classes, each against the rest.

    It does not depend on a threshold or on how rare a class is. Variances are DeLong's; where each frame or pixel has
    an answer they are Obuchowski's, over samples. Measured for up to 20 million scores, answers times classes.
    """

    name: ClassVar[str] = "auc"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="AUC",
        unit="share",
        higher_is_better=True,
        tasks=frozenset({Task.CLASSIFICATION}),
        source="Hanley and McNeil 1982, Radiology 143:29; DeLong et al. 1988, Biometrics 44:837; "
        "Obuchowski 1997, Biometrics 53:567",
    )

    @staticmethod
    def curve(scores: Floats, positive: Flags) -> tuple[float, Floats]:
        return auc(scores, positive)
