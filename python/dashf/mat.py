"""Scenarios and plans as MATLAB's .mat files, through scipy.

The names are those of ``Scenario.from_arrays`` and of a plan's arrays. Indices count from 1, as MATLAB's do:
``user_profile``, and a plan's ``server``. Profiles with fewer layers than others end with NaN.
"""
from __future__ import annotations

import os
from typing import Any

import numpy as np
from scipy import io

from . import checks
from .arrays import SERVER, USER
from .errors import BadInputError, IoError
from .plan import RESOURCES, Plan
from .profiles import PROFILE, SplitProfile
from .scenario import Scenario

__all__ = ["load", "load_plan", "save"]

_FIGURES = ("scr", "score", "cost", "delay_s", "energy_j", "user_delay_s", "user_energy_j", "user_score")


def save(path: os.PathLike[str] | str, scenario: Scenario, plan: Plan | None = None) -> None:
    """Writes a scenario, and with ``plan`` its decisions and figures as a structure ``plan``. Raises IoError."""
    name = checks.path("path", path)
    content: dict[str, Any] = {
        "name": scenario.name, "noise_density_w_per_hz": scenario.noise_density_w_per_hz, "gain": scenario.gain,
        **{key: float(value) if key == "all_local_allowed" else value for key, value in scenario.objective.items()},
        "user_position_m": scenario.user_position_m, "server_position_m": scenario.server_position_m,
        "user_profile": np.asarray(scenario.user_profile, float) + 1.0,
        "server_slots": np.asarray(scenario.server_slots, float),
        "profile_names": _cells([profile.name for profile in scenario.profiles]),
        **{f"{kind}_{what}": _cells(getattr(scenario, f"{kind}_{what}"))
           for kind in ("user", "server") for what in ("ids", "names")},
        **{f"user_{column}": getattr(scenario, f"user_{column}") for column in USER},
        **{f"server_{column}": getattr(scenario, f"server_{column}") for column in SERVER},
        **{column: scenario.profile_table(column) for column in PROFILE},
    }
    if plan is not None:
        content["plan"] = {"method": plan.method, "server": np.asarray(plan.server, float) + 1.0,
                           "local_layers": np.asarray(plan.local_layers, float),
                           **{amount: getattr(plan, amount) for amount in RESOURCES},
                           **{figure: getattr(plan, figure) for figure in _FIGURES}}
    try:
        io.savemat(name, content, appendmat=False, oned_as="column")
    except OSError as error:
        raise IoError(name, f"cannot be written: {error.strerror or error}") from None


def load(path: os.PathLike[str] | str) -> Scenario:
    """Reads what ``save`` wrote, or a file with the same names made in MATLAB, whose other names are passed over.

    What ``from_arrays`` may leave out may be missing. Raises IoError, BadInputError, InfeasibleError.
    """
    content = _read(path)
    given: dict[str, Any] = {}
    for key in ("noise_density_w_per_hz", "delay_weight_per_s", "energy_weight_per_j", "score_scale", "score_gain"):
        if key in content:
            given[key] = float(_one(key, content[key]))
    if "all_local_allowed" in content:
        given["all_local_allowed"] = bool(_one("all_local_allowed", content["all_local_allowed"]))
    for key in ("name", "delay"):
        if key in content:
            given[key] = "".join(map(str, np.ravel(content[key])))
    for key in ("gain", "gain_db", "user_position_m", "server_position_m"):
        if key in content:
            given[key] = content[key]
    for key in ("server_slots", *(f"user_{c}" for c in USER), *(f"server_{c}" for c in SERVER)):
        if key in content:
            given[key] = _row_or_one(content[key])
    for key in ("user_ids", "user_names", "server_ids", "server_names"):
        if key in content:
            given[key] = _texts(content[key])
    given["profiles"] = _profiles(content)
    if "user_profile" in content:
        given["user_profile"] = np.ravel(content["user_profile"]).astype(float) - 1.0
    missing = [key for key in ("noise_density_w_per_hz", "user_tx_power_w_max", "user_clock_hz_max",
                               "user_flop_per_cycle", "user_memory_bytes_max", "server_bandwidth_hz",
                               "server_tx_power_w_max", "server_clock_hz_max", "server_flop_per_cycle")
               if key not in given]
    if missing:
        raise BadInputError(f"{path}: {missing[0]}", "is needed")
    return Scenario.from_arrays(given.pop("gain", None), **given)


def load_plan(path: os.PathLike[str] | str, scenario: Scenario) -> Plan:
    """Reads the structure ``plan``: ``server`` (from 1), ``local_layers``, and all five amounts or none of them."""
    content = _read(path)
    if "plan" not in content or content["plan"].dtype.names is None:
        raise BadInputError(f"{path}: plan", "must be a structure")
    plan = content["plan"].ravel()[0]
    names = plan.dtype.names
    for key in ("server", "local_layers"):
        if key not in names:
            raise BadInputError(f"{path}: plan.{key}", "is needed")
    amounts = {name: np.ravel(plan[name]) for name in RESOURCES if name in names}
    method = "".join(map(str, np.ravel(plan["method"]))) if "method" in names else "mat"
    return Plan.from_arrays(scenario, np.ravel(plan["server"]) - 1.0, np.ravel(plan["local_layers"]), method=method,
                            **amounts)


def _read(path: os.PathLike[str] | str) -> dict[str, Any]:
    name = checks.path("path", path)
    try:
        return io.loadmat(name, appendmat=False)
    except OSError as error:
        raise IoError(name, f"cannot be read: {error.strerror or error}") from None
    except Exception as error:  # scipy's reader raises whatever a broken file leads it to.
        raise BadInputError(name, f"must be a .mat file of version 5 or 7: {error}") from None


def _cells(texts: list[str]) -> np.ndarray:
    cells = np.empty(len(texts), object)
    cells[:] = texts
    return cells


def _texts(cells: Any) -> list[str]:
    return ["".join(map(str, np.ravel(cell))) for cell in np.ravel(cells)]


def _one(key: str, value: Any) -> float:
    if np.size(value) != 1:
        raise BadInputError(key, "must be one number", f"{np.size(value)}")
    return np.ravel(value)[0]


def _row_or_one(value: Any) -> Any:
    flat = np.ravel(value)
    return flat[0] if flat.size == 1 else flat


def _profiles(content: dict[str, Any]) -> list[SplitProfile]:
    missing = [column for column in PROFILE if column not in content]
    if missing:
        raise BadInputError(missing[0], "is needed")
    tables = {column: checks.rows(column, content[column]) for column in PROFILE}
    first = tables["local_flop"]
    for column, table in tables.items():
        checks.shaped(column, table, first.shape, "local_flop's shape")
    names = _texts(content["profile_names"]) if "profile_names" in content else [f"p{i}" for i in range(len(first))]
    if len(names) != len(first):
        raise BadInputError("profile_names", f"must be {len(first)} names", str(len(names)))
    splits = np.count_nonzero(~np.isnan(first), axis=1)
    return [SplitProfile(name, *(tables[column][i, :splits[i]] for column in PROFILE))
            for i, name in enumerate(names)]
