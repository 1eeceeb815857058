"""Scenarios: users, edge servers, split profiles and channel gains as NumPy arrays.

The model and every symbol are in docs/model.md, the file in docs/formats.md. SI units throughout.
"""
from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from . import _core, checks
from .errors import BadInputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Scenario", "SplitProfile", "families", "channels"]

_USER = ("tx_power_w_max", "memory_bytes_max", "clock_hz_max", "flop_per_cycle", "kappa_w_per_hz3",
         "energy_j_per_flop")
_SERVER = ("tx_power_w_max", "bandwidth_hz", "clock_hz_max", "flop_per_cycle", "kappa_w_per_hz3",
           "energy_j_per_flop")
_PROFILE = ("local_flop", "server_flop", "upload_bit", "download_bit", "local_memory_bytes")
_WEIGHTS = ("delay_weight_per_s", "energy_weight_per_j", "score_scale", "score_gain")
_TEXTS = ("user_ids", "user_names", "server_ids", "server_names")
_OTHERS = ("name", "noise_density_w_per_hz", "delay", "all_local_allowed", "gain", "gain_db", "links",
           "user_position_m", "server_position_m", "user_profile", "server_slots", "profiles", "profile_names")
_COLUMNS = (*_OTHERS, *_WEIGHTS, *_TEXTS, *_PROFILE, *(f"user_{c}" for c in _USER),
            *(f"server_{c}" for c in _SERVER))
DELAYS = ("sum", "makespan")
_SEED_MAX = 2**62
_NODES_MAX = 1_000_000


@dataclass(frozen=True)
class SplitProfile:
    """What each split k = 0..L costs: arrays of L + 1 numbers (docs/model.md).

    ``local_flop`` and ``server_flop`` in FLOP, ``upload_bit`` and ``download_bit`` in bit, ``local_memory_bytes`` in
    bytes. ``local_flop[0]``, ``server_flop[L]``, ``upload_bit[L]`` and ``download_bit[L]`` are 0.
    """

    name: str
    local_flop: NDArray[np.float64]
    server_flop: NDArray[np.float64]
    upload_bit: NDArray[np.float64]
    download_bit: NDArray[np.float64]
    local_memory_bytes: NDArray[np.float64]

    @property
    def layers(self) -> int:
        """L."""
        return len(self.local_flop) - 1


def _block(names: list[str], columns: dict[str, Any]) -> dict[str, Any]:
    """Profiles of equally many layers as the planner takes them."""
    splits = {checks.rows(name, column).shape[1] for name, column in columns.items()}
    block: dict[str, Any] = {"name": names}
    for name, column in columns.items():
        table = checks.rows(name, column)
        if table.shape[0] == 1 and len(names) > 1:
            table = np.broadcast_to(table, (len(names), table.shape[1]))
        block[name] = checks.shaped(name, table, (len(names), max(splits)), "(profiles, L + 1)")
    return block


def _blocks(profiles: Iterable[SplitProfile]) -> tuple[list[dict[str, Any]], int]:
    """Neighbours of equally many layers share a block."""
    blocks: list[dict[str, Any]] = []
    run: list[SplitProfile] = []
    count = 0

    def close() -> None:
        if run:
            blocks.append(_block([p.name for p in run],
                                 {c: np.array([getattr(p, c) for p in run]) for c in _PROFILE}))
            run.clear()

    if not isinstance(profiles, Iterable):
        raise BadInputError("profiles", "must be a list of SplitProfile", repr(type(profiles).__name__))
    for i, profile in enumerate(profiles):
        if not isinstance(profile, SplitProfile):
            raise BadInputError(f"profiles[{i}]", "must be a SplitProfile", repr(type(profile).__name__))
        lengths = {np.size(getattr(profile, c)) for c in _PROFILE}
        if len(lengths) > 1:
            raise BadInputError(f"profiles[{i}]", "must have columns of one length", str(sorted(lengths)))
        if run and len(run[0].local_flop) != len(profile.local_flop):
            close()
        run.append(profile)
        count += 1
    close()
    return blocks, count


class _Reading:
    """Keyword arguments on their way into what the planner takes."""

    def __init__(self, given: dict[str, Any], users: int, servers: int, profiles: int) -> None:
        checks.known_names(given, _COLUMNS)
        self.given, self.users, self.servers, self.profiles = given, users, servers, profiles
        self.changes: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        given = self.given
        if "name" in given:
            self.changes["name"] = checks.texts("name", [given["name"]], 1, "one")[0]
        if "noise_density_w_per_hz" in given:
            self.changes["noise_density_w_per_hz"] = checks.number("noise_density_w_per_hz",
                                                                   given["noise_density_w_per_hz"], 0.0, above=True)
        self._objective()
        self._nodes("user", _USER, self.users)
        self._nodes("server", _SERVER, self.servers)
        if "server_slots" in given:
            self.changes["server_slots"] = checks.integers("server_slots", given["server_slots"], (self.servers,),
                                                           "(servers,)")
        self._profiles()
        self._gains()
        return self.changes

    def _objective(self) -> None:
        objective: dict[str, Any] = {w: checks.number(w, self.given[w]) for w in _WEIGHTS if w in self.given}
        if "delay" in self.given:
            objective["delay"] = checks.one_of("delay", self.given["delay"], DELAYS)
        if "all_local_allowed" in self.given:
            objective["all_local_allowed"] = checks.boolean("all_local_allowed", self.given["all_local_allowed"])
        if objective:
            self.changes["objective"] = objective

    def _nodes(self, kind: str, columns: Sequence[str], count: int) -> None:
        arrays = {c: checks.numbers(f"{kind}_{c}", self.given[f"{kind}_{c}"], (count,), f"({kind}s,)")
                  for c in columns if f"{kind}_{c}" in self.given}
        if arrays:
            self.changes[f"{kind}s"] = arrays
        for texts in (f"{kind}_ids", f"{kind}_names"):
            if texts in self.given:
                self.changes[texts] = checks.texts(texts, self.given[texts], count, f"{kind}s")
        places = f"{kind}_position_m"
        if places in self.given:
            self.changes[places] = checks.numbers(places, self.given[places], (count, 2), f"({kind}s, 2)")

    def _profiles(self) -> None:
        columns = [c for c in _PROFILE if c in self.given]
        if "profiles" in self.given:
            if columns or "profile_names" in self.given:
                raise UsageError("profiles", "stands alone: give either profiles or their columns")
            self.changes["profiles"], self.profiles = _blocks(self.given["profiles"])
        elif columns:
            missing = [c for c in _PROFILE if c not in columns]
            if missing:
                raise UsageError(missing[0], f"is needed beside {columns[0]}: a profile has all of {', '.join(_PROFILE)}")
            tables = {c: self.given[c] for c in _PROFILE}
            self.profiles = max(checks.rows(c, t).shape[0] for c, t in tables.items())
            names = self.given.get("profile_names", [f"p{i}" for i in range(self.profiles)])
            self.changes["profiles"] = [_block(checks.texts("profile_names", names, self.profiles, "profiles"), tables)]
        elif "profile_names" in self.given:
            raise UsageError("profile_names", "needs the profiles' columns beside it")
        if "user_profile" in self.given:
            self.changes["user_profile"] = checks.integers("user_profile", self.given["user_profile"], (self.users,),
                                                           "(users,)")
        elif "profiles" in self.changes:
            if self.profiles not in (1, self.users):
                raise UsageError("user_profile", f"is needed: which of {self.profiles} profiles each user has")
            self.changes["user_profile"] = (np.arange(self.users) if self.profiles == self.users
                                            else np.zeros(self.users, np.int64))

    def _gains(self) -> None:
        ways = [w for w in ("gain", "gain_db", "links") if w in self.given]
        if len(ways) > 1:
            raise UsageError(ways[1], f"stands instead of {ways[0]}: give one of them")
        if not ways:
            return
        value = self.given[ways[0]]
        if ways[0] == "links":
            if not (isinstance(value, (tuple, list)) and len(value) == 3):
                raise UsageError("links", "must be (user, server, gain), three arrays", repr(type(value).__name__))
            count = np.size(value[0])
            self.changes["links"] = (checks.integers("links[0]", value[0], (count,), "(links,)"),
                                     checks.integers("links[1]", value[1], (count,), "(links,)"),
                                     checks.numbers("links[2]", value[2], (count,), "(links,)"))
        elif hasattr(value, "tocoo"):  # A sparse matrix of scipy's.
            self._sparse(ways[0], value)
        else:
            gain = checks.numbers(ways[0], value, (self.users, self.servers), "(users, servers)")
            self.changes["gain"] = from_db(gain) if ways[0] == "gain_db" else gain

    def _sparse(self, way: str, value: Any) -> None:
        if value.shape != (self.users, self.servers):
            raise BadInputError(way, f"must have shape (users, servers) = {(self.users, self.servers)}",
                                str(value.shape))
        if way == "gain_db":
            raise UsageError("gain_db", "must be dense: what is not stored in a sparse matrix would be 0 dB")
        cells = value.tocoo()
        self.changes["links"] = (cells.row.astype(np.int64), cells.col.astype(np.int64),
                                 cells.data.astype(np.float64))


def from_db(gain_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """10^(x / 10); -inf dB is 0, no link."""
    with np.errstate(over="ignore"):
        return 10.0 ** (gain_db / 10.0)


def _study_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Keywords of Scenario.study and at_places, checked for their types; ranges are the generator's to say."""
    checks.known_names(given, (*_STUDY_NUMBERS, "candidates", "delay", "compute_energy", "all_local_allowed", "family",
                               "channel", "shadowing", "fading", "gain", "gain_db", "profile", "name"))
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _STUDY_NUMBERS:
            settings[name] = checks.number(name, value)
        elif name == "candidates":
            settings[name] = checks.integer(name, value, 1, _NODES_MAX)
        elif name == "delay":
            settings[name] = checks.one_of(name, value, DELAYS)
        elif name == "compute_energy":
            settings[name] = checks.one_of(name, value, ("cubic", "per-flop"))
        elif name in ("all_local_allowed", "shadowing", "fading"):
            settings[name] = checks.boolean(name, value)
        elif name == "family":
            settings[name] = checks.one_of(name, value, families())
        elif name == "channel":
            settings[name] = checks.one_of(name, value, channels())
        elif name == "gain":
            settings[name] = checks.table(name, value)
        elif name == "gain_db":
            settings["gain"] = from_db(checks.table(name, value))
        elif name == "profile":
            settings[name] = checks.path(name, value)
        else:
            settings[name] = checks.texts(name, [value], 1, "one")[0]
    return settings


_STUDY_NUMBERS = ("delay_weight_per_s", "energy_weight_per_j", "area_side_m", "bandwidth_hz", "user_tx_power_w",
                  "server_tx_power_w", "machine_share", "carrier_hz", "site_height_m", "user_height_m")


def families() -> dict[str, str]:
    """The families of scenarios that ``Scenario.study(family=...)`` knows, each with one line on it."""
    return dict(_core.families())


def channels() -> dict[str, str]:
    """The channel models that ``Scenario.study(channel=...)`` knows, each with one line on it."""
    return dict(_core.channels())


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
        values = _study_settings(settings)
        values["users"] = checks.integer("users", users, 1, _NODES_MAX)
        values["servers"] = checks.integer("servers", servers, 1, _NODES_MAX)
        return cls._of(_core.generate(values, checks.integer("seed", seed, 0, _SEED_MAX)))

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
        values = _study_settings(settings)
        are_paths = [isinstance(places, (str, os.PathLike)) for places in (sites, users)]
        if are_paths[0] != are_paths[1]:
            raise UsageError("users", "must be a path where sites is one, and an array where it is one")
        for name, sample in (("sample_sites", sample_sites), ("sample_users", sample_users)):
            if sample is not None:
                if not are_paths[0]:
                    raise UsageError(name, "goes with files of places")
                values[name] = checks.integer(name, sample, 1, _NODES_MAX)
        if are_paths[0]:
            places = checks.path("sites", sites), checks.path("users", users)
        else:
            arrays = checks.table("sites", sites), checks.table("users", users)
            places = tuple(checks.finite(n, checks.shaped(n, a, (a.shape[0], 2), f"({n}, 2)"))
                           for n, a in zip(("sites", "users"), arrays))
        native, remarks = _core.generate_at_places(*places, values, checks.integer("seed", seed, 0, _SEED_MAX))
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
        users, servers = _counts(given)
        if "profiles" not in given and "local_flop" not in given:
            raise UsageError("profiles", "is needed: what the splits cost, or local_flop and the other columns")
        given.setdefault("user_ids", [f"u{n}" for n in range(users)])
        given.setdefault("server_ids", [f"s{m}" for m in range(servers)])
        changes = _Reading(given, users, servers, 0).run()
        return cls._of(_core.scenario_from_arrays(users, servers, changes, require_plan))

    @classmethod
    def load(cls: type[Self], path: os.PathLike[str] | str, *, require_plan: bool = True) -> Self:
        """Reads a dashf.scenario/1 file. Raises IoError, BadInputError (file, JSON path, rule, value), InfeasibleError."""
        return cls._of(_core.read_scenario(checks.path("path", path), require_plan))

    @classmethod
    def from_json(cls: type[Self], text: str, *, require_plan: bool = True) -> Self:
        """The same from a string."""
        if not isinstance(text, str):
            raise UsageError("text", "must be a string", repr(type(text).__name__))
        return cls._of(_core.parse_scenario("scenario", text, require_plan, None))

    def replace(self: Self, *, require_plan: bool = True, **changes: Any) -> Self:
        """Another scenario that differs in the keywords of ``from_arrays`` given; this one stays as it is."""
        reading = _Reading(changes, self.users, self.servers, len(self._native.profile_names))
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
        return self._native.profile_table(checks.one_of("column", column, _PROFILE))

    @property
    def profiles(self) -> tuple[SplitProfile, ...]:
        """What the splits cost; ``user_profile`` says whose is whose. Made anew at each call."""
        tables = {c: self.profile_table(c) for c in _PROFILE}
        made = []
        for i, name in enumerate(self._native.profile_names):
            splits = int(np.count_nonzero(~np.isnan(tables["local_flop"][i])))
            made.append(SplitProfile(name, *(tables[c][i, :splits] for c in _PROFILE)))
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

        write_text(checks.path("path", path), self.to_json())

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


def _counts(given: dict[str, Any]) -> tuple[int, int]:
    """How many users and servers the gains are for; takes ``users`` and ``servers`` out."""
    stated = {name: given.pop(name) for name in ("users", "servers") if name in given}
    for way in ("gain", "gain_db"):
        if way in given:
            shape = given[way].shape if hasattr(given[way], "tocoo") else checks.table(way, given[way]).shape
            break
    else:
        if "links" not in given or len(stated) < 2:
            raise UsageError("gain", "is needed, or gain_db, or links with users and servers")
        shape = tuple(checks.integer(name, stated[name], 1, _NODES_MAX) for name in ("users", "servers"))
    for name, count in zip(("users", "servers"), shape):
        if stated.get(name, count) != count:
            raise UsageError(name, f"must be {count}, as the gains have it", repr(stated[name]))
        if count < 1:
            raise BadInputError("gain", "must have at least one user and one server", f"shape {shape}")
    return shape[0], shape[1]


def _restore(cls: type[Scenario], text: str, sha256: str) -> Scenario:
    return cls._of(_core.parse_scenario("scenario", text, False, sha256))
