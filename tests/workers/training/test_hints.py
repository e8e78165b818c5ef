"""Hints pair the layers that see the same, move the student towards its teacher, and leave no trace in it."""

import torch

from tests.workers.techniques.lessons import classroom, discerning
from tests.workers.techniques.transformers import bench_for, bert
from workers.facts import Role
from workers.graph.fx import to_onnx, to_torch
from workers.training import hints, samples


def rows_of(model, folder):
    bench = classroom(model, folder, rows=128)
    return samples.read(bench, Role.TRAIN)


def test_layers_of_a_copy_match_themselves(tmp_path):
    model = discerning(8)

    found = hints.matched(to_torch(model.proto), to_torch(model.proto), rows_of(model, tmp_path), ["x"])

    assert found and all(hint.student == hint.teacher and hint.alignment > 0.999 for hint in found)


def test_layers_match_in_a_network_of_other_names_and_widths(tmp_path):
    model = discerning(16)
    teacher = to_torch(model.proto)
    torch.manual_seed(0)
    body = torch.nn.Conv2d(3, 5, 3, padding=1)
    student = torch.fx.symbolic_trace(
        torch.nn.Sequential(body, torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Conv2d(5, 5, 3, padding=1))
    )

    found = hints.matched(teacher, student, rows_of(model, tmp_path), ["x"])

    assert found
    sizes = {node.name: place for place, node in enumerate(teacher.graph.nodes)}
    assert [sizes[hint.teacher] for hint in found] == sorted(sizes[hint.teacher] for hint in found)
    assert all(0.3 <= hint.alignment <= 1 for hint in found)


def test_the_distance_falls_in_training_and_the_adapters_stay_behind(tmp_path):
    model = bert()
    teacher, student = to_torch(model.proto), to_torch(model.proto)
    train = samples.read(bench_for(model, tmp_path, rows=64), Role.TRAIN)
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    found = hints.matched(teacher, student, train, ["in0", "in1"])
    inputs = train.pick(torch.arange(32), ["in0", "in1"])
    before = {name: value.clone() for name, value in teacher.state_dict().items()}

    inside = hints.Hints(teacher, student, found, weight=2.0, example=inputs, seed=0)
    optimizer = torch.optim.Adam(inside.student.parameters(), lr=0.01)
    distances = []
    for _ in range(30):
        optimizer.zero_grad()
        distance = inside.distance(inside.student(*inputs), inputs)
        distance.backward()
        optimizer.step()
        distances.append(float(distance))

    assert distances[-1] < 0.5 * distances[0]
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    assert not any("adapter" in tensor.name for tensor in to_onnx(student, like=model.proto).graph.initializer)
    assert torch.equal(student(*inputs), inside.student(*inputs)[0])
