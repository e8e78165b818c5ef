"""The share of queries whose nearest document is the right one."""

from typing import ClassVar

from workers.contract import Task
from workers.metric import AboutMetric, RecallMetric


class RecallAt1(RecallMetric):
    """The share of queries that find their document first by cosine."""

    k: ClassVar[int] = 1
    name: ClassVar[str] = "recall_at_1"
    about: ClassVar[AboutMetric] = AboutMetric(
        title="Recall at 1", unit="share", higher_is_better=True, tasks=frozenset({Task.EMBEDDING}),
        source="Manning et al. 2008, Introduction to Information Retrieval, section 8.4; Wilson 1927, JASA 22:209; "
        "Tango 1998, Stat. Med. 17:891",
    )  # fmt: skip
