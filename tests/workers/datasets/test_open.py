"""Every accepted kind of dataset, opened under a contract and read back."""

import base64
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from tests.material import blobs, write_zip
from workers import datasets
from workers.contract import Contract, InputSpec, OutputSpec, Task
from workers.errors import YoursToFix
from workers.facts import Role
from workers.ticket import DataOptions


def contract(*specs, task=Task.CLASSIFICATION, classes=()):
    return Contract(task=task, inputs=specs, outputs=(OutputSpec(name="y"),), classes=classes)


def opened(path, under, *, target="", seed=0):
    return datasets.open_data(path, options=DataOptions(target=target), contract=under, seed=seed)


def everything(data, role):
    """All inputs, labels and rows of a role, in the order of the rows."""
    batches = list(data.batches(role, size=7))
    rows = np.concatenate([batch.rows for batch in batches])
    order = np.argsort(rows)
    inputs = {name: np.concatenate([batch.inputs[name] for batch in batches])[order] for name in batches[0].inputs}
    labels = None if batches[0].labels is None else np.concatenate([batch.labels for batch in batches])[order]
    return inputs, labels, rows[order]


VECTOR = InputSpec(name="in", shape=(64,), layout="vector")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_saved(save, tmp_path):
    x, y = blobs(300)
    save(tmp_path / "d.npz", x_train=x[:200], y_train=y[:200], x_test=x[200:], y_test=y[200:])

    inputs, labels, rows = everything(opened(tmp_path / "d.npz", contract(VECTOR)), Role.TEST)

    assert np.array_equal(inputs["in"], x[200:])
    assert np.array_equal(labels, y[200:])
    assert rows.tolist() == list(range(200, 300))


def test_stored_arrays_are_mapped_and_not_read(tmp_path):
    x, y = blobs(300)
    np.savez(tmp_path / "d.npz", x_test=np.asfortranarray(x), y_test=y)

    data = opened(tmp_path / "d.npz", contract(VECTOR))

    assert isinstance(data.raw.inputs["x"].parts[0], np.memmap)
    assert np.array_equal(everything(data, Role.TEST)[0]["in"], x)


def test_several_inputs_are_fed_by_their_names(tmp_path):
    x, y = blobs(40)
    np.savez(tmp_path / "d.npz", x_test__a=x, x_test__mask=x[:, :3] > 0, y_test=y)
    specs = (InputSpec(name="mask", dtype="bool", shape=(3,)), InputSpec(name="a", shape=(64,)))

    inputs, _, _ = everything(opened(tmp_path / "d.npz", contract(*specs)), Role.TEST)

    assert np.array_equal(inputs["a"], x)
    assert np.array_equal(inputs["mask"], x[:, :3] > 0)
    with pytest.raises(YoursToFix) as caught:
        opened(tmp_path / "d.npz", contract(VECTOR))
    assert caught.value.code == "data.input-missing"


def test_a_shape_that_does_not_fit_is_said_on_opening(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=blobs(40)[0], y_test=blobs(40)[1])

    with pytest.raises(YoursToFix) as caught:
        opened(tmp_path / "d.npz", contract(InputSpec(name="in", shape=(3, 32, 32), layout="CHW")))

    assert caught.value.code == "data.shape"


@pytest.mark.parametrize(
    ("labels", "kind", "classes"),
    [
        (np.arange(60) % 3, "class", ("0", "1", "2")),
        (np.array(["b", "a", "c"] * 20), "class", ("a", "b", "c")),
        (np.array(["10", "9", "2"] * 20), "class", ("2", "9", "10")),
        (np.array([b"b", b"a"] * 30), "class", ("a", "b")),
        (np.eye(3)[np.arange(60) % 3], "class", ("0", "1", "2")),
        ((np.arange(60) % 2).astype(bool), "class", ("0", "1")),
        ((np.arange(60) % 2).astype(np.float32)[:, None], "class", ("0", "1")),
        (np.linspace(0, 1, 60), "number", ()),
        (np.arange(60) * 1000, "number", ()),
    ],
)
def test_the_kind_of_label_is_recognised(labels, kind, classes, tmp_path):
    np.savez(tmp_path / "d.npz", x_test=blobs(60)[0], y_test=labels)

    target = datasets.inspect(tmp_path / "d.npz", options=DataOptions()).target

    assert (target.kind, target.classes) == (kind, classes)


def test_named_classes_count_in_the_networks_order(tmp_path):
    labels = np.array(["cat", "dog", "ant"] * 20)
    np.savez(tmp_path / "d.npz", x_test=blobs(60)[0], y_test=labels)

    data = opened(tmp_path / "d.npz", contract(VECTOR, classes=("dog", "cat", "ant", "bee")))

    assert everything(data, Role.TEST)[1][:3].tolist() == [1, 0, 2]
    with pytest.raises(YoursToFix) as caught:
        opened(tmp_path / "d.npz", contract(VECTOR, classes=("dog", "cat")))
    assert caught.value.code == "data.classes-differ"


def test_class_numbers_beyond_the_networks_classes_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=blobs(60)[0], y_test=np.arange(60) % 10)

    with pytest.raises(YoursToFix, match="found 9 in row 9") as caught:
        opened(tmp_path / "d.npz", contract(VECTOR, classes=tuple("abcde")))

    assert caught.value.code == "data.label-out-of-range"


def test_the_networks_task_decides_what_whole_numbers_are(tmp_path):
    np.savez(tmp_path / "d.npz", x_test=blobs(60)[0], y_test=np.arange(60) % 5)

    number = opened(tmp_path / "d.npz", contract(VECTOR, task=Task.REGRESSION))

    assert number.facts.target.kind == "number"
    assert everything(number, Role.TEST)[1].dtype == np.float64


TABLE = "age,height,target,weight\n" + "".join(f"{row},{row * 2},{'ab'[row % 2]},{row / 2}\n" for row in range(40))


def table_spec(*columns):
    return InputSpec(name="in", shape=(len(columns) or 3,), layout="vector", columns=columns)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_csv_table_feeds_all_columns_but_the_target(delimiter, tmp_path):
    (tmp_path / "t.csv").write_text("\ufeff" + TABLE.replace(",", delimiter))

    facts = datasets.inspect(tmp_path / "t.csv", options=DataOptions())
    inputs, labels, rows = everything(opened(tmp_path / "t.csv", contract(table_spec())), Role.TRAIN)

    assert facts.columns == ("age", "height", "weight", "target")
    assert (facts.target.name, facts.target.classes) == ("target", ("a", "b"))
    assert np.array_equal(inputs["in"], np.stack([rows, rows * 2, rows / 2], axis=1).astype(np.float32))
    assert np.array_equal(labels, rows % 2)


def test_a_contract_picks_columns_by_name_and_in_its_order(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)

    inputs, _, rows = everything(opened(tmp_path / "t.csv", contract(table_spec("weight", "age"))), Role.TEST)

    assert np.array_equal(inputs["in"], np.stack([rows / 2, rows], axis=1).astype(np.float32))
    with pytest.raises(YoursToFix) as caught:
        opened(tmp_path / "t.csv", contract(table_spec("weight", "income")))
    assert caught.value.code == "data.column-missing"


def test_a_network_with_one_input_per_column_is_fed_by_column_names(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    specs = tuple(InputSpec(name=name, shape=(1,), layout="vector") for name in ("weight", "age"))

    inputs, _, rows = everything(opened(tmp_path / "t.csv", contract(*specs)), Role.TEST)

    assert np.array_equal(inputs["age"], rows[:, None].astype(np.float32))
    assert np.array_equal(inputs["weight"], rows[:, None].astype(np.float32) / 2)


def test_the_target_may_be_chosen_and_a_number_to_predict_stays_one(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE.replace(",a,", ",1,").replace(",b,", ",2,"))

    facts = datasets.inspect(tmp_path / "t.csv", options=DataOptions(target="weight"))

    assert (facts.target.name, facts.target.kind) == ("weight", "number")
    assert facts.columns[-1] == "weight"


def test_a_parquet_table_reads_like_the_same_csv_and_may_declare_its_split(tmp_path):
    roles = ["train"] * 30 + ["test"] * 10
    columns = {"a": np.arange(40), "b": np.arange(40) / 4, "Class": np.arange(40) % 2, "split": roles}
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")

    data = opened(tmp_path / "t.parquet", contract(InputSpec(name="in", shape=(2,), layout="vector")))
    inputs, labels, rows = everything(data, Role.TEST)

    assert data.facts.target.name == "Class"
    assert data.facts.roles[Role.TEST].declared
    assert rows.tolist() == list(range(30, 40))
    assert np.array_equal(inputs["in"], np.stack([rows, rows / 4], axis=1).astype(np.float32))
    assert np.array_equal(labels, rows % 2)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(path, places, *, shape=(8, 8, 3)):
    generator = np.random.default_rng(0)
    made = {place: generator.integers(0, 256, size=shape, dtype=np.uint8) for place in places}
    write_zip(path, {place: png(pixels) for place, pixels in made.items()})
    return made


PICTURE = InputSpec(name="in", shape=(3, 8, 8), layout="CHW", channels="RGB", dtype="uint8")


def test_pictures_in_class_folders_come_back_pixel_by_pixel(tmp_path):
    places = [f"data/{name}/{number}.png" for name in ("9", "10") for number in range(10)]
    made = pictures(tmp_path / "p.zip", places)

    data = opened(tmp_path / "p.zip", contract(PICTURE))

    assert data.facts.target.classes == ("9", "10")
    assert data.facts.inputs[0].shape == (8, 8, 3)
    for batch in data.batches(Role.TRAIN, size=4):
        for fed, label, row in zip(batch.inputs["in"], batch.labels, batch.rows, strict=True):
            place = sorted(places)[row]
            assert np.array_equal(fed, made[place].transpose(2, 0, 1))
            assert place.split("/")[1] == data.facts.target.classes[label]


def test_folders_above_the_classes_declare_the_roles(tmp_path):
    places = [
        f"{role}/{name}/{number}.png" for role in ("train", "val", "test") for name in "ab" for number in range(6)
    ]
    pictures(tmp_path / "p.zip", [*places, "calibration/1.png", "calibration/2.png"])

    facts = datasets.inspect(tmp_path / "p.zip", options=DataOptions())

    assert {role: (said.rows, said.declared) for role, said in facts.roles.items()} == {
        Role.TRAIN: (12, True),
        Role.VALIDATION: (12, True),
        Role.CALIBRATION: (2, True),
        Role.TEST: (12, True),
    }
    assert facts.target.classes == ("a", "b")


def test_pictures_are_scaled_to_cover_and_cut_in_the_middle_as_pillow_does(tmp_path):
    made = pictures(tmp_path / "p.zip", [f"{name}/{n}.png" for name in "ab" for n in range(10)], shape=(20, 30, 3))
    spec = PICTURE.model_copy(update={"resize": (10, 10)})

    batch = next(iter(opened(tmp_path / "p.zip", contract(spec)).batches(Role.TEST, size=1)))

    original = Image.fromarray(made[sorted(made)[batch.rows[0]]])
    expected = np.asarray(original.resize((15, 10), Image.Resampling.BILINEAR))[1:9, 3:11]
    assert np.array_equal(batch.inputs["in"][0], expected.transpose(2, 0, 1))


def test_pictures_become_gray_where_the_network_has_one_channel(tmp_path):
    made = pictures(tmp_path / "p.zip", [f"{name}/{n}.png" for name in "ab" for n in range(10)])
    spec = InputSpec(name="in", shape=(1, 8, 8), layout="CHW", channels="gray", scale=1 / 255)

    batch = next(iter(opened(tmp_path / "p.zip", contract(spec)).batches(Role.TEST, size=1)))

    expected = np.asarray(Image.fromarray(made[sorted(made)[batch.rows[0]]]).convert("L")) / 255
    assert np.allclose(batch.inputs["in"][0, 0], expected, atol=1e-6)


def decoded(text):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_a_picture_of_a_row_shows_that_row(tmp_path):
    made = pictures(tmp_path / "p.zip", [f"{name}/{n}.png" for name in "ab" for n in range(10)])
    images = np.random.default_rng(0).integers(0, 256, size=(30, 64), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_test=images, y_test=np.arange(30) % 3)
    gray = InputSpec(name="in", shape=(1, 8, 8), layout="CHW", channels="gray", scale=1 / 255)

    coloured = datasets.picture(opened(tmp_path / "p.zip", contract(PICTURE)), 7)
    flat = datasets.picture(opened(tmp_path / "d.npz", contract(gray)), 7)

    assert np.array_equal(decoded(coloured), made[sorted(made)[7]])
    assert np.array_equal(decoded(flat), images[7].reshape(8, 8))


def test_pictures_for_people_are_small_and_vectors_have_none(tmp_path):
    pictures(tmp_path / "p.zip", [f"{name}/{n}.png" for name in "ab" for n in range(10)], shape=(200, 100, 3))
    np.savez(tmp_path / "d.npz", x_test=blobs(30)[0], y_test=blobs(30)[1])
    spec = PICTURE.model_copy(update={"resize": (8, 8)})

    small = datasets.picture(opened(tmp_path / "p.zip", contract(spec)), 0)

    assert decoded(small).shape == (64, 32, 3)
    assert len(small) <= 20_000
    assert datasets.picture(opened(tmp_path / "d.npz", contract(VECTOR)), 0) == ""


def test_square_arrays_are_shown_also_to_a_network_that_flattens_them(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, size=(30, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_test=images, y_test=np.arange(30) % 3)

    assert np.array_equal(decoded(datasets.picture(opened(tmp_path / "d.npz", contract(VECTOR)), 3)), images[3])
