"""Scenarios: users, edge servers, split profiles and channel gains as NumPy arrays.

The model and every symbol are in docs/model.md, the file in docs/formats.md. SI units throughout.
"""
from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _core, checks
from .arrays import NODES_MAX, Reading, counts
from .drawing import SEED_MAX, study_settings
from .errors import UsageError
from .profiles import PROFILE, SplitProfile

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Scenario"]

Self = TypeVar("Self", bound="Scenario")


class Scenario:
    """Users, edge servers, split profiles and channel gains. It never changes: ``replace`` makes another one.

    Arrays are read-only views of the planner's own memory. Two threads may solve one scenario at the same time.
    """

    __slots__ = ("_native", "__weakref__")
    _native: _core.Scenario

    def __init__(self, *_: Any, **__: Any) -> None:
        raise TypeError("Scenario.study(), .at_places(), .from_arrays(), .load() and .from_json() make scenarios")

    @classmethod
    def _of(cls: type[Self], native: _core.Scenario) -> Self:
        made = object.__new__(cls)
        made._native = native
        return made

    # Making one ------------------------------------------------------------------------------------------------------

    @classmethod
    def study(cls: type[Self], users: int = 10, servers: int = 2, *, seed: int = 1, **settings: Any) -> Self:
        """The default study (docs/study.md), or one of its families; what ``dashf new`` makes.

        Keywords, all optional: ``candidates`` (strongest servers a user may reach; all), ``delay`` ("sum" or
        "makespan"), ``compute_energy`` ("cubic" or "per-flop"), ``all_local_allowed``, ``area_side_m``,
        ``bandwidth_hz``, ``user_tx_power_w``, ``server_tx_power_w``, ``delay_weight_per_s``, ``energy_weight_per_j``,
        ``family`` (see ``families()``), ``channel`` (see ``channels()``), ``carrier_hz``, ``site_height_m``,
        ``user_height_m``, ``shadowing``, ``fading``, ``gain`` or ``gain_db`` (users, servers) instead of a channel
        model, ``profile`` (path of a dashf.profile/1 file), ``machine_share``, ``name``.

        Raises UsageError naming the keyword, or InfeasibleError where the scenario admits no plan.
        """
        values = study_settings(settings)
        values["users"] = checks.integer("users", users, 1, NODES_MAX)
        values["servers"] = checks.integer("servers", servers, 1, NODES_MAX)
        return cls._of(_core.generate(values, checks.integer("seed", seed, 0, SEED_MAX)))

    @classmethod
    def at_places(cls: type[Self], sites: ArrayLike | os.PathLike[str] | str,
                  users: ArrayLike | os.PathLike[str] | str, *, seed: int = 1, sample_sites: int | None = None,
                  sample_users: int | None = None, **settings: Any) -> Self:
        """Servers and users at given places (docs/scenarios.md); the rest is drawn as in ``study``.

        ``sites`` (servers, 2) and ``users`` (users, 2) are metres, x east and y north; or both are paths of CSV
        files, of which ``sample_sites`` and ``sample_users`` draw so many. ``candidates`` is 8 unless given. Takes
        the keywords of ``study`` but ``family`` and ``area_side_m``.
        """
        for name in ("family", "area_side_m"):
            if settings.get(name) is not None:
                raise UsageError(name, "places users and servers itself: it goes with Scenario.study()")
        values = study_settings(settings)
        are_paths = [isinstance(places, (str, os.PathLike)) for places in (sites, users)]
        if are_paths[0] != are_paths[1]:
            raise UsageError("users", "must be a path where sites is one, and an array where it is one")
        for name, sample in (("sample_sites", sample_sites), ("sample_users", sample_users)):
            if sample is not None:
                if not are_paths[0]:
                    raise UsageError(name, "goes with files of places")
                values[name] = checks.integer(name, sample, 1, NODES_MAX)
        if are_paths[0]:
            places = (checks.unicode("sites", checks.path("sites", sites)),
                      checks.unicode("users", checks.path("users", users)))
        else:
            arrays = checks.table("sites", sites), checks.table("users", users)
            places = tuple(checks.finite(n, checks.shaped(n, a, (a.shape[0], 2), f"({n}, 2)"))
                           for n, a in zip(("sites", "users"), arrays))
        native, remarks = _core.generate_at_places(*places, values, checks.integer("seed", seed, 0, SEED_MAX))
        for remark in remarks:
            warnings.warn(remark, stacklevel=2)
        return cls._of(native)

    @classmethod
    def from_arrays(cls: type[Self], gain: Any = None, *, noise_density_w_per_hz: float,
                    user_tx_power_w_max: ArrayLike, user_clock_hz_max: ArrayLike, user_flop_per_cycle: ArrayLike,
                    user_memory_bytes_max: ArrayLike, server_bandwidth_hz: ArrayLike,
                    server_tx_power_w_max: ArrayLike, server_clock_hz_max: ArrayLike,
                    server_flop_per_cycle: ArrayLike, require_plan: bool = True, **more: Any) -> Self:
        """A scenario of one's own numbers.

        ``gain`` (users, servers) is received over sent power, 0 where there is no link; a sparse matrix of scipy's
        will do, or ``gain_db`` (-inf: no link), or ``links`` = (user, server, gain), three arrays, with ``users`` and
        ``servers``, how many there are. ``noise_density_w_per_hz`` is N0.

        One number, or one per user or server: ``*_tx_power_w_max`` (W), ``*_clock_hz_max`` (Hz),
        ``*_flop_per_cycle``, ``user_memory_bytes_max``, ``server_bandwidth_hz``; optional ``*_kappa_w_per_hz3`` and
        ``*_energy_j_per_flop`` (0), ``server_slots`` (users admitted; -1: no limit), ``*_position_m`` (count, 2),
        ``*_ids`` ("u0", "s0", ...), ``*_names``.

        Splits: ``profiles``, a list of SplitProfile, or its five columns (L + 1,) or (profiles, L + 1) with optional
        ``profile_names``; ``user_profile`` says which one each user has, unless there is one for all or one each.

        Objective: ``delay`` ("sum"), ``delay_weight_per_s`` (1), ``energy_weight_per_j`` (1), ``score_scale`` (1),
        ``score_gain`` (1), ``all_local_allowed`` (True); docs/model.md (5), (6).

        Arrays are read where they lie, whatever their strides; float64 is not converted. Raises BadInputError naming
        the array, the rule and the value, InfeasibleError where there is no plan unless ``require_plan`` is False.
        """
        given = dict(more, noise_density_w_per_hz=noise_density_w_per_hz, user_tx_power_w_max=user_tx_power_w_max,
                     user_clock_hz_max=user_clock_hz_max, user_flop_per_cycle=user_flop_per_cycle,
                     user_memory_bytes_max=user_memory_bytes_max, server_bandwidth_hz=server_bandwidth_hz,
                     server_tx_power_w_max=server_tx_power_w_max, server_clock_hz_max=server_clock_hz_max,
                     server_flop_per_cycle=server_flop_per_cycle)
        if gain is not None:
            given["gain"] = gain
        users, servers = counts(given)
        if "profiles" not in given and "local_flop" not in given:
            raise UsageError("profiles", "is needed: what the splits cost, or local_flop and the other columns")
        given.setdefault("user_ids", [f"u{n}" for n in range(users)])
        given.setdefault("server_ids", [f"s{m}" for m in range(servers)])
        changes = Reading(given, users, servers, 0).run()
        return cls._of(_core.scenario_from_arrays(users, servers, changes, require_plan))

    @classmethod
    def load(cls: type[Self], path: os.PathLike[str] | str, *, require_plan: bool = True) -> Self:
        """Reads a dashf.scenario/1 file; ``dashf.mat.load`` reads MATLAB's.

        Raises IoError, BadInputError (file, JSON path, rule, value), InfeasibleError unless ``require_plan`` is False.
        """
        return cls._of(_core.read_scenario(checks.unicode("path", checks.json_path(path, "dashf.mat.load")), require_plan))

    @classmethod
    def from_json(cls: type[Self], text: str, *, require_plan: bool = True) -> Self:
        """The same from a string."""
        if not isinstance(text, str):
            raise UsageError("text", "must be a string", repr(type(text).__name__))
        return cls._of(_core.parse_scenario("scenario", checks.unicode("text", text), require_plan, None))

    def replace(self: Self, *, require_plan: bool = True, **changes: Any) -> Self:
        """Another scenario that differs in the keywords of ``from_arrays`` given; this one stays as it is."""
        reading = Reading(changes, self.users, self.servers, len(self._native.profile_names))
        return type(self)._of(self._native.replace(reading.run(), require_plan))

    # Looking at it ---------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """For people; may be empty."""
        return self._native.name

    @property
    def users(self) -> int:
        """How many."""
        return self._native.users

    @property
    def servers(self) -> int:
        """How many."""
        return self._native.servers

    @property
    def noise_density_w_per_hz(self) -> float:
        """N0."""
        return self._native.noise_density_w_per_hz

    @property
    def objective(self) -> dict[str, Any]:
        """The delay mode, the weights of (5), the score's constants of (6), and whether k = L is allowed."""
        return self._native.objective

    @property
    def delay(self) -> str:
        """"sum" or "makespan"."""
        return self.objective["delay"]

    @property
    def gain(self) -> NDArray[np.float64]:
        """(users, servers), power gains; 0 where there is no link. Made anew at each call."""
        return self._native.gain

    @property
    def links(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """(user, server, gain) of every link, by user and server. Made anew at each call."""
        return self._native.links

    @property
    def user_ids(self) -> list[str]:
        """One per user; a plan names users by them."""
        return self._native.user_ids

    @property
    def user_names(self) -> list[str]:
        """For people; empty where there is none."""
        return self._native.user_names

    @property
    def user_position_m(self) -> NDArray[np.float64]:
        """(users, 2), m."""
        return self._native.user_position_m

    @property
    def user_tx_power_w_max(self) -> NDArray[np.float64]:
        """(users,), W."""
        return self._native.user_column("tx_power_w_max")

    @property
    def user_memory_bytes_max(self) -> NDArray[np.float64]:
        """(users,), bytes."""
        return self._native.user_column("memory_bytes_max")

    @property
    def user_clock_hz_max(self) -> NDArray[np.float64]:
        """(users,), Hz."""
        return self._native.user_column("clock_hz_max")

    @property
    def user_flop_per_cycle(self) -> NDArray[np.float64]:
        """(users,), FLOP per cycle; (1)."""
        return self._native.user_column("flop_per_cycle")

    @property
    def user_kappa_w_per_hz3(self) -> NDArray[np.float64]:
        """(users,), W / Hz^3; (1)."""
        return self._native.user_column("kappa_w_per_hz3")

    @property
    def user_energy_j_per_flop(self) -> NDArray[np.float64]:
        """(users,), J / FLOP; (1)."""
        return self._native.user_column("energy_j_per_flop")

    @property
    def user_profile(self) -> NDArray[np.int32]:
        """(users,), index into ``profiles``."""
        return self._native.user_profile

    @property
    def server_ids(self) -> list[str]:
        """One per server; a plan names servers by them."""
        return self._native.server_ids

    @property
    def server_names(self) -> list[str]:
        """For people; empty where there is none."""
        return self._native.server_names

    @property
    def server_position_m(self) -> NDArray[np.float64]:
        """(servers, 2), m."""
        return self._native.server_position_m

    @property
    def server_bandwidth_hz(self) -> NDArray[np.float64]:
        """(servers,), Hz, shared by its users."""
        return self._native.server_column("bandwidth_hz")

    @property
    def server_tx_power_w_max(self) -> NDArray[np.float64]:
        """(servers,), W, shared."""
        return self._native.server_column("tx_power_w_max")

    @property
    def server_clock_hz_max(self) -> NDArray[np.float64]:
        """(servers,), Hz, shared."""
        return self._native.server_column("clock_hz_max")

    @property
    def server_flop_per_cycle(self) -> NDArray[np.float64]:
        """(servers,), FLOP per cycle; (1)."""
        return self._native.server_column("flop_per_cycle")

    @property
    def server_kappa_w_per_hz3(self) -> NDArray[np.float64]:
        """(servers,), W / Hz^3; (1)."""
        return self._native.server_column("kappa_w_per_hz3")

    @property
    def server_energy_j_per_flop(self) -> NDArray[np.float64]:
        """(servers,), J / FLOP; (1)."""
        return self._native.server_column("energy_j_per_flop")

    @property
    def server_slots(self) -> NDArray[np.int64]:
        """(servers,), how many users each admits; -1: no limit."""
        return self._native.server_slots

    def profile_table(self, column: str) -> NDArray[np.float64]:
        """(profiles, L + 1), a column of all profiles; NaN beyond the last split of those with fewer layers."""
        return self._native.profile_table(checks.one_of("column", column, PROFILE))

    @property
    def profiles(self) -> tuple[SplitProfile, ...]:
        """What the splits cost; ``user_profile`` says whose is whose. Made anew at each call."""
        tables = {c: self.profile_table(c) for c in PROFILE}
        made = []
        for i, name in enumerate(self._native.profile_names):
            splits = int(np.count_nonzero(~np.isnan(tables["local_flop"][i])))
            made.append(SplitProfile(name, *(tables[c][i, :splits] for c in PROFILE)))
        return tuple(made)

    @property
    def sha256(self) -> str:
        """Of the file that it was read from, else of the one that ``save`` writes; a plan names its scenario by it."""
        return self._native.sha256

    def conflicts(self) -> list[str]:
        """Why there is no plan, a sentence for each contradiction; empty where there is one."""
        return self._native.conflicts()

    def doubts(self) -> list[str]:
        """Sentences on what is hardly meant: numbers that look like another unit, servers that nobody can use."""
        return self._native.doubts()

    # Writing it ------------------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """As dashf.scenario/1 (docs/formats.md); keeps every bit."""
        return self._native.to_json()

    def save(self, path: os.PathLike[str] | str) -> None:
        """Writes ``to_json()`` to a file, whole or not at all."""
        from .files import write_text

        write_text(checks.json_path(path, "dashf.mat.save"), self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self.to_json(), self.sha256)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scenario):
            return NotImplemented
        return self._native is other._native or self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<dashf.Scenario {self.name!r}: {self.users} users, {self.servers} servers, {self.delay} delay>"

    def _repr_html_(self) -> str:
        from .pictures import scenario_html

        return scenario_html(self)


def _restore(cls: type[Scenario], text: str, sha256: str) -> Scenario:
    return cls._of(_core.parse_scenario("scenario", text, False, sha256))
