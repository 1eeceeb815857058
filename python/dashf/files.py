"""Files, written whole or not at all; links lead where they led, and pipes stay pipes."""
from __future__ import annotations

import os
from collections.abc import Iterable

from .errors import IoError


def write_text(path: str, text: str) -> None:
    """Writes beside the place and renames. Raises IoError."""
    _write(path, [text])


def write_lines(path: str, lines: Iterable[str]) -> None:
    """The same, as the lines come."""
    _write(path, (line + "\n" for line in lines))


def _write(path: str, pieces: Iterable[str]) -> None:
    import tempfile

    place = os.path.realpath(path)  # A link stays one.
    try:
        if os.path.exists(place) and not os.path.isfile(place):  # A pipe or a device, which others have open.
            with open(place, "w", encoding="utf-8", newline="") as out:
                out.writelines(pieces)
            return
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(place), delete=False, encoding="utf-8", newline="") as made:
            try:
                made.writelines(pieces)
                made.flush()
                os.fsync(made.fileno())
                mask = os.umask(0)
                os.umask(mask)
                os.chmod(made.name, 0o666 & ~mask)
                os.replace(made.name, place)
            except BaseException:
                os.unlink(made.name)
                raise
    except IoError:  # What the pieces come from.
        raise
    except OSError as error:
        raise IoError(path, f"cannot be written: {error.strerror or error}") from None
