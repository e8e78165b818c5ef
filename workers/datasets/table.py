"""Rows and columns in CSV or Parquet, with one column to predict."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.datasets.raw import Array, BadData, Raw, Stack
from workers.facts import Role

if TYPE_CHECKING:
    import pyarrow as pa

TARGET_NAMES = ("target", "label", "class", "y")
SPLIT_NAMES = ("split", "role", "subset", "partition")
ROLE_WORDS = {
    "train": Role.TRAIN,
    "training": Role.TRAIN,
    "test": Role.TEST,
    "testing": Role.TEST,
    "validation": Role.VALIDATION,
    "valid": Role.VALIDATION,
    "val": Role.VALIDATION,
    "dev": Role.VALIDATION,
    "calibration": Role.CALIBRATION,
}
DELIMITERS = (",", ";", "\t", "|")
MOST_CELLS = 2 << 30
MOST_COLUMNS = 20_000
FIRST_LINE_BYTES = 1 << 20


class Features(Stack):
    """The numeric columns of a table as one input, (rows, columns), that can be narrowed by name."""

    def __init__(self, matrix: Array, names: tuple[str, ...]) -> None:
        super().__init__([matrix], "the table")
        self.names = names

    def only(self, names: tuple[str, ...]) -> "Features":
        """These columns, in this order.

        Raises:
            BadData: if one of them is missing.
        """
        missing = [name for name in names if name not in self.names]
        if missing:
            raise BadData(
                f"Expected the columns {', '.join(map(repr, missing[:5]))}, found {', '.join(self.names[:20])}.",
                hint="Add them to the table, or correct the columns in the input contract.",
                code="data.column-missing",
            )
        return Features(self.parts[0][:, [self.names.index(name) for name in names]], names)


def open_csv(path: Path, target: str) -> Raw:
    """Read a CSV file whose first line names the columns."""
    import pyarrow as pa
    from pyarrow import csv

    names, delimiter = _first_line(path)
    _check_names(names)
    try:
        table = csv.read_csv(
            path, parse_options=csv.ParseOptions(delimiter=delimiter), read_options=csv.ReadOptions(use_threads=False)
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise BadData(
            f"Expected a table with {len(names)} columns in every line, found: {str(error)[:300]}.",
            hint="Save the table again as CSV in UTF-8, with the column names in the first line.",
            code="data.csv-broken",
        ) from None
    return _raw(table, path, target, "csv")


def open_parquet(path: Path, target: str) -> Raw:
    """Read a Parquet file of plain columns."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        file = parquet.ParquetFile(path)
        if file.metadata.num_rows * file.metadata.num_columns > MOST_CELLS:
            raise BadData(
                f"Expected at most {MOST_CELLS:,} cells,"
                f" found {file.metadata.num_rows:,} rows of {file.metadata.num_columns:,}.",
                hint="Upload fewer rows.",
                code="data.too-large",
            )
        table = file.read(use_threads=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise BadData(
            f"Expected a Parquet table, found one that cannot be read: {str(error)[:300]}.",
            hint="Write it again with a current version of pyarrow or pandas.",
            code="data.parquet-broken",
        ) from None
    _check_names(table.column_names)
    return _raw(table, path, target, "parquet")


def _first_line(path: Path) -> tuple[list[str], str]:
    """The column names and the character between them: the candidate that splits the line most often."""
    import csv

    with path.open("rb") as file:
        line = file.readline(FIRST_LINE_BYTES)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadData(
            "Expected text in UTF-8, found other bytes.",
            hint="Save the table as CSV in UTF-8.",
            code="data.csv-encoding",
        ) from None
    delimiter = max(DELIMITERS, key=text.count)
    return next(csv.reader([text], delimiter=delimiter), []), delimiter


def _check_names(names: list[str]) -> None:
    if not 2 <= len(names) <= MOST_COLUMNS:
        raise BadData(
            f"Expected 2 to {MOST_COLUMNS:,} columns, found {len(names):,}.",
            hint="A table needs at least one feature and the column to predict.",
            code="data.columns",
        )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadData(
            f"Expected each column name once, found {twice!r} twice.",
            hint="Rename one of the columns.",
            code="data.column-twice",
        )
    if all(_is_number(name) for name in names):
        raise BadData(
            f"Expected the column names in the first line, found numbers: {', '.join(names[:5])}.",
            hint="Put a line with the names of the columns first.",
            code="data.no-header",
        )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _raw(table: "pa.Table", path: Path, target: str, kind: str) -> Raw:
    if table.num_rows == 0:
        raise BadData(
            "Expected rows, found a table without any.", hint="Upload a table with data.", code="data.no-rows"
        )
    split = _split_column(table)
    chosen = _target_column(table.column_names, target, split)
    features = tuple(name for name in table.column_names if name not in (chosen, split))
    matrix = np.empty((table.num_rows, len(features)), dtype=np.float64)
    for number, name in enumerate(features):
        matrix[:, number] = _numbers(table.column(name), name)
    declared = {} if split is None else _declared(table.column(split).to_pylist())
    return Raw(
        format=kind,
        size_bytes=path.stat().st_size,
        rows=table.num_rows,
        inputs={"x": Features(matrix, features)},
        labels=_labels(table.column(chosen), chosen),
        declared=declared,
        loose=np.arange(0 if declared else table.num_rows),
        target=chosen,
        columns=features,
    )


def _split_column(table: "pa.Table") -> str | None:
    """The column that names a role for every row, if there is one."""
    for name in table.column_names:
        if name.lower() in SPLIT_NAMES:
            words = {str(word).strip().lower() for word in table.column(name).unique().to_pylist()}
            if words <= set(ROLE_WORDS):
                return str(name)
    return None


def _declared(words: list[str]) -> dict[Role, Array]:
    roles = np.array([ROLE_WORDS[word.strip().lower()] for word in words])
    return {role: np.flatnonzero(roles == role) for role in Role if (roles == role).any()}


def _target_column(names: list[str], asked: str, split: str | None) -> str:
    if asked:
        if asked not in names:
            raise BadData(
                f"Expected the column {asked!r} to predict, found {', '.join(names[:30])}.",
                hint="Choose one of these columns as the target.",
                code="data.target-missing",
            )
        return asked
    candidates = [name for name in names if name != split]
    by_name = {name.lower(): name for name in reversed(candidates)}
    return next((by_name[name] for name in TARGET_NAMES if name in by_name), candidates[-1])


def _numbers(column: "pa.ChunkedArray", name: str) -> Array:
    """A feature column as floats, NaN where a value is missing."""
    import pyarrow as pa

    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)):
        if column.null_count == len(column):
            raise BadData(
                f"Expected numbers in column {name!r}, found it empty.",
                hint="Drop the column.",
                code="data.column-empty",
            )
        example = next(value for value in column.to_pylist() if value is not None)
        raise BadData(
            f"Expected numbers in column {name!r}, found {column.type} such as {str(example)[:40]!r}.",
            hint="Turn the column into numbers (one column per category, or a rank), or drop it.",
            code="data.column-not-numeric",
        )
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)


def _labels(column: "pa.ChunkedArray", name: str) -> Array:
    import pyarrow as pa

    if column.null_count:
        row = next(row for row, value in enumerate(column.to_pylist()) if value is None)
        raise BadData(
            f"Expected a value to predict in every row of {name!r}, found none in row {row}.",
            hint="Drop the rows without a label, or choose another target column.",
            code="data.label-missing",
        )
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_boolean(column.type) or pa.types.is_integer(column.type):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    if pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        values: list[Any] = column.to_pylist()
        return np.array(values, dtype=np.str_)
    raise BadData(
        f"Expected class names or numbers in the target column {name!r}, found {column.type}.",
        hint="Choose another target column.",
        code="data.target-type",
    )
