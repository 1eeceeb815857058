"""What is asked of arguments and arrays before the planner sees them: numbers of the right type and shape.

Whether the numbers make sense (a power above 0) is the planner's to say.
"""
from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .errors import BadInputError, UsageError


def _array(name: str, value: Any) -> np.ndarray:
    if type(value).__module__.startswith("numpy.ma") and np.any(value.mask):
        raise BadInputError(name, "must have no masked values", f"{int(np.sum(value.mask))} of them")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # Ragged lists, tensors on a GPU, ...
        raise BadInputError(name, "must be an array of numbers", str(error)) from None
    if array.dtype.kind not in "iuf":
        raise BadInputError(name, "must be an array of real numbers", f"dtype {array.dtype}")
    return array if array.flags.aligned else array.copy()  # A field of a packed structure is not.


def _place(name: str, at: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, at))}]" if at else name


def shaped(name: str, array: np.ndarray, shape: Sequence[int], meaning: str) -> np.ndarray:
    """The array, or a single number repeated, in that shape; ``meaning`` says what the shape is made of."""
    if array.ndim == 0:
        return np.broadcast_to(array, shape)
    if array.shape != tuple(shape):
        raise BadInputError(name, f"must have shape {meaning} = {tuple(shape)}", str(array.shape))
    return array


def numbers(name: str, value: Any, shape: Sequence[int], meaning: str) -> np.ndarray:
    """float64, without a copy where it is that already, whatever the strides."""
    return shaped(name, _array(name, value).astype(np.float64, copy=False), shape, meaning)


def table(name: str, value: Any) -> np.ndarray:
    """A two-dimensional array of float64."""
    array = _array(name, value).astype(np.float64, copy=False)
    if array.ndim != 2:
        raise BadInputError(name, "must have two dimensions", f"shape {array.shape}")
    return array


def rows(name: str, value: Any) -> np.ndarray:
    """float64 of one dimension, or of two: a row each."""
    array = _array(name, value).astype(np.float64, copy=False)
    if array.ndim not in (1, 2):
        raise BadInputError(name, "must have one or two dimensions", f"shape {array.shape}")
    return np.atleast_2d(array)


def integers(name: str, value: Any, shape: Sequence[int], meaning: str) -> np.ndarray:
    """int64; numbers of another type must be whole."""
    array = _array(name, value)
    if array.dtype.kind == "f":
        whole = np.isfinite(array) & (np.abs(array) < 2.0**53) & (array == np.floor(array))
        if not np.all(whole):
            at = tuple(int(i) for i in np.argwhere(~whole)[0])
            raise BadInputError(_place(name, at), "must be a whole number", str(array[at]))
    elif array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        raise BadInputError(name, "must be below 2^63", str(array.max()))
    return shaped(name, array.astype(np.int64, copy=False), shape, meaning)


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """The array, if all of it is finite."""
    wrong = ~np.isfinite(array)
    if np.any(wrong):
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise BadInputError(_place(name, at), "must be finite", str(array[at]))
    return array


def texts(name: str, value: Iterable[str], count: int, meaning: str) -> list[str]:
    """So many strings."""
    try:
        given = [str(one) if isinstance(one, np.str_) else one for one in value]
    except TypeError:
        given = None
    if given is None or isinstance(value, str):
        raise BadInputError(name, f"must be {meaning} strings", repr(value))
    for i, one in enumerate(given):
        if not isinstance(one, str):
            raise BadInputError(f"{name}[{i}]", "must be a string", repr(one))
        unicode(f"{name}[{i}]", one)
    if len(given) != count:
        raise BadInputError(name, f"must be {meaning} = {count} strings", str(len(given)))
    return given


def number(name: str, value: Any, low: float = -math.inf, high: float = math.inf, above: bool = False) -> float:
    """A finite float from ``low`` (or above it) to ``high``."""
    if isinstance(value, (bool, np.bool_, str)):
        raise UsageError(name, "must be a number", repr(value))
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(name, "must be a number", repr(value)) from None
    if not (math.isfinite(found) and (found > low if above else found >= low) and found <= high):
        rule = "a finite number" if low == -math.inf else f"a finite number {'>' if above else '>='} {low:g}"
        raise UsageError(name, f"must be {rule}" + (f" and <= {high:g}" if high < math.inf else ""), repr(value))
    return found


def integer(name: str, value: Any, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    try:
        found = operator.index(value)
    except TypeError:
        found = None
    if isinstance(value, bool) or found is None or not low <= found <= high:
        raise UsageError(name, f"must be a whole number from {low} to {high}", repr(value))
    return found


def boolean(name: str, value: Any) -> bool:
    """True or False, and nothing that is merely like it."""
    if not isinstance(value, (bool, np.bool_)):
        raise UsageError(name, "must be True or False", repr(value))
    return bool(value)


def _nearest(word: str, words: list[str]) -> list[str]:
    import difflib  # Takes as long to load as the rest of this module, and few need it.

    return difflib.get_close_matches(word, words, 1)


def one_of(name: str, value: Any, known: Iterable[str]) -> str:
    """One of the words."""
    words = list(known)
    if not isinstance(value, str) or value not in words:
        near = _nearest(str(value), words)
        hint = f" (do you mean {near[0]!r}?)" if near else ""
        raise UsageError(name, f"must be one of {', '.join(words)}", f"{value!r}{hint}")
    return value


def known_names(given: Iterable[str], known: Iterable[str]) -> None:
    """Raises for the first name that is not known, with the nearest one."""
    words = list(known)
    for name in given:
        if name not in words:
            near = _nearest(name, words)
            hint = f": do you mean {near[0]}?" if near else f": there are {', '.join(words)}"
            raise UsageError(name, f"is no such keyword{hint}")


def path(name: str, value: Any) -> str:
    """A path as text."""
    import os

    try:
        found = os.fsdecode(value)
        os.fsencode(found)
    except TypeError:
        raise UsageError(name, "must be a path", repr(value)) from None
    except UnicodeEncodeError:
        raise UsageError(name, "must be a path that the system can have", ascii(value)) from None
    if "\0" in found:
        raise UsageError(name, "must have no NUL character", ascii(found))
    return found


def unicode(name: str, value: str) -> str:
    """A text that the planner can read."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(name, "must be UTF-8", ascii(value[error.start])) from None
    return value


def json_path(value: Any, matlabs: str) -> str:
    """The path of a file of JSON; ``matlabs`` is what is for MATLAB's."""
    given = path("path", value)
    if given.lower().endswith(".mat"):
        raise UsageError("path", f"must be of a file of JSON: {matlabs} is for MATLAB's", repr(given))
    return given
