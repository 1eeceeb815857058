"""Parameter studies: what is varied over seeds and methods, as frames."""
from __future__ import annotations

import itertools
import os
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _core, checks
from .arrays import COLUMNS
from .drawing import SEED_MAX, STUDY_NUMBERS
from .errors import Error, UsageError
from .plan import thread_count
from .planning import Method, compare, named_methods, workers
from .scenario import Scenario

__all__ = ["sweep", "summarise"]

_STUDY = (*STUDY_NUMBERS, "users", "servers", "candidates", "delay", "compute_energy", "all_local_allowed", "family",
          "channel", "shadowing", "fading", "name")
FIGURES = ("scr", "percent_of_best", "score", "cost", "delay_s", "energy_j", "elapsed_s")


def _scenario(settings: Mapping[str, Any], seed: int) -> Scenario:
    """The study's own keywords make the scenario, its columns then replace what it has."""
    study = {name: value for name, value in settings.items() if name in _STUDY}
    columns = {name: value for name, value in settings.items() if name not in _STUDY}
    scenario = Scenario.study(seed=seed, **study)
    return scenario.replace(**columns) if columns else scenario


def _reported(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """What one's own function raises is the note of its row, and the first of it a warning: the others' rows are kept."""
    warned = False

    def called(*values: Any, **more: Any) -> Any:
        nonlocal warned
        try:
            return function(*values, **more)
        except Error:
            raise
        except Exception as error:
            said = f"raised {type(error).__name__}: {error}"
            for frame in traceback.extract_tb(error.__traceback__)[1:2]:
                said += f" ({os.path.basename(frame.filename)}, line {frame.lineno})"
            if not warned:
                warned = True
                warnings.warn(f"{name} {said}: such rows of the sweep have no plan", RuntimeWarning, stacklevel=2)
            raise Error(name, said) from error

    return called


def sweep(vary: Mapping[str, Sequence[Any]], *, seeds: Iterable[int] = range(1, 11),
          methods: Iterable[Method] = ("prices", "dashf", "greedy"), time_limit_s: float | None = None,
          jobs: int | None = None, make: Callable[..., Scenario] | None = None,
          on_done: Callable[[int, int], Any] | None = None, **fixed: Any) -> Any:
    """Varies parameters of the default study and plans each scenario by several methods. As ``dashf sweep``.

    ``vary`` has values for keywords of ``Scenario.study`` and of ``Scenario.replace`` (``server_clock_hz_max``,
    ``score_gain``, ``server_slots``, ...); all combinations are planned, each with every seed. ``fixed`` are keywords
    that stay, of the same kinds: ``users=20``, ``candidates=2``. ``methods`` are names and functions (see ``solve``), or
    a dict of them by the names that they get. ``make(seed=..., **keywords)`` makes other scenarios instead. ``jobs``
    scenarios are planned at once; the plans do not depend on it, and 1 gives the fairest times. ``on_done(done, of)`` is
    called after each, from any thread; what it raises ends the sweep.

    Returns a pandas frame with a row per combination, seed and method: the varied values, ``seed``, ``method``,
    ``scr``, ``percent_of_best`` (of the best method on the same scenario), ``score``, ``cost``, ``delay_s``,
    ``energy_j``, ``elapsed_s``, ``note``; figures are NaN where a method gave no plan, and ``note`` says why. So it is
    where a function of one's own raises, which is also a RuntimeWarning, once for each function. ``summarise`` makes
    means with intervals of the frame. Raises UsageError for a keyword or a value that cannot be.
    """
    import pandas

    if not isinstance(vary, Mapping) or not vary:
        raise UsageError("vary", "must be a dict of keywords and the values that each takes", repr(vary))
    if make is None:
        checks.known_names([*vary, *fixed], (*_STUDY, *COLUMNS))
    for name, values in vary.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise UsageError(f"vary[{name!r}]", "must be a list of values", repr(values))
        if name in fixed:
            raise UsageError(name, "is varied and fixed")
    values = {name: list(each) for name, each in vary.items()}
    chosen = [checks.integer("seeds", seed, 0, SEED_MAX) for seed in seeds]
    wanted = named_methods(methods)
    wanted = {name: _reported(name, method) if callable(method) else method for name, method in wanted.items()}
    maker = _reported("make", make) if make else None
    tasks = [(dict(zip(values, point)), seed) for point in itertools.product(*values.values()) for seed in chosen]
    done = itertools.count(1)

    def run(task: tuple[dict[str, Any], int]) -> list[dict[str, Any]]:
        point, seed = task
        try:
            scenario = maker(seed=seed, **point, **fixed) if maker else _scenario(point | fixed, seed)
        except Error as error:  # Every method's failure.
            if isinstance(error, UsageError) and not maker:
                raise
            rows = [{"method": name, "note": str(error)} for name in wanted]
        else:
            rows = compare(scenario, wanted, time_limit_s=time_limit_s, seed=seed, jobs=1).table()
        if on_done is not None:
            on_done(next(done), len(tasks))
        return [{**point, "seed": seed, **row} for row in rows]

    at_once = thread_count(jobs)
    if at_once == 1:
        made = [run(task) for task in tasks]
    else:
        with workers(at_once) as pool:
            made = list(pool.map(run, tasks))
    columns = [*values, "seed", "method", *FIGURES, "note"]
    frame = pandas.DataFrame(list(itertools.chain.from_iterable(made)), columns=columns)
    return frame.astype({name: float for name in FIGURES})


def mark(value: Any) -> Any:
    """Equal for cells of one value: nothing is one, and so are lists and arrays of the same."""
    import pandas

    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(mark(one) for one in value)
    if pandas.isna(value):
        return None
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def summarise(frame: Any, figures: Sequence[str] = ("scr", "percent_of_best", "delay_s", "energy_j", "elapsed_s"), *,
              confidence: float = 0.95) -> Any:
    """Means over the seeds of a sweep's frame, with Student's t intervals.

    Returns a frame with a row per combination and method: for each of ``figures`` the mean and, as ``FIGURE_plus_minus``,
    half the interval's width (infinite for one seed), over the seeds that the method has a plan for; ``failed``, the
    others. ``print(summarise(frame).to_string())`` shows all columns, of which pandas leaves out the middle ones.
    """
    import pandas

    confidence = checks.number("confidence", confidence, 0.0, 1.0, above=True)
    known = (*FIGURES,)
    for figure in figures:
        checks.one_of("figures", figure, known)
    keys = [name for name in frame.columns if name not in (*FIGURES, "seed", "note")]
    cells = frame[keys].itertuples(index=False, name=None)
    marks = pandas.Series([mark(row) for row in cells], index=frame.index, dtype=object)
    rows = []
    for _, group in frame.groupby(marks, sort=False):
        row: dict[str, Any] = {key: group[key].iloc[0] for key in keys}
        row["failed"] = int(group["scr"].isna().sum())
        for figure in figures:
            values = group.loc[group["scr"].notna(), figure].to_list()
            mean, half = _core.mean_interval(values, confidence) if values else (float("nan"), float("nan"))
            row[figure], row[f"{figure}_plus_minus"] = mean, half
        rows.append(row)
    return pandas.DataFrame(rows)
