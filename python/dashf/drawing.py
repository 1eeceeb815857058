"""Keyword arguments of scenarios that are drawn: the default study, its families, places."""
from __future__ import annotations

from typing import Any

from . import _core, checks
from .arrays import DELAYS, NODES_MAX, from_db

SEED_MAX = 2**62
STUDY_NUMBERS = ("delay_weight_per_s", "energy_weight_per_j", "area_side_m", "bandwidth_hz", "user_tx_power_w",
                 "server_tx_power_w", "machine_share", "carrier_hz", "site_height_m", "user_height_m")


def families() -> dict[str, str]:
    """The families of scenarios that ``Scenario.study(family=...)`` knows, each with one line on it."""
    return dict(_core.families())


def channels() -> dict[str, str]:
    """The channel models that ``Scenario.study(channel=...)`` knows, each with one line on it."""
    return dict(_core.channels())


def study_settings(given: dict[str, Any]) -> dict[str, Any]:
    """Keywords of Scenario.study and at_places, checked for their types; ranges are the generator's to say."""
    checks.known_names(given, (*STUDY_NUMBERS, "candidates", "delay", "compute_energy", "all_local_allowed", "family",
                               "channel", "shadowing", "fading", "gain", "gain_db", "profile", "name"))
    settings: dict[str, Any] = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in STUDY_NUMBERS:
            settings[name] = checks.number(name, value)
        elif name == "candidates":
            settings[name] = checks.integer(name, value, 1, NODES_MAX)
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
            settings[name] = checks.unicode(name, checks.path(name, value))
        else:
            settings[name] = checks.texts(name, [value], 1, "one")[0]
    return settings
