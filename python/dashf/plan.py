"""Plans: what every user does, as arrays, and what that brings."""
from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from . import _core, checks
from .errors import BadInputError, InfeasibleError, NumericalError, UsageError
from .scenario import Scenario

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Plan", "Evaluation", "Violation", "Iteration", "Explanation", "CapacityValue", "UserReason", "Alternative"]

RESOURCES = ("local_clock_hz", "tx_power_w", "bandwidth_hz", "server_tx_power_w", "server_clock_hz")
PHASES = ("local", "upload", "server", "download")
_EXPLAINED_UNASKED = 30  # Users; each takes many resource steps.


class Violation(NamedTuple):
    """A limit that a plan breaks."""

    where: str  # "user u3", "server s1".
    rule: str
    value: float
    limit: float


class Iteration(NamedTuple):
    """A row of a method's log."""

    iteration: int
    scr: float  # Of the best plan so far.
    residual: float  # Dinkelbach's F(y) (docs/dashf.md), 0 where a method has none.
    elapsed_s: float
    step: str


class Evaluation(NamedTuple):
    """What a plan brings, recomputed from the scenario and the decisions alone (docs/model.md (1) to (7))."""

    feasible: bool
    violations: list[Violation]
    scr: float  # score / cost; 0 where an infeasible plan's cost has no value.
    score: float
    cost: float
    delay_s: float  # By the scenario's delay mode.
    energy_j: float
    user_delay_s: NDArray[np.float64]  # (users, 4): local, upload, server, download.
    user_energy_j: NDArray[np.float64]  # The same.
    user_score: NDArray[np.float64]  # (users,)


class Alternative(NamedTuple):
    """Another choice of one user."""

    server: str
    local_layers: int
    scr_change: float  # Relative; negative: the plan's own choice is better.


class CapacityValue(NamedTuple):
    """What more of a server's resource would bring."""

    server: str
    resource: str  # "bandwidth", "power" or "clock".
    used_share: float
    scr_change_per_percent: float  # Of SCR, relative, if the capacity were 1 % larger.


class UserReason(NamedTuple):
    """Why a user is where it is."""

    user: str
    server: str
    local_layers: int
    other_split: Alternative | None  # The best other split at the same server.
    other_server: Alternative | None  # The best split at the best other server with a slot.


class Explanation(NamedTuple):
    """Why a plan is as it is."""

    unused_scr: float  # What better resources alone would add to SCR, relative.
    capacities: list[CapacityValue]
    users: list[UserReason]


Self = TypeVar("Self", bound="Plan")


class Plan:
    """Who works with which server at which split, with which resources. It never changes.

    Arrays have one entry per user in the scenario's order, and are read-only views of the planner's own memory. The
    figures come from the evaluator, which shares no code with any method.
    """

    __slots__ = ("_native", "_scenario", "__weakref__")
    _native: _core.Plan
    _scenario: Scenario

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("solve(), Plan.from_arrays(), .load() and .from_json() make plans")

    @classmethod
    def _of(cls: type[Self], scenario: Scenario, native: _core.Plan) -> Self:
        made = object.__new__(cls)
        made._scenario, made._native = scenario, native
        return made

    # Making one ------------------------------------------------------------------------------------------------------

    @classmethod
    def from_arrays(cls: type[Self], scenario: Scenario, server: ArrayLike, local_layers: ArrayLike, *,
                    resources: str | None = None, method: str = "arrays", **amounts: ArrayLike) -> Self:
        """A plan of one's own decisions: ``server`` (users,), index of each user's, and ``local_layers`` (users,), k.

        The amounts are ``local_clock_hz``, ``tx_power_w``, ``bandwidth_hz``, ``server_tx_power_w`` and
        ``server_clock_hz``, all five of them, (users,) each; or ``resources``: "best" for the best there are by the
        convex step (docs/dashf.md), the default where no amounts are given, or "equal" for equal shares.

        Amounts may break limits: ``feasible`` and ``violations`` say so. Raises BadInputError for what names no
        server or split; InfeasibleError where resources are asked for and who is where breaks a limit.
        """
        _require_scenario(scenario)
        users = (scenario.users,)
        where = checks.integers("server", server, users, "(users,)")
        layers = checks.integers("local_layers", local_layers, users, "(users,)")
        checks.known_names(amounts, RESOURCES)
        if resources is not None:
            checks.one_of("resources", resources, ("best", "equal"))
        if not amounts:
            native = _core.allocate(scenario._native, method, where, layers, resources == "equal")
            return cls._of(scenario, native)
        if resources is not None:
            raise UsageError("resources", "are found by dashf: give either resources or the amounts")
        missing = [name for name in RESOURCES if name not in amounts]
        if missing:
            raise UsageError(missing[0], "is needed beside the other amounts: give all of " + ", ".join(RESOURCES))
        columns = {name: checks.finite(name, checks.numbers(name, amounts[name], users, "(users,)"))
                   for name in RESOURCES}
        return cls._of(scenario, _core.plan_from_arrays(scenario._native, method, where, layers, columns))

    @classmethod
    def load(cls: type[Self], path: os.PathLike[str] | str, scenario: Scenario) -> Self:
        """Reads a dashf.plan/1 file for its scenario. Raises IoError or BadInputError (file, JSON path, rule, value)."""
        _require_scenario(scenario)
        return cls._of(scenario, _core.read_plan(scenario._native, checks.unicode(
            "path", checks.json_path(path, "dashf.mat.load_plan"))))

    @classmethod
    def from_json(cls: type[Self], text: str, scenario: Scenario) -> Self:
        """The same from a string."""
        _require_scenario(scenario)
        if not isinstance(text, str):
            raise UsageError("text", "must be a string", repr(type(text).__name__))
        return cls._of(scenario, _core.parse_plan(scenario._native, "plan", checks.unicode("text", text)))

    # Decisions -------------------------------------------------------------------------------------------------------

    @property
    def scenario(self) -> Scenario:
        """What it is a plan for."""
        return self._scenario

    @property
    def server(self) -> NDArray[np.int32]:
        """(users,), index of the user's server."""
        return self._native.server

    @property
    def local_layers(self) -> NDArray[np.int32]:
        """(users,), k: the user trains layers 1..k."""
        return self._native.local_layers

    @property
    def local_clock_hz(self) -> NDArray[np.float64]:
        """(users,), f."""
        return self._native.resource("local_clock_hz")

    @property
    def tx_power_w(self) -> NDArray[np.float64]:
        """(users,), p, of the upload."""
        return self._native.resource("tx_power_w")

    @property
    def bandwidth_hz(self) -> NDArray[np.float64]:
        """(users,), b, in both directions."""
        return self._native.resource("bandwidth_hz")

    @property
    def server_tx_power_w(self) -> NDArray[np.float64]:
        """(users,), q, of the download."""
        return self._native.resource("server_tx_power_w")

    @property
    def server_clock_hz(self) -> NDArray[np.float64]:
        """(users,), s, of the server's clock."""
        return self._native.resource("server_clock_hz")

    # What it brings --------------------------------------------------------------------------------------------------

    @property
    def scr(self) -> float:
        """Score over cost (7)."""
        return self._native.scr

    @property
    def score(self) -> float:
        """(6), of all users."""
        return self._native.score

    @property
    def cost(self) -> float:
        """(5)."""
        return self._native.cost

    @property
    def delay_s(self) -> float:
        """By the scenario's delay mode: of all users together, or the makespan."""
        return self._native.delay_s

    @property
    def energy_j(self) -> float:
        """Of all users and phases."""
        return self._native.energy_j

    @property
    def user_delay_s(self) -> NDArray[np.float64]:
        """(users, 4), of the phases local, upload, server, download."""
        return self._native.user_delay_s

    @property
    def user_energy_j(self) -> NDArray[np.float64]:
        """(users, 4), of the same phases."""
        return self._native.user_energy_j

    @property
    def user_score(self) -> NDArray[np.float64]:
        """(users,)."""
        return self._native.user_score

    @property
    def feasible(self) -> bool:
        """Every limit of (3) holds to 1e-9, relative, and every number is finite."""
        return self._native.feasible

    @property
    def violations(self) -> list[Violation]:
        """The limits that it breaks."""
        return [Violation(*row) for row in self._native.violations]

    def evaluate(self, scenario: Scenario | None = None) -> Evaluation:
        """All of the above in one; with ``scenario`` what these decisions bring there (as many users, its servers)."""
        if scenario is not None and scenario is not self._scenario:
            return self.on(scenario).evaluate()
        return Evaluation(self.feasible, self.violations, self.scr, self.score, self.cost, self.delay_s, self.energy_j,
                          self.user_delay_s, self.user_energy_j, self.user_score)

    def on(self: Self, scenario: Scenario) -> Self:
        """The same decisions as a plan of another scenario with as many users."""
        return type(self).from_arrays(scenario, self.server, self.local_layers, method=self.method,
                                      **{name: self._native.resource(name) for name in RESOURCES})

    # How it was found ------------------------------------------------------------------------------------------------

    @property
    def method(self) -> str:
        """The method's name."""
        return self._native.method

    @property
    def seed(self) -> int:
        """Of the method."""
        return self._native.seed

    @property
    def termination(self) -> str:
        """"converged", "stalled", "iteration_limit", "time_limit", "numerical_error" or, after Ctrl-C, "interrupted".

        A file of the plan has "time_limit" for the last one, too (docs/formats.md).
        """
        reason: str = self._native.termination
        return "interrupted" if self._native.search_interrupted and reason == "time_limit" else reason

    @property
    def interrupted(self) -> bool:
        """Ctrl-C ended the search, or the proof: this is the best plan, and what is proven, so far."""
        return self._native.interrupted

    @property
    def elapsed_s(self) -> float:
        """What the search took; 0 for plans that were not searched for here."""
        return self._native.elapsed_s

    @property
    def history(self) -> list[Iteration]:
        """The method's log."""
        return [Iteration(*row) for row in self._native.history]

    # How good it is --------------------------------------------------------------------------------------------------

    @property
    def bound_status(self) -> str:
        """What is known of an upper bound on every plan's SCR: "none", "numerical" or "proven"."""
        return self._native.bound_status

    @property
    def scr_upper(self) -> float | None:
        """The bound."""
        return self._native.scr_upper

    @property
    def gap(self) -> float | None:
        """(scr_upper - scr) / scr_upper."""
        return self._native.gap

    def bound(self: Self, *, gap_target: float = 1e-4, time_limit_s: float | None = None,
              threads: int | None = None) -> Self:
        """This plan with a proven bound on the SCR of every plan of its scenario, whoever made it.

        A bound that it has already is proven again, and kept where it is the lower one. Where none could be proven in
        time ``bound_status`` says so. Raises InfeasibleError where the plan breaks a limit, NumericalError where no bound is
        found. As ``dashf bound``.
        """
        native = _core.prove_bound(self._native, checks.number("gap_target", gap_target, 0.0, 1.0),
                                   time_limit(time_limit_s), thread_count(threads))
        return type(self)._of(self._scenario, native)

    def verify(self, *, time_limit_s: float | None = None, threads: int | None = None) -> float:
        """Evaluates the plan and proves its bound again from the certificate alone; returns the gap.

        Raises InfeasibleError where the plan breaks a limit, BadInputError where it states no certificate or one that
        does not prove its bound, NumericalError where the time ended first. As ``dashf verify``.
        """
        if not self.feasible:
            first = self.violations[0]
            raise InfeasibleError(first.where, f"{first.rule} (limit {first.limit:.12g})", f"{first.value:.12g}")
        proven, in_time, reason = _core.verify(self._native, time_limit(time_limit_s), thread_count(threads))
        if not in_time:
            raise NumericalError("time_limit_s", f"ended the proof: {reason}")
        if not proven:
            raise BadInputError("bound", reason)
        assert self.gap is not None
        return self.gap

    def explain(self, users: Iterable[str | int] | None = None) -> Explanation:
        """What limits the plan, and what each user's next best choice would cost.

        ``users`` are ids or indices; None: all, where there are at most 30, else none. Changes of SCR are relative,
        with the resources of the servers concerned allocated anew. Raises InfeasibleError where the plan breaks a
        limit. As ``dashf explain``.
        """
        if users is None:
            chosen = list(range(self._scenario.users)) if self._scenario.users <= _EXPLAINED_UNASKED else []
        else:
            index = {name: n for n, name in enumerate(self._scenario.user_ids)}
            chosen = []
            for one in [users] if isinstance(users, str) else users:
                if isinstance(one, str) and one not in index:
                    raise UsageError("users", "must be ids or indices of users", repr(one))
                chosen.append(index[one] if isinstance(one, str)
                              else checks.integer("users", one, 0, self._scenario.users - 1))
        unused, capacities, reasons = self._native.explain(chosen)
        return Explanation(unused, [CapacityValue(*row) for row in capacities],
                           [UserReason(*row[:3], *(Alternative(*other) if other else None for other in row[3:]))
                            for row in reasons])

    def handovers_from(self, before: Plan) -> int:
        """How many users change server although theirs is still there; users and servers are matched by id."""
        return _core.handovers(before._native, self._native)

    # Writing it ------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """As dashf.plan/1 (docs/formats.md); keeps every bit."""
        return self._native.to_json()

    def save(self, path: os.PathLike[str] | str) -> None:
        """Writes ``to_json()`` to a file, whole or not at all."""
        from .files import write_text

        write_text(checks.json_path(path, "dashf.mat.save"), self.to_json())

    def to_frame(self) -> Any:
        """A pandas frame with a row per user: server, split, resources, delay, energy, score."""
        import pandas

        ids = self._scenario.server_ids
        columns: dict[str, Any] = {"server": [ids[m] for m in self.server], "local_layers": self.local_layers}
        columns |= {name: self._native.resource(name) for name in RESOURCES}
        for i, phase in enumerate(PHASES):
            columns[f"{phase}_s"], columns[f"{phase}_j"] = self.user_delay_s[:, i], self.user_energy_j[:, i]
        columns["score"] = self.user_score
        return pandas.DataFrame(columns, index=pandas.Index(self._scenario.user_ids, name="user"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._scenario, self.to_json(), self._native.search_interrupted, self.interrupted,
                          self.elapsed_s)

    def __repr__(self) -> str:
        gap = f", gap {self.gap:.3g}" if self.gap is not None else ""
        broken = "" if self.feasible else f", breaks {len(self.violations)} limits"
        return f"<dashf.Plan by {self.method}: scr {self.scr:.9g}{broken}; {self.termination}, bound {self.bound_status}{gap}>"

    def _repr_html_(self) -> str:
        from .pictures import plan_html

        return plan_html(self)


def _require_scenario(scenario: Any) -> None:
    if not isinstance(scenario, Scenario):
        raise UsageError("scenario", "must be a dashf.Scenario", repr(type(scenario).__name__))


def time_limit(value: float | None) -> float | None:
    """Seconds, or None."""
    return None if value is None else checks.number("time_limit_s", value, 0.0, above=True)


def thread_count(value: int | None) -> int:
    """As given, else the machine's."""
    return (os.cpu_count() or 1) if value is None else checks.integer("threads", value, 1, 1024)


def decisions(scenario: Scenario, made: Any, name: str) -> Plan:
    """What a method of one's own returned, as a plan."""
    if isinstance(made, Plan):
        return made if made.scenario is scenario else made.on(scenario)
    if isinstance(made, Mapping):
        given = dict(made)
    elif isinstance(made, tuple) and len(made) == 2:
        given = dict(zip(("server", "local_layers"), made))
    else:
        raise UsageError(name, "must return a Plan, a dict of arrays, or (server, local_layers)",
                         repr(type(made).__name__))
    checks.known_names(given, ("server", "local_layers", "resources", *RESOURCES))
    for needed in ("server", "local_layers"):
        if needed not in given:
            raise UsageError(name, f"must return {needed}", f"only {', '.join(given) or 'nothing'}")
    return Plan.from_arrays(scenario, method=name, **given)


def _restore(cls: type[Plan], scenario: Scenario, text: str, search_interrupted: bool, interrupted: bool,
             elapsed_s: float) -> Plan:
    return cls._of(scenario, _core.restore_plan(scenario._native, text, search_interrupted, interrupted, elapsed_s))
