"""The card of what changed, against sentences written by hand."""

import pytest

from compressionhub.jobs.changed import SURE_FROM, described
from tests.compressionhub.jobs.conftest import changes
from workers.contract import Contract, OutputSpec, Task
from workers.report import ChangedSample, ClassShift

MINUS = "\u2212"


def contract(task: Task = Task.CLASSIFICATION) -> Contract:
    return Contract(task=task, inputs=(), outputs=(OutputSpec(name="y"),))


def test_a_labelled_result_says_what_broke_what_was_mended_and_which_class_lost_most():
    card = described(changes(), contract())

    assert [figure.value for figure in card.figures] == ["99.00 %", "3", "1", f"{MINUS}6.0 points"]
    assert card.figures[3].text == "worst class: three, 3 of 50 fewer right; too few to be sure"
    assert [row.word for row in card.rows] == ["now wrong", "now right", "still wrong"]
    assert card.headline == "4 of 400 test answers, 3 rows listed"


def test_a_class_that_lost_enough_answers_is_not_called_unsure():
    lost = ClassShift(name="three", before=1.0, after=1 - SURE_FROM / 50, n=50)

    assert "too few" not in described(changes(classes=(lost,)), contract()).figures[3].text


def test_without_labels_it_says_how_far_outputs_moved_and_which_class_is_named_more():
    samples = (ChangedSample(row=1, before="three", after="four"),)
    shifts = (
        ClassShift(name="four", before=0.1, after=0.15, n=400),
        ClassShift(name="three", before=0.1, after=0.08, n=400),
    )

    card = described(changes(broken=None, fixed=None, samples=samples, classes=shifts), contract())

    assert [figure.value for figure in card.figures] == ["99.00 %", "5.00 %", "+5.0 points"]
    assert card.figures[2].text.startswith("four is named more often")
    assert card.rows[0].word == "" and not card.labelled


def test_every_class_is_there_the_largest_loss_first():
    shifts = (
        ClassShift(name="four", before=0.9, after=0.95, n=40),
        ClassShift(name="three", before=1.0, after=0.8, n=20),
    )

    card = described(changes(classes=shifts), contract())

    assert [(row.name, row.before, row.after, row.change, row.n) for row in card.classes] == [
        ("three", "100.00 %", "80.00 %", f"{MINUS}20.0 points", "20"),
        ("four", "90.00 %", "95.00 %", "+5.0 points", "40"),
    ]
    assert card.share == "right answers"
    assert described(changes(broken=None, fixed=None), contract()).share == "answers that name it"


@pytest.mark.parametrize("task", list(Task))
def test_there_are_words_for_every_task(task):
    card = described(changes(broken=None, fixed=None, classes=()), contract(task))

    assert len(card.figures) == 2 and all(figure.text for figure in card.figures)


def test_beyond_eight_rows_the_rest_waits_behind_a_click():
    samples = tuple(ChangedSample(row=row, before="1.2", after="1.4") for row in range(30))

    card = described(changes(broken=None, fixed=None, samples=samples, classes=()), contract(Task.REGRESSION))

    assert len(card.rows) == 8 and len(card.more) == 22
    assert "within 5 % of the spread" in card.figures[0].text


def test_queries_are_said_to_be_found_or_not_with_the_text_of_each():
    sample = ChangedSample(
        row=7, before="its document comes first", after="its document comes at place 3", text="a cat"
    )

    card = described(changes(samples=(sample,), classes=()), contract(Task.EMBEDDING))

    assert [figure.text for figure in card.figures[1:]] == [
        "found first before, not now",
        "not before, found first now",
    ]
    assert card.figures[0].text.startswith("document at the same place")
    assert (card.rows[0].text, card.rows[0].word) == ("a cat", "")
