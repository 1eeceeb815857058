"""Training, from Python: the program dashf trains adapters and carries plans out, and its results come back.

    training = dashf.train("Llama-3.2-1B", "train.jsonl", "adapter", epochs=3, held_out=0.1)
    print(training.losses[-1], training.adapter)
"""
from __future__ import annotations

import json
import os
import pathlib
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks, program as programs
from .errors import BadInputError, Error, IoError, RoundFailedError, UsageError
from .program import Progress
from .scenario import Scenario

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Run", "Training", "report", "run", "train"]

_Path = os.PathLike[str] | str
_PHASES = ("local", "upload", "server", "download")
_FIGURES = ("loss_before", "loss_after", "exact_match_before", "exact_match_after", "choice_accuracy_before",
            "choice_accuracy_after", "upload_bytes", "download_bytes", "local_cpu_s", "server_cpu_s")


class Training:
    """What ``dashf.train`` brought."""

    def __init__(self, result: dict[str, Any]) -> None:
        self.result: dict[str, Any] = result  # All that ``dashf train --json`` says.

    @property
    def adapter(self) -> pathlib.Path:
        """The folder, as ``peft.PeftModel.from_pretrained(base, adapter)`` takes it."""
        return pathlib.Path(self.result["out"])

    @property
    def losses(self) -> NDArray[np.float64]:
        """(steps,), nat per answer token, of each step's samples before the step."""
        return np.array(self.result["losses"], dtype=np.float64)

    @property
    def held_out(self) -> dict[str, Any] | None:
        """``before`` and ``after``: loss, perplexity, exact_match; None where nothing was held out."""
        return self.result["held_out"]

    @property
    def elapsed_s(self) -> float:
        """Of the steps."""
        return self.result["elapsed_s"]

    def to_frame(self) -> Any:
        """A pandas frame with a row per step: loss."""
        import pandas

        return pandas.DataFrame({"loss": self.losses}, index=pandas.RangeIndex(1, len(self.losses) + 1, name="step"))

    def __repr__(self) -> str:
        tested = ""
        if self.held_out:
            tested = f", held-out loss {self.held_out['before']['loss']:.4f} -> {self.held_out['after']['loss']:.4f}"
        return f"<dashf.Training {str(self.adapter)!r}: {self.result['steps']} steps, {self.elapsed_s:.3g} s{tested}>"


def train(model: _Path, data: _Path, out: _Path, *, program: _Path | None = None, progress: Progress = True,
          **options: Any) -> Training:
    """Fine-tunes a LoRA or LLaMA-Adapter on this machine and writes it for PEFT. As ``dashf train`` (docs/training.md).

    ``model`` is a Hugging Face folder or a GGUF file, ``data`` what docs/data.md describes (``dashf.data.convert`` makes
    it of Parquet and CSV), ``out`` the adapter's folder. ``options`` are those of ``dashf train --help`` with underscores:
    ``epochs=3``, ``learning_rate=1e-3``, ``held_out=0.1``, ``targets=["q_proj", "v_proj"]``, ``resume=True``.

    ``program`` is where the program is (else the environment's DASHF, else PATH). ``progress``: True shows its lines on
    standard error, a function is given each, False is silent. Ctrl-C lets the step at hand end, keeps a checkpoint in
    ``out`` and raises KeyboardInterrupt: ``resume=True`` goes on from there.

    Raises UsageError for an option, BadInputError, IoError; NumericalError where the training diverged (``out`` then
    holds the adapter of the step where the loss was least).
    """
    words = ["train", "--json", *programs.words_of(
        {"model": checks.path("model", model), "data": checks.path("data", data), "out": checks.path("out", out)}),
        *programs.words_of(options)]
    printed = programs.run(words, program, progress)
    try:
        return Training(json.loads(printed))
    except ValueError as error:
        raise Error("dashf train", f"must print its result as JSON: {error}") from None


class Run:
    """A run's folder: what each round brought each user, and the adapters. ``Run(folder)`` looks at an earlier one."""

    def __init__(self, folder: _Path) -> None:
        self.folder = pathlib.Path(checks.path("folder", folder))
        self.rounds: list[dict[str, Any]] = [_read_round(path) for path in sorted(self.folder.glob("rounds/*/round.json"))]
        if not self.rounds:
            raise IoError(str(self.folder), "must be a run's folder, with rounds/0001/round.json")

    @property
    def state(self) -> str:
        """Of the last round: "done" where every user is."""
        return self.rounds[-1]["state"]

    @property
    def adapters(self) -> dict[str, pathlib.Path]:
        """Each user's best adapter so far, a folder for PEFT; users without one are not there."""
        return {path.name: path for path in sorted(self.folder.glob("adapters/*")) if path.is_dir()}

    @property
    def report(self) -> pathlib.Path:
        """report.html."""
        return self.folder / "report.html"

    @property
    def references(self) -> dict[str, Any] | None:
        """What training in one place reached on the users' tests (docs/formats.md); None where it was left out."""
        return _read_round(self.folder / "round.json").get("references")

    def to_frame(self) -> Any:
        """A pandas frame with a row per round and user: ``server``, ``local_layers``, ``state``, ``failure``, losses and
        matches before and after, bytes sent, and of each phase the seconds as planned and as measured.

        ``_before`` is the base model's without any adapter, in every round the same; ``_after`` is with the adapter that
        the round made. ``predicted_*_s`` is the plan's, for the devices of the scenario; ``measured_*_s`` is this
        machine's clock, and the two agree only where the run holds its nodes to the plan (docs/emulation.md).
        """
        import pandas

        rows = []
        for one in self.rounds:
            for user in one["users"]:
                row = {"round": one["round"], "user": user["id"]}
                row |= {key: user.get(key) for key in ("server", "local_layers", "state", "failure", *_FIGURES)}
                for way in ("predicted", "measured"):
                    seconds = user.get(f"{way}_s") or {}
                    row |= {f"{way}_{phase}_s": seconds.get(phase) for phase in _PHASES}
                rows.append(row)
        frame = pandas.DataFrame(rows).set_index(["round", "user"])
        numbers = [*_FIGURES, *(f"{way}_{phase}_s" for way in ("predicted", "measured") for phase in _PHASES)]
        return frame.astype({name: float for name in numbers})

    def __repr__(self) -> str:
        return (f"<dashf.Run {str(self.folder)!r}: {len(self.rounds)} rounds, {len(self.adapters)} adapters, "
                f"{self.state}>")


def _read_round(path: pathlib.Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise IoError(str(path), f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise BadInputError(str(path), f"must be JSON: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != "dashf.round/1":
        raise BadInputError(f"{path}: schema", "must be dashf.round/1")
    return found


def run(source: Scenario | _Path, out: _Path, *, program: _Path | None = None, progress: Progress = True,
        **options: Any) -> Run:
    """Plans a scenario and carries the plan out on this machine, with real processes. As ``dashf run`` (configs/README.md).

    ``source`` is a Scenario, or the path of a scenario or TOML file; ``out`` the run's folder: new, empty, or an earlier
    run's, whose results are removed first. ``options`` are those of ``dashf run --help`` with underscores: ``rounds=3``,
    ``model=``, ``data=``, ``method=``, ``time_scale=``, ``no_references=True``. ``program``, ``progress`` and Ctrl-C are
    as ``train`` has them; what the rounds brought before it stays in ``out``.

    Raises RoundFailedError where a round did not end for every user (its ``run`` has what there is), UsageError,
    BadInputError, InfeasibleError, IoError.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="dashf-") as scratch:
        if isinstance(source, Scenario):
            place = os.path.join(scratch, "scenario.json")
            source.save(place)
        else:
            place = checks.path("source", source)
        folder = checks.path("out", out)
        if place.startswith("-"):
            raise UsageError("source", "must not begin with a dash: write ./ before it", repr(place))
        try:
            programs.run(["run", place, *programs.words_of({"out": folder, **options})], program, progress)
        except RoundFailedError as error:
            if os.path.exists(os.path.join(folder, "round.json")):
                error.run = Run(folder)
            raise
    return Run(folder)


def report(folder: _Path, *, program: _Path | None = None) -> pathlib.Path:
    """Writes a run's report.html again and returns its path. As ``dashf report``. Raises IoError, BadInputError."""
    place = checks.path("folder", folder)
    if place.startswith("-"):
        raise UsageError("folder", "must not begin with a dash: write ./ before it", repr(place))
    programs.run(["report", place], program, False)
    return pathlib.Path(place) / "report.html"
