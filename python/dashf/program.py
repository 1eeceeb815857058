"""Starts the program dashf, which trains and carries plans out, and brings back what it says.

It is a child process: what goes wrong there is one of dashf's exceptions here, with the exit code of docs/exit-codes.md.
"""
from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import checks
from .errors import Error, IoError, UsageError, of_kind

Progress = bool | Callable[[str], Any]
_LOOK_S = 0.1
_PIECE_BYTES, _PIECES_AT_END = 65536, 16  # More than a pipe holds by default.


def path_of(program: os.PathLike[str] | str | None) -> str:
    """Where it is: as given, else as the environment's DASHF says, else the first ``dashf`` on PATH. Raises IoError."""
    import shutil

    given = checks.path("program", program) if program is not None else os.environ.get("DASHF") or "dashf"
    found = shutil.which(given)
    if found is None:
        way = "program" if program is not None else "DASHF" if os.environ.get("DASHF") else "PATH"
        raise IoError(way, "must lead to the program dashf, which trains and runs: tools/packages.sh in a checkout builds it as a "
                      "Debian package, which apt install ./build/release/packages/dashf_*.deb installs; program= or the "
                      "environment's DASHF names it elsewhere",
                      given if way != "PATH" else "")
    return found


def words_of(options: dict[str, Any]) -> list[str]:
    """Keywords as the command line has them: learning_rate=1e-3 is --learning-rate 0.001, resume=True --resume."""
    words = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, (list, tuple)):
            words += [flag, ",".join(str(one) for one in value)]
        elif isinstance(value, (str, int, float, os.PathLike)) or hasattr(value, "__index__"):
            # A text that begins with a dash would be an option.
            words.append(f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
        else:
            raise UsageError(name, "must be a text, a number, a path, a list of them, True or False", repr(value))
    return words


def run(words: Sequence[str], program: os.PathLike[str] | str | None, progress: Progress) -> str:
    """Starts it and waits; returns its standard output. ``progress``: True shows what it says on this process' standard
    error, a function is given each line.

    It is in a process group of its own, so that Ctrl-C reaches it once, from here: it ends in order, and then
    KeyboardInterrupt is raised; a second one ends it at once. So it is with what ``progress`` raises. Raises dashf's
    exceptions.
    """
    import subprocess
    import tempfile

    if not isinstance(progress, bool) and not callable(progress):
        raise UsageError("progress", "must be True, False or a function", repr(progress))
    show = progress if callable(progress) else _to_stderr if progress else _nowhere
    said: list[str] = []
    path = path_of(program)
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen([path, *words], stdin=subprocess.DEVNULL, stdout=output,
                                     stderr=subprocess.PIPE, process_group=0)
        except OSError as error:
            raise IoError(path, f"cannot be started: {error.strerror or error}") from None
        with child:
            try:
                for line in _lines(child):
                    said.append(line)
                    show(line)
                child.wait()
            except BaseException:
                _end(child)
                raise
        if child.returncode != 0:
            raise _error(words[0], child.returncode, said)
        output.seek(0)
        return output.read().decode("utf-8", errors="replace")


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _nowhere(line: str) -> None:
    pass


def _lines(child: Any) -> Iterator[str]:
    """What it says on standard error until it ends, though what it started may hold that open for longer."""
    import codecs
    import io
    import selectors

    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")("replace"), translate=True)
    rest, pieces_left = "", _PIECES_AT_END
    with selectors.DefaultSelector() as selector:
        selector.register(child.stderr, selectors.EVENT_READ)
        while pieces_left > 0:
            ended = child.poll() is not None  # All that it said is in the pipe, then.
            if not selector.select(0.0 if ended else _LOOK_S):
                if ended:
                    break
                continue
            piece = os.read(child.stderr.fileno(), _PIECE_BYTES)
            if not piece:
                break
            pieces_left -= ended
            *lines, rest = (rest + decoder.decode(piece)).split("\n")
            yield from lines
    rest += decoder.decode(b"", final=True)
    if rest:
        yield rest.rstrip("\n")


def _end(child: Any) -> None:
    """In order, however long the step at hand takes; at once at another Ctrl-C."""
    import signal

    try:
        child.send_signal(signal.SIGINT)
        for _ in _lines(child):  # Nobody may wait for room in a pipe.
            pass
        child.wait()
    except KeyboardInterrupt:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # With the processes of a run.
        child.wait()


def _error(verb: str, code: int, said: list[str]) -> Error:
    """Of "dashf: PLACE: RULE, got VALUE", its last word, or of "dashf VERB: RULE", a line before its last."""
    if code < 0:
        return Error(f"dashf {verb}", f"was ended by signal {-code}" + (f": {said[-1]}" if said else ""))
    for at in range(len(said) - 1, -1, -1):
        found = re.match(r"dashf(?: [a-z ]+)?: (.*)", said[at])
        if found:
            rest = [line for line in said[at + 1:] if not line.endswith("says how it is called")]
            place, colon, rule = found[1].partition(": ")
            message = "\n".join([rule if colon else place, *rest])
            error = of_kind(code, place if colon else f"dashf {verb}", message)
            break
    else:
        error = of_kind(code, f"dashf {verb}", "; ".join(said[-3:]) or "failed without a word")
    error.exit_code = code
    return error
