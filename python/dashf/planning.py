"""Planning: one method, or several beside each other, one's own among them."""
from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _core, checks
from .drawing import SEED_MAX
from .errors import Error, InfeasibleError, UsageError
from .plan import Iteration, Plan, _require_scenario, decisions, thread_count, time_limit
from .scenario import Scenario

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

__all__ = ["solve", "compare", "methods", "Comparison", "ComparisonRow", "Method"]

Method = str | Callable[[Scenario], Any]


@contextlib.contextmanager
def workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that plan. What ends the block ends what they are at, and they begin nothing more."""
    from concurrent.futures import ThreadPoolExecutor

    stop = _core.SharedStop()
    pool = ThreadPoolExecutor(count, initializer=stop.obey)
    try:
        yield pool
    except BaseException:
        stop.stop()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    finally:
        pool.shutdown()


def methods() -> dict[str, str]:
    """The planning methods, each with one line on it."""
    return dict(_core.methods())


def name_of(method: Method) -> str:
    """How tables call it."""
    return method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)


def named_methods(methods: Method | Iterable[Method] | Mapping[str, Method]) -> dict[str, Method]:
    """By the names that tables call them by; raises UsageError for two of one name, and for what is no method."""
    known = dict(_core.methods())
    if isinstance(methods, str) or callable(methods):
        methods = [methods]
    pairs = list(methods.items() if isinstance(methods, Mapping) else ((name_of(method), method) for method in methods))
    for name, method in pairs:
        if not callable(method):
            checks.one_of("methods", method, known)
    checks.texts("methods", [name for name, _ in pairs], len(pairs), "names")
    named = dict(pairs)
    for name in named:
        if sum(name == other for other, _ in pairs) > 1:
            raise UsageError("methods", "must have different names: give a dict of them by their names", f"{name!r} twice")
    return named


def solve(scenario: Scenario, method: Method = "prices", *, gap_target: float | None = None,
          time_limit_s: float | None = None, certify: bool = False, start: Plan | None = None,
          handover_penalty: float = 0.0, seed: int = 1, threads: int | None = None,
          on_iteration: Callable[[Iteration], Any] | None = None) -> Plan:
    """Plans a scenario: association, splits and resources. As ``dashf solve``, to the last bit.

    ``method`` is one of ``methods()``, or a function of one's own: it is given the scenario and returns a Plan, a
    dict of arrays (``server``, ``local_layers``, and the five amounts or ``resources``; see ``Plan.from_arrays``), or
    (server, local_layers). The other arguments are for dashf's methods.

    ``gap_target`` (0 to 1, relative; 1e-4): methods with a bound of their own stop where it is this near; with the
    makespan a bound is searched for only where this or ``certify`` is given. ``time_limit_s``: ends with the best
    plan so far, and ``termination`` "time_limit". ``certify`` proves the bound (docs/certificates.md; method
    "prices"). ``start``: goes on from a plan of a scenario with the same ids, users who leave their server there
    costing ``handover_penalty`` of score each ("prices", delay "sum"). ``seed``: same seed, same plan. ``threads``:
    the plan does not depend on them; all cores. ``on_iteration`` is called with each row of the log, and may come
    from another thread; what it raises ends the search and is raised here.

    The interpreter's lock is free meanwhile. Ctrl-C ends the search with the best plan so far, which says
    ``interrupted``; it raises KeyboardInterrupt only where there is none yet.

    Raises UsageError, InfeasibleError, NumericalError.
    """
    _require_scenario(scenario)
    if callable(method):
        return _solve_by(method, scenario)
    if not isinstance(method, str):
        raise UsageError("method", "must be a name or a function", repr(type(method).__name__))
    if start is not None and not isinstance(start, Plan):
        raise UsageError("start", "must be a dashf.Plan", repr(type(start).__name__))
    if on_iteration is not None and not callable(on_iteration):
        raise UsageError("on_iteration", "must be a function", repr(on_iteration))
    penalty = checks.number("handover_penalty", handover_penalty, 0.0)
    if penalty > 0.0 and start is None:
        raise UsageError("handover_penalty", "needs start: the plan whose servers users leave")
    native = _core.solve(
        scenario._native, checks.unicode("method", method), checks.integer("seed", seed, 0, SEED_MAX),
        None if gap_target is None else checks.number("gap_target", gap_target, 0.0, 1.0), time_limit(time_limit_s),
        checks.boolean("certify", certify), thread_count(threads), start._native if start is not None else None,
        penalty, (lambda row: on_iteration(Iteration(*row))) if on_iteration is not None else None)
    return Plan._of(scenario, native)


def _solve_by(method: Callable[[Scenario], Any], scenario: Scenario) -> Plan:
    plan = decisions(scenario, method(scenario), name_of(method))
    if not plan.feasible:
        first = plan.violations[0]
        raise InfeasibleError(first.where, f"{first.rule} (limit {first.limit:.12g})", f"{first.value:.12g}")
    return plan


@dataclass(frozen=True)
class ComparisonRow:
    """What one method made of the scenario."""

    method: str
    plan: Plan | None  # None where there is none.
    note: str  # How it ended, or why there is no plan.
    elapsed_s: float


class Comparison:
    """Several methods' plans of one scenario; iterates over its rows, ``["dashf"]`` is that method's plan."""

    def __init__(self, scenario: Scenario, rows: list[ComparisonRow]) -> None:
        self.scenario, self.rows = scenario, rows

    def __iter__(self) -> Iterator[ComparisonRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, method: str) -> Plan:
        for row in self.rows:
            if row.method == method:
                if row.plan is None:
                    raise KeyError(f"{method} gave no plan: {row.note}")
                return row.plan
        raise KeyError(method)

    @property
    def best(self) -> Plan | None:
        """Of the highest SCR."""
        return max((row.plan for row in self.rows if row.plan), key=lambda plan: plan.scr, default=None)

    def to_frame(self) -> Any:
        """A pandas frame with a row per method."""
        import pandas

        return pandas.DataFrame(self.table()).set_index("method")

    def table(self) -> list[dict[str, Any]]:
        """A dict per method: method, scr, percent_of_best, score, cost, delay_s, energy_j, elapsed_s, note."""
        best = self.best.scr if self.best else 0.0
        made = []
        for row in self.rows:
            plan = row.plan
            made.append({"method": row.method, "scr": plan.scr if plan else None,
                         "percent_of_best": 100.0 * plan.scr / best if plan and best > 0.0 else None,
                         "score": plan.score if plan else None, "cost": plan.cost if plan else None,
                         "delay_s": plan.delay_s if plan else None, "energy_j": plan.energy_j if plan else None,
                         "elapsed_s": row.elapsed_s, "note": row.note})
        return made

    def __repr__(self) -> str:
        lines = [f"{'method':<19}{'scr':>12}{'% of best':>11}{'delay s':>12}{'energy J':>12}{'time s':>9}  note"]
        for row in self.table():
            cells = [f"{row[key]:{form}}" if row[key] is not None else f"{'-':>{form.split('.')[0].lstrip('>')}}"
                     for key, form in (("scr", ">12.6e"), ("percent_of_best", ">11.2f"), ("delay_s", ">12.5g"),
                                       ("energy_j", ">12.5g"), ("elapsed_s", ">9.3f"))]
            lines.append(f"{row['method']:<19}{''.join(cells)}  {row['note']}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from .pictures import comparison_html

        return comparison_html(self)


def compare(scenario: Scenario, methods: Iterable[Method] | Mapping[str, Method] | None = None, *,
            time_limit_s: float | None = None, seed: int = 1, jobs: int | None = None) -> Comparison:
    """Plans one scenario by several methods. As ``dashf compare``, with methods of one's own beside dashf's.

    ``methods`` are names and functions (see ``solve``), no two of one name, or a dict of them by the names that they
    get; all of dashf's by default. ``time_limit_s`` is for each. ``jobs`` are planned at once, one thread each; 1 gives the fairest
    times; functions of one's own are called one after the other. A method without a plan is a row that says why; what
    a function of one's own raises besides dashf's errors is raised, as is KeyboardInterrupt at Ctrl-C.
    """
    _require_scenario(scenario)
    named = named_methods(list(dict(_core.methods())) if methods is None else methods)
    limit = time_limit(time_limit_s)

    def run(name: str, method: Method) -> ComparisonRow:
        begin = time.perf_counter()
        try:
            if callable(method):
                plan = decisions(scenario, method(scenario), name)
                if not plan.feasible:
                    first = plan.violations[0]
                    return ComparisonRow(name, None, f"{first.where}: {first.rule}", time.perf_counter() - begin)
            else:
                plan = solve(scenario, method, time_limit_s=limit, seed=seed, threads=1)
            if plan.interrupted:  # Half a comparison would be none.
                raise KeyboardInterrupt
        except Error as error:
            return ComparisonRow(name, None, str(error), time.perf_counter() - begin)
        return ComparisonRow(name, plan, plan.termination, time.perf_counter() - begin)

    at_once = thread_count(jobs)
    if at_once == 1 or len(named) < 2:
        return Comparison(scenario, [run(*pair) for pair in named.items()])
    with workers(at_once) as pool:
        waiting = {name: pool.submit(run, name, method) for name, method in named.items()
                   if not callable(method)}
        own = {name: run(name, method) for name, method in named.items() if callable(method)}
        return Comparison(scenario, [own[name] if name in own else waiting[name].result() for name in named])
