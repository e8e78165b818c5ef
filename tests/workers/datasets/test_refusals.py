"""Files that are no dataset, and datasets that lie: each refused with its own code and a way out."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.material import tiny_mlp, write_npz, write_zip
from workers import datasets
from workers.errors import YoursToFix
from workers.ticket import DataOptions


def code_of(path: Path, target: str = "") -> str:
    with pytest.raises(YoursToFix) as caught:
        datasets.inspect(path, options=DataOptions(target=target))
    assert caught.value.hint
    return caught.value.code


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.path,)


def test_object_arrays_are_refused_and_never_unpickled(tmp_path):
    path = write_zip(
        tmp_path / "d.npz",
        {"x_train.npy": npy(np.array([Bomb(tmp_path / "ran")] * 20)), "y_train.npy": npy(np.zeros(20))},
    )

    assert code_of(path) == "data.object-array"
    assert not (tmp_path / "ran").exists()


def test_structured_arrays_are_refused(tmp_path):
    array = np.zeros(20, dtype=[("a", "f4"), ("b", "O")])

    assert code_of(write_zip(tmp_path / "d.npz", {"x_train.npy": npy(array)})) == "data.npy-type"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 64), }", "data.npy-broken"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 64), }", "data.npy-broken"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 64), }", "data.npy-broken"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (1,) * 9, }", "data.npy-broken"),
        ("__import__('os').system('true')", "data.npy-broken"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "data.object-array"),
        ("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", "data.npy-type"),
        ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,), }", "data.npy-type"),
    ],
)
def test_array_headers_are_not_believed(header, code, tmp_path):
    text = header.encode() + b"\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(64)

    assert code_of(write_zip(tmp_path / "d.npz", {"x_train.npy": data})) == code


def test_pickles_and_single_arrays_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(pickle.dumps([1, 2]))
    np.save(tmp_path / "b.npy", np.zeros(3))
    (tmp_path / "c.npz").write_bytes(b"")
    write_zip(tmp_path / "d.zip", {"model.onnx": tiny_mlp().SerializeToString()})
    write_zip(tmp_path / "e.zip", {"archive/data.pkl": pickle.dumps(1)})
    write_zip(tmp_path / "f.zip", {"xl/workbook.xml": b"<x/>"})
    (tmp_path / "g.json").write_bytes(b'[{"text": 1}]\n')

    found = [code_of(path) for path in sorted(tmp_path.iterdir())]

    kinds = ["pickle", "npy", "empty", "model", "pickle", "spreadsheet", "json"]
    assert found == [f"data.refused-{kind}" for kind in kinds]


def test_a_compressed_bomb_of_arrays_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "d.npz", x_train=np.zeros((1 << 20, 8)), y_train=np.zeros(1 << 20))

    assert code_of(tmp_path / "d.npz") == "archive.bomb"


def test_sorted_labels_that_compress_well_are_no_bomb(tmp_path):
    x = np.random.default_rng(0).normal(size=(200_000, 4)).astype(np.float32)
    np.savez_compressed(tmp_path / "d.npz", x_train=x, y_train=np.repeat(np.arange(10), 20_000))

    assert datasets.inspect(tmp_path / "d.npz", options=DataOptions()).target.kind == "class"


@pytest.mark.parametrize("name", ["../x_train.npy", "/x_train.npy", "..\\x_train.npy"])
def test_arrays_may_not_leave_their_archive(name, tmp_path):
    assert code_of(write_zip(tmp_path / "d.npz", {name: npy(np.zeros(3))})) == "archive.name-leaves-folder"


def test_an_array_file_may_not_hold_anything_else(tmp_path):
    path = write_zip(tmp_path / "d.npz", {"x_train.npy": npy(np.zeros((20, 2))), "evil.pkl": b"\x80\x04."})

    assert code_of(path) == "data.npz-names"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_with_their_row(bad, tmp_path):
    x = np.zeros((5000, 3), np.float32)
    x[4567, 1] = bad
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(5000) % 2)

    with pytest.raises(YoursToFix, match="row 4567") as caught:
        datasets.inspect(tmp_path / "d.npz", options=DataOptions())

    assert caught.value.code == "data.not-finite"


@pytest.mark.parametrize(
    ("arrays", "code"),
    [
        ({"a": np.zeros((20, 2))}, "data.npz-names"),
        ({"y_train": np.zeros(20)}, "data.npz-names"),
        ({"x_train": np.zeros((20, 2)), "y_train": np.zeros(19)}, "data.rows-differ"),
        ({"x_train": np.zeros((20, 2)), "x_test": np.zeros((20, 3))}, "data.parts-differ"),
        ({"x_train": np.zeros((20, 2)), "x_test": np.zeros((20, 2), np.uint8)}, "data.parts-differ"),
        ({"x_train": np.array(["a"] * 20)}, "data.npz-type"),
        ({"x_train": np.float32(3)}, "data.npz-names"),
        ({"x_train": np.zeros((20, 2)), "y_train": np.full(20, -1)}, "data.label-out-of-range"),
        ({"x_train": np.zeros((20, 2)), "y_train": np.zeros((20, 3, 3))}, "data.label-shape"),
        ({"x_train": np.zeros((20, 2)), "y_train": np.full(20, np.nan)}, "data.not-finite"),
        ({"x_train": np.zeros((5, 2)), "y_train": np.zeros(5, int)}, "data.too-few-rows"),
        ({"x_train__a": np.zeros((20, 2)), "x_test__b": np.zeros((20, 2))}, "data.inputs-differ"),
        ({"x": np.zeros((20, 2)), "x_train": np.zeros((20, 2))}, "data.npz-names"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(arrays, code, tmp_path):
    np.savez(tmp_path / "d.npz", **arrays)

    assert code_of(tmp_path / "d.npz") == code.replace("npz-type", "npy-type")


def test_a_stored_array_cut_short_is_refused(tmp_path):
    path = write_npz(tmp_path / "d.npz")
    path.write_bytes(path.read_bytes()[:-100])

    assert code_of(path) == "archive.invalid"


@pytest.mark.parametrize(
    ("text", "target", "code"),
    [
        ("a,b,target\n1,2,0\n3,4\n", "", "data.csv-broken"),
        ("a,colour,target\n1,red,0\n3,blue,1\n", "", "data.column-not-numeric"),
        ("a,b,target\n1,2,0\n3,,1\n", "", "data.not-finite"),
        ("a,b,target\n1,2,0\n3,4,\n", "", "data.label-missing"),
        ("a,b,target\n1,2,0\n", "price", "data.target-missing"),
        ("a,a,target\n1,2,0\n", "", "data.column-twice"),
        ("1,2,3\n4,5,6\n", "", "data.no-header"),
        ("only\n1\n", "", "data.columns"),
        ("a,b\n", "", "data.no-rows"),
    ],
)
def test_tables_are_refused_with_the_column_at_fault(text, target, code, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(text)

    assert code_of(path, target) == code


def test_a_table_in_another_encoding_says_so(tmp_path):
    (tmp_path / "t.csv").write_bytes("größe,target\n1,2\n".encode("latin-1"))

    assert code_of(tmp_path / "t.csv") == "data.csv-encoding"


def test_a_broken_parquet_file_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1" + bytes(100) + b"PAR1")

    assert code_of(tmp_path / "t.parquet") == "data.parquet-broken"


def test_picture_archives_hold_pictures_in_class_folders_only(tmp_path):
    write_zip(tmp_path / "a.zip", {"cat/1.png": b"\x89PNG", "cat/run.exe": b"MZ"})
    write_zip(tmp_path / "b.zip", {"1.png": b"\x89PNG"})
    write_zip(tmp_path / "c.zip", {"cat/1.png": b"this is no picture" * 10, "dog/1.png": b"neither"})

    found = [code_of(path) for path in sorted(tmp_path.iterdir())]

    assert found == ["data.not-a-picture", "data.no-classes", "data.picture-broken"]


def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path):
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    path = write_zip(tmp_path / "a.zip", {"cat/1.png": bomb, "dog/1.png": bomb}, method=zipfile.ZIP_STORED)

    assert code_of(path) in ("data.picture-too-large", "data.picture-broken")
