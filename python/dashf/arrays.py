"""Keyword arguments of scenarios of one's own, on their way into what the planner takes."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import checks
from .errors import BadInputError, UsageError
from .profiles import PROFILE, block_of, blocks_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

USER = ("tx_power_w_max", "memory_bytes_max", "clock_hz_max", "flop_per_cycle", "kappa_w_per_hz3",
        "energy_j_per_flop")
SERVER = ("tx_power_w_max", "bandwidth_hz", "clock_hz_max", "flop_per_cycle", "kappa_w_per_hz3",
          "energy_j_per_flop")
WEIGHTS = ("delay_weight_per_s", "energy_weight_per_j", "score_scale", "score_gain")
TEXTS = ("user_ids", "user_names", "server_ids", "server_names")
OTHERS = ("name", "noise_density_w_per_hz", "delay", "all_local_allowed", "gain", "gain_db", "links",
          "user_position_m", "server_position_m", "user_profile", "server_slots", "profiles", "profile_names")
COLUMNS = (*OTHERS, *WEIGHTS, *TEXTS, *PROFILE, *(f"user_{c}" for c in USER),
           *(f"server_{c}" for c in SERVER))
DELAYS = ("sum", "makespan")
NODES_MAX = 1_000_000


class Reading:
    """Keyword arguments on their way into what the planner takes."""

    def __init__(self, given: dict[str, Any], users: int, servers: int, profiles: int) -> None:
        checks.known_names(given, COLUMNS)
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
        self._nodes("user", USER, self.users)
        self._nodes("server", SERVER, self.servers)
        if "server_slots" in given:
            self.changes["server_slots"] = checks.integers("server_slots", given["server_slots"], (self.servers,),
                                                           "(servers,)")
        self._profiles()
        self._gains()
        return self.changes

    def _objective(self) -> None:
        objective: dict[str, Any] = {w: checks.number(w, self.given[w]) for w in WEIGHTS if w in self.given}
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
        columns = [c for c in PROFILE if c in self.given]
        if "profiles" in self.given:
            if columns or "profile_names" in self.given:
                raise UsageError("profiles", "stands alone: give either profiles or their columns")
            self.changes["profiles"], self.profiles = blocks_of(self.given["profiles"])
        elif columns:
            missing = [c for c in PROFILE if c not in columns]
            if missing:
                raise UsageError(missing[0], f"is needed beside {columns[0]}: a profile has all of {', '.join(PROFILE)}")
            tables = {c: self.given[c] for c in PROFILE}
            self.profiles = max(checks.rows(c, t).shape[0] for c, t in tables.items())
            names = self.given.get("profile_names", [f"p{i}" for i in range(self.profiles)])
            self.changes["profiles"] = [block_of(checks.texts("profile_names", names, self.profiles, "profiles"), tables)]
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
                                 checks.numbers(way, cells.data, cells.data.shape, "(links,)"))


def from_db(gain_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """10^(x / 10); -inf dB is 0, no link."""
    with np.errstate(over="ignore"):
        return 10.0 ** (gain_db / 10.0)


def counts(given: dict[str, Any]) -> tuple[int, int]:
    """How many users and servers the gains are for; takes ``users`` and ``servers`` out."""
    stated = {name: given.pop(name) for name in ("users", "servers") if name in given}
    for way in ("gain", "gain_db"):
        if way in given:
            shape = given[way].shape if hasattr(given[way], "tocoo") else checks.table(way, given[way]).shape
            break
    else:
        if "links" not in given or len(stated) < 2:
            raise UsageError("gain", "is needed, or gain_db, or links with users and servers")
        shape = tuple(checks.integer(name, stated[name], 1, NODES_MAX) for name in ("users", "servers"))
    for name, count in zip(("users", "servers"), shape):
        if stated.get(name, count) != count:
            raise UsageError(name, f"must be {count}, as the gains have it", repr(stated[name]))
        if count < 1:
            raise BadInputError("gain", "must have at least one user and one server", f"shape {shape}")
    return shape[0], shape[1]
