"""The share of queries that find the right document among the nearest ten."""

from typing import ClassVar

from workers.contract import Task
from workers.metric import AboutMetric, RecallMetric


class RecallAt10(RecallMetric):
    """The share of queries that find their document among the ten nearest by cosine."""

    k: ClassVar[int] = 10
    name: ClassVar[str] = "recall_at_10"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Recall at 10", unit="share", higher_is_better=True, tasks=frozenset({Task.EMBEDDING}),
        source="Manning et al. 2008, Introduction to Information Retrieval, section 8.4; Wilson 1927, JASA 22:209; "
        "Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip
