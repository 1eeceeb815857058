"""Tables of records, wherever they lie: Parquet, CSV, folders of ``datasets``, frames, rows in memory.

Parquet and folders need pyarrow; frames need what made them.
"""
from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import checks
from .errors import BadInputError, Error, IoError, UsageError

Rows = Iterator[tuple[str, Mapping[str, Any]]]  # Each with its place, for errors.
_BATCH_ROWS = 1024
_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d{5})-of-(?P<count>\d{5})(?:-[0-9a-zA-Z]+)?$")
_CELL_CHARACTERS_MAX = 2**30
_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"


@dataclass(frozen=True)
class Table:
    """Columns by name, and a function that reads the rows of some of them, one after the other."""

    place: str
    columns: list[str]
    rows: Callable[[list[str]], Rows]
    filled: bool = False  # Each structure has the keys of all of its column: null where it had none.


def opened(source: Any, split: str | None, delimiter: str) -> Table:
    """The table of a path, a pandas frame, a table of pyarrow's, or an iterable of dicts."""
    if isinstance(source, (str, os.PathLike)):
        return _at_path(checks.path("source", source), split, delimiter)
    if split is not None:
        raise UsageError("split", "goes with folders")
    if hasattr(source, "itertuples") and hasattr(source, "notna"):
        return _frame(source)
    if hasattr(source, "to_batches") and hasattr(source, "column_names"):
        return _named("table", list(source.column_names), lambda wanted: _batches(
            "table", source.select(wanted).to_batches(_BATCH_ROWS)))
    if isinstance(source, Iterable) and not isinstance(source, (bytes, Mapping)):
        return _in_memory(source)
    raise UsageError("source", "must be a path, a frame, or rows as dicts", repr(type(source).__name__))


def _named(place: str, columns: list[str], rows: Callable[[list[str]], Rows], filled: bool = True) -> Table:
    twice = sorted({str(name) for name in columns if columns.count(name) > 1})
    if twice:
        raise BadInputError(place, "must have columns of different names", f"{twice[0]!r} twice")
    for name in columns:
        if not isinstance(name, str):
            raise BadInputError(place, "must have texts as names of columns", repr(name))
    return Table(place, columns, rows, filled)


def _at_path(path: str, split: str | None, delimiter: str) -> Table:
    if os.path.isdir(path):
        return _folder(path, split)
    if split is not None:
        raise UsageError("split", "goes with folders, and this is a file", path)
    ending = os.path.splitext(path)[1].lower()
    if ending == ".parquet":
        return _parquet([path])
    if ending in (".csv", ".tsv"):
        return _csv(path, "\t" if ending == ".tsv" else delimiter)
    if not os.path.exists(path):
        raise IoError(path, "cannot be read: no such file or folder")
    if ending in (".json", ".jsonl"):
        raise UsageError("source", "is what the engine reads as it is: give it to dashf.train", path)
    raise BadInputError(path, "must end in .parquet, .csv or .tsv, or be a folder of datasets")


# In memory ---------------------------------------------------------------------------------------------------------


def _frame(frame: Any) -> Table:
    def rows(wanted: list[str]) -> Rows:
        # Where nothing is, pandas has NaN, NaT or NA.
        columns = [frame[name].astype(object).where(frame[name].notna(), None) for name in wanted]
        for number, row in enumerate(zip(*columns), 1):
            yield f"frame: row {number}", dict(zip(wanted, row))

    return _named("frame", list(frame.columns), rows)


def _in_memory(source: Iterable[Any]) -> Table:
    rest = iter(source)
    first = next(rest, None)
    if first is None:
        return _named("rows", [], lambda wanted: iter(()))
    if not isinstance(first, Mapping):
        raise BadInputError("rows: row 1", "must be a dict", repr(type(first).__name__))
    columns = list(first)

    def rows(wanted: list[str]) -> Rows:
        yield "rows: row 1", first
        for number, row in enumerate(rest, 2):
            if not isinstance(row, Mapping) or set(row) != set(columns):
                raise BadInputError(f"rows: row {number}", f"must be a dict with the keys of the first: {columns}",
                                    repr(list(row) if isinstance(row, Mapping) else type(row).__name__))
            yield f"rows: row {number}", row

    return _named("rows", columns, rows, type(source).__module__.startswith("datasets."))


# CSV ---------------------------------------------------------------------------------------------------------------


def _csv(path: str, delimiter: str) -> Table:
    import csv

    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '\r\n"':
        raise UsageError("delimiter", "must be one character", repr(delimiter))
    csv.field_size_limit(max(csv.field_size_limit(), _CELL_CHARACTERS_MAX))  # Of the process: documents are long.

    def cells() -> Iterator[list[str]]:
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=True)
                try:
                    yield from filter(None, reader)  # Blank lines hold nothing.
                except csv.Error as error:
                    raise BadInputError(f"{path}: line {reader.line_num}", f"must be CSV: {error}") from None
                except UnicodeDecodeError as error:
                    raise BadInputError(f"{path}: after line {reader.line_num}", "must be UTF-8",
                                        f"byte 0x{error.object[error.start]:02x}") from None
        except Error:
            raise
        except OSError as error:
            raise IoError(path, f"cannot be read: {error.strerror or error}") from None

    head = next(cells(), None)
    if head is None:
        raise BadInputError(path, "must have a line with the columns' names, got an empty file")

    def rows(wanted: list[str]) -> Rows:
        lines = cells()
        next(lines)
        for number, row in enumerate(lines, 1):
            if len(row) != len(head):
                raise BadInputError(f"{path}: row {number}", f"must have {len(head)} cells, as the first line has",
                                    str(len(row)))
            yield f"{path}: row {number}", dict(zip(head, row))

    return _named(path, head, rows)


# Arrow -------------------------------------------------------------------------------------------------------------


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise UsageError("source", "needs pyarrow: pip install 'dashf[data]'") from None
    return pyarrow


def _reading(path: str, error: Exception) -> Error:
    if isinstance(error, OSError) and error.errno is not None:
        return IoError(path, f"cannot be read: {error.strerror or error}")
    return BadInputError(path, f"must be a whole file of Parquet or Arrow: {str(error).splitlines()[0]}")


def _batches(place: str, batches: Iterable[Any], before: int = 0) -> Rows:
    for batch in batches:
        try:
            made = batch.to_pylist()
        except UnicodeDecodeError as error:
            raise BadInputError(f"{place}: rows {before + 1} to {before + batch.num_rows}", "must be UTF-8",
                                f"byte 0x{error.object[error.start]:02x}") from None
        for number, row in enumerate(made, before + 1):
            yield f"{place}: row {number}", row
        before += batch.num_rows


def _files(paths: list[str], columns_of: Callable[[str], list[str]],
           rows_of: Callable[[str, list[str]], Iterable[Any]]) -> Table:
    """Several files, one after the other, as one table; rows are counted in each."""
    arrow = _arrow()

    def guarded(path: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (OSError, arrow.ArrowException) as error:
            raise _reading(path, error) from None

    heads = {path: guarded(path, lambda: columns_of(path)) for path in paths}
    for path, columns in heads.items():
        if sorted(columns) != sorted(heads[paths[0]]):
            raise BadInputError(path, f"must have the columns of {paths[0]}: {heads[paths[0]]}", str(columns))

    def rows(wanted: list[str]) -> Rows:
        for path in paths:
            try:
                yield from _batches(path, rows_of(path, wanted))
            except (OSError, arrow.ArrowException) as error:
                raise error if isinstance(error, Error) else _reading(path, error) from None

    return _named(paths[0] if len(paths) == 1 else os.path.dirname(paths[0]), heads[paths[0]], rows)


def _parquet(paths: list[str]) -> Table:
    arrow = _arrow()

    def batches(path: str, wanted: list[str]) -> Iterator[Any]:
        with arrow.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(_BATCH_ROWS, columns=wanted)

    return _files(paths, lambda path: list(arrow.parquet.read_schema(path).names), batches)


def _saved_by_datasets(folder: str) -> Table:
    """What ``Dataset.save_to_disk`` writes: state.json and files of Arrow streams."""
    arrow = _arrow()
    state_path = os.path.join(folder, "state.json")
    state = _json(state_path)
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise BadInputError(state_path, "must have no indices: save it with datasets 2.0 or later")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in state.get("_data_files") or ()]
    if not names or not all(isinstance(name, str) and os.path.basename(name) == name for name in names):
        raise BadInputError(f"{state_path}: _data_files", "must name files of this folder", repr(names))

    def columns(path: str) -> list[str]:
        with arrow.memory_map(path) as file, arrow.ipc.open_stream(file) as stream:
            names = list(stream.schema.names)
            file.seek(max(0, file.size() - len(_END_OF_STREAM)))
            if file.read() != _END_OF_STREAM:  # Cut between two batches it reads like a whole one.
                raise BadInputError(path, "must be a whole file of Arrow: it lacks the mark of its end")
            return names

    def batches(path: str, wanted: list[str]) -> Iterator[Any]:
        with arrow.memory_map(path) as file, arrow.ipc.open_stream(file) as stream:
            for batch in stream:
                yield batch.select(wanted)

    return _files([os.path.join(folder, name) for name in names], columns, batches)


def _json(path: str) -> dict[str, Any]:
    import json

    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except OSError as error:
        raise IoError(path, f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInputError(path, f"must be JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadInputError(path, "must be an object")
    return found


# Folders -----------------------------------------------------------------------------------------------------------


def _chosen(path: str, splits: Iterable[str], split: str | None) -> str:
    known = sorted(splits)
    if split is not None and split not in known:
        raise UsageError("split", f"must be one of {', '.join(known)}", repr(split))
    if split is None and len(known) > 1:
        raise UsageError("split", f"is needed: {path} has {', '.join(known)}")
    return split if split is not None else known[0]


def _folder(path: str, split: str | None) -> Table:
    if os.path.exists(os.path.join(path, "dataset_dict.json")):
        splits = _json(os.path.join(path, "dataset_dict.json")).get("splits")
        if not isinstance(splits, list) or not splits or not all(
                isinstance(s, str) and os.path.basename(s) == s for s in splits):
            raise BadInputError(os.path.join(path, "dataset_dict.json"), "must name splits", repr(splits))
        return _saved_by_datasets(os.path.join(path, _chosen(path, splits, split)))
    if os.path.exists(os.path.join(path, "state.json")):
        if split is not None:
            raise UsageError("split", "goes with folders of several, and this has one", path)
        return _saved_by_datasets(path)
    found: dict[str, list[str]] = {}
    for folder in (path, os.path.join(path, "data")):
        names = sorted(name for name in os.listdir(folder) if name.endswith(".parquet")) if os.path.isdir(folder) else []
        for name in names:
            part = _SHARD.match(name.removesuffix(".parquet"))
            found.setdefault(part["split"] if part else name.removesuffix(".parquet"), []).append(
                os.path.join(folder, name))
    if not found:
        raise BadInputError(path, "must be what datasets' save_to_disk writes, or hold files of Parquet")
    files = found[_chosen(path, found, split)]
    _require_whole(files)
    return _parquet(files)


def _require_whole(files: list[str]) -> None:
    """One file, or all of SPLIT-00000-of-00002.parquet; a split that is there twice would be read twice."""
    parts = [_SHARD.match(os.path.basename(file).removesuffix(".parquet")) for file in files]
    numbers = [(int(part["number"]), int(part["count"])) for part in parts if part]
    if len(numbers) < len(files) > 1 or len(set(numbers)) < len(numbers):
        raise BadInputError(os.path.dirname(files[0]), "must hold the split once", ", ".join(files))
    if numbers and numbers != [(n, numbers[0][1]) for n in range(numbers[0][1])]:
        raise BadInputError(os.path.dirname(files[0]), f"must hold all {numbers[0][1]} parts of the split",
                            ", ".join(os.path.basename(file) for file in files))
