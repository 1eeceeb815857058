"""Data from Python's side: Parquet, CSV, folders of ``datasets``, frames and rows become what the engine reads.

    import dashf.data
    print(dashf.data.convert("questions.parquet", "train.jsonl", columns={"instruction": "question", "output": "answer"}))

docs/data.md says what the engine makes of the lines. Nothing is guessed: a cell is taken as it is, or refused.
"""
from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import checks
from .errors import BadInputError, UsageError
from .files import write_lines
from .tables import Table, opened

__all__ = ["Converted", "convert"]

# What each kind of sample must have, and what it may have (docs/data.md).
_KINDS: dict[str, list[tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "alpaca": [(("instruction", "output"), ("input", "system", "history"))],
    "chat": [(("messages",), ("system", "tools")), (("conversations",), ("system", "tools"))],
    "completion": [(("prompt", "completion"), ("tools",))],
    "documents": [(("text",), ())],
}
_SHOWN_CHARACTERS = 60


@dataclass(frozen=True)
class Converted:
    """What became of a table."""

    path: str
    kind: str
    records: int
    columns: dict[str, str]  # Keys of the records, and the columns that they came from.
    not_read: tuple[str, ...]  # The other columns.

    def __str__(self) -> str:
        unread = f", not read: {_names(self.not_read)}" if self.not_read else ""
        return f"{self.path}: {self.records} {self.kind} records{unread}"


def convert(source: Any, out: os.PathLike[str] | str, *, kind: str | None = None,
            columns: Mapping[str, str] | None = None, split: str | None = None, delimiter: str = ",") -> Converted:
    """Writes a table as JSON lines that ``dashf.train``, ``dashf.run`` and the command line read.

    ``source``: the path of a Parquet or CSV file, or of a folder that ``datasets`` saved (``save_to_disk``) or that
    holds ``SPLIT-00000-of-00002.parquet``; a pandas frame; a table of pyarrow's; or rows as dicts, which a
    ``datasets.Dataset`` is, too. ``split`` chooses where a folder has several, ``delimiter`` parts the cells of CSV.

    ``kind`` is "alpaca" (instruction, output; input, system, history), "chat" (messages or conversations; system,
    tools), "completion" (prompt, completion; tools) or "documents" (text). ``columns`` says which column a key is in,
    {"output": "answer"}; the others are in columns of their own names. Without ``kind`` it is the one that the columns
    allow.

    The file is written whole or not at all. Raises UsageError for arguments, UsageError where pyarrow is missing,
    IoError, and BadInputError naming file, row, column and value: for a null, a number or bytes where a text must be
    (a label's number is not its name), for messages that are none, for a row of CSV with too few or too many cells.

    Arrow gives each structure of a column (a tool call's arguments, a tool's parameters) the keys of all of them, null
    where a record had none. Out of Parquet, folders, frames and ``datasets`` such keys are left out, and so are those that
    were null before; rows as dicts keep theirs.
    """
    path = checks.path("out", out)
    if isinstance(source, (str, os.PathLike)) and os.path.exists(path) and os.path.exists(source) \
            and os.path.samefile(source, path):
        raise UsageError("out", "must be another file than the source", repr(path))
    table = opened(source, split, delimiter)
    chosen, taken, required = _choose(table, kind, dict(columns) if columns is not None else {})
    count = 0

    def lines() -> Iterator[str]:
        nonlocal count
        for place, row in table.rows(list(dict.fromkeys(taken.values()))):
            yield _line(place, row, taken, required, table.filled)
            count += 1
        if count == 0:
            raise BadInputError(table.place, "must have at least one row")

    write_lines(path, lines())
    return Converted(path, chosen, count, taken, tuple(c for c in table.columns if c not in taken.values()))


def _choose(table: Table, kind: str | None, given: dict[str, str]) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """The kind, each of its keys' columns, and the keys that must be there."""
    if kind is not None:
        checks.one_of("kind", kind, _KINDS)
    every = dict.fromkeys(key for forms in _KINDS.values() for form in forms for keys in form for key in keys)
    for key, column in given.items():
        checks.one_of("columns", key, every)
        if column not in table.columns:
            raise UsageError(f"columns[{key!r}]", f"must be a column of {table.place}: {_names(table.columns)}",
                             repr(column))
    # A column that was given to another key is not also its own.
    at = {name: name for name in table.columns if name in every and name not in given.values()} | given
    fitting = []
    for name, forms in _KINDS.items() if kind is None else [(kind, _KINDS[kind])]:
        for required, optional in forms:
            if all(key in at for key in required) and all(key in required + optional for key in given):
                fitting.append((name, {key: at[key] for key in required + optional if key in at}, required))
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError("kind" if kind is None else "columns",
                         f"is needed: the columns of {table.place} make {' or '.join(_needs(f[0], f[2]) for f in fitting)}")
    wanted = " or ".join(_needs(name, required) for name, forms in _KINDS.items() if kind in (None, name)
                         for required, _ in forms)
    raise UsageError("columns", f"must say which columns of {table.place} make {wanted}", _names(table.columns))


def _needs(kind: str, required: tuple[str, ...]) -> str:
    return f"{kind} ({', '.join(required)})"


def _names(columns: Iterable[str]) -> str:
    """As a sentence has them: an index has no name."""
    return ", ".join(name or "''" for name in columns) or "none"


def _line(place: str, row: Mapping[str, Any], taken: Mapping[str, str], required: tuple[str, ...],
          filled: bool) -> str:
    record = {}
    for key, column in taken.items():
        where = f"{place}: column {column!r}"
        value = _plain(row[column])
        if filled:
            value = _without_fillings(value)
        if value is None:
            if key in required:
                raise BadInputError(where, "must not be null")
            continue
        record[key] = _CHECKS.get(key, _text)(where, value)
    if "prompt" in record and isinstance(record["prompt"], str) != isinstance(record["completion"], str):
        raise BadInputError(f"{place}: column {taken['completion']!r}", "must be a text where the prompt is one, and "
                            "messages where it has messages", _shown(record["completion"]))
    line = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(place, "must be Unicode", f"half of a surrogate pair, {line[error.start]!a}") from None
    return line


def _plain(value: Any) -> Any:
    """Python's own lists and numbers for NumPy's."""
    if isinstance(value, (np.ndarray, list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return value.item() if isinstance(value, np.generic) else value


def _without_fillings(value: Any) -> Any:
    """Structures without the keys that are null; what a message says may be null itself."""
    if isinstance(value, list):
        return [_without_fillings(one) for one in value]
    if not isinstance(value, dict):
        return value
    spoken = ("content", "value") if {"role", "from"} & set(value) else ()
    return {key: _without_fillings(one) for key, one in value.items() if one is not None or key in spoken}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS - 3] + "..."


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadInputError(where, "must be a text", f"{_shown(value)} ({type(value).__name__})")
    return value


def _messages(where: str, value: Any) -> list[dict[str, Any]]:
    """Arrow gives each message the keys of all of them; those that it lacks are null."""
    if not isinstance(value, list) or not value:
        raise BadInputError(where, "must be a list of messages", f"{_shown(value)} ({type(value).__name__})")
    made = []
    for i, message in enumerate(value):
        own = {}
        if isinstance(message, dict):
            own = {key: one for key, one in message.items() if one is not None or key in ("content", "value")}
        speaker = own.get("role", own.get("from"))
        if not isinstance(speaker, str) or not {"content", "value"} & set(own):
            raise BadInputError(f"{where}[{i}]", "must have role and content, or from and value", _shown(message))
        _require_json(f"{where}[{i}]", own)
        made.append(own)
    return made


def _text_or_messages(where: str, value: Any) -> Any:
    return value if isinstance(value, str) else _messages(where, value)


def _history(where: str, value: Any) -> list[list[str]]:
    if not isinstance(value, list) or not all(
            isinstance(turn, list) and len(turn) == 2 and all(isinstance(one, str) for one in turn) for turn in value):
        raise BadInputError(where, "must be a list of pairs of texts", _shown(value))
    return value


def _tools(where: str, value: Any) -> Any:
    if not isinstance(value, (str, list)):
        raise BadInputError(where, "must be a list of tools, or one as a text of JSON", _shown(value))
    _require_json(where, value)
    return value


def _require_json(where: str, value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadInputError(where, "must be what JSON can say", f"{_shown(value)} ({error})") from None


_CHECKS = {"messages": _messages, "conversations": _messages, "prompt": _text_or_messages,
           "completion": _text_or_messages, "history": _history, "tools": _tools}
