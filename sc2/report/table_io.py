"""Reading and writing the CSV tables: fixed columns, fixed decimals, the same bytes for the same values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from sc2.errors import DataError
from sc2.report.column import Column
from sc2.report.columns import kinds


@dataclass(frozen=True)
class Row:
    """One row to be: the file that its values come from, for messages, and the values."""

    path: Path
    values: Mapping[str, Any]

    def value(self, key: str) -> Any:
        """Return one value.

        Raises:
            DataError: There is none; the message names the file.
        """
        if key not in self.values:
            raise DataError(f"{self.path}: key '{key}' is missing; run the stage that wrote this file again")
        return self.values[key]


def read_table(path: Path) -> pd.DataFrame:
    """Read a table that `make_tables` wrote; names, points, seeds and ids stay strings.

    Args:
        path: A CSV table.

    Raises:
        DataError: The file is missing or is not a CSV table.
    """
    of_kind = kinds()
    types: dict[str, Any] = {"text": str, "flag": bool, "int": "int64", "float": "float64"}
    try:
        with path.open(encoding="utf-8") as file:
            header = pd.read_csv(file, nrows=0).columns
            file.seek(0)
            known = {name: of_kind[name] for name in header if name in of_kind}
            empty = {name: [""] for name, kind in known.items() if kind == "float"}
            dtype: dict[Any, Any] = {name: types[kind] for name, kind in known.items()}
            return pd.read_csv(file, dtype=dtype, keep_default_na=False, na_values=empty)
    except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
        raise DataError(f"{path}: not a readable table ({error}); make it again with the stage make_tables") from error


def write_table(path: Path, columns: Sequence[Column], rows: Sequence[Row]) -> None:
    """Write the rows as CSV with `\\n` line ends; all text is made before the file is opened."""
    cells = [[_cell(row, column) for column in columns] for row in rows]
    table = pd.DataFrame(cells, columns=[column.name for column in columns], dtype=str)
    path.write_text(table.to_csv(index=False, lineterminator="\n"), encoding="utf-8", newline="")


def _cell(row: Row, column: Column) -> str:
    value = row.value(column.name)
    try:
        return column.format(value)
    except DataError as error:
        raise DataError(f"{row.path}: {error}") from error
