"""Pictures seen differently keep what they show, and a teacher answers to what the student sees."""

import numpy as np
import pytest
import torch

from tests.workers.techniques.conftest import CONTRACT, run
from tests.workers.techniques.lessons import classroom, discerning
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.errors import YoursToFix
from workers.training.school import School, Weights
from workers.training.views import VIEWS, View, axes, seen

PICTURES = CONTRACT.model_copy(
    update={"inputs": tuple(spec.model_copy(update={"layout": "CHW"}) for spec in CONTRACT.inputs)}
)


def test_a_shift_moves_every_row_and_repeats_the_edge():
    picture = torch.arange(16.0).reshape(1, 1, 4, 4)

    down = seen(picture, View(down=0.25), (2, 3))

    assert torch.equal(down[0, 0], torch.tensor([[0.0, 1, 2, 3], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]))


def test_a_small_share_of_a_small_side_is_one_pixel():
    picture = torch.arange(4.0).reshape(1, 1, 1, 4)

    assert seen(picture, View(right=-0.04), (2, 3)).flatten().tolist() == [1, 2, 3, 3]


def test_a_mirror_turns_left_and_right_in_either_layout():
    picture = torch.rand(2, 3, 5, 7)

    mirrored = seen(picture, View(mirrored=True), (2, 3))
    channels_last = seen(picture.permute(0, 2, 3, 1), View(mirrored=True), (1, 2)).permute(0, 3, 1, 2)

    assert np.array_equal(mirrored.numpy(), picture.numpy()[..., ::-1])
    assert torch.equal(mirrored, channels_last)


def test_the_teacher_answers_to_what_is_shown(tmp_path):
    model = discerning(8)
    school = School(
        classroom(model, tmp_path, rows=64, contract=PICTURES), Weights(labels=0, teacher=1), model, None,
        VIEWS["shift-and-mirror"],
    )  # fmt: skip

    lesson = school.lesson(torch.arange(64), torch.Generator().manual_seed(3))

    assert school.answers is not None and len(set(lesson.views.tolist())) == len(VIEWS["shift-and-mirror"])
    assert not torch.equal(lesson.inputs[0], school.train.inputs["x"])
    answers = school.answers.to(lesson).numpy()
    assert np.allclose(answers, run(model.proto, lesson.inputs[0].numpy()), atol=1e-5)


def test_without_views_a_lesson_holds_the_rows_as_they_are(tmp_path):
    model = discerning(8)
    school = School(classroom(model, tmp_path, rows=64), Weights(labels=1, teacher=0), model, None)

    lesson = school.lesson(torch.tensor([5, 3]), torch.Generator().manual_seed(3))

    assert torch.equal(lesson.inputs[0], school.train.inputs["x"][[5, 3]])


def test_a_network_that_reads_no_pictures_is_refused_with_what_it_reads():
    contract = Contract(
        task=Task.CLASSIFICATION,
        inputs=(InputSpec(name="x", shape=(9,), layout="vector"),),
        outputs=(OutputSpec(name="y", meaning="logits"),),
    )

    with pytest.raises(YoursToFix, match="vector"):
        axes(contract)
