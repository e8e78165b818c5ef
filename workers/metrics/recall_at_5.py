"""The share of queries that find the right document among the nearest five."""

from typing import ClassVar

from workers.contract import Task
from workers.metric import AboutMetric, RecallMetric


class RecallAt5(RecallMetric):
    """The share of queries that find their document among the five nearest by cosine."""

    k: ClassVar[int] = 5
    name: ClassVar[str] = "recall_at_5"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Recall at 5", unit="share", higher_is_better=True, tasks=frozenset({Task.EMBEDDING}),
        source="Manning et al. 2008, Introduction to Information Retrieval, section 8.4; Wilson 1927, JASA 22:209; "
        "Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip
