#!/usr/bin/env python3
"""Second implementation of the evaluator, from docs/model.md (1)-(7) alone. Standard library only.

Usage: evaluate.py SCENARIO PLAN     prints the same keys as `dashf evaluate --json`, without `users`
"""
import json
import math
import sys

TOLERANCE = 1e-9
PHASES = ("local", "upload", "server", "download")


def training(flop, device, clock_hz):
    """(1): seconds and joules of `flop` operations at a clock."""
    if flop == 0:
        return 0.0, 0.0
    if clock_hz <= 0:
        return math.inf, math.inf
    cycles = flop / device["flop_per_cycle"]
    energy_j = device["kappa_w_per_hz3"] * clock_hz**2 * cycles
    return cycles / clock_hz, energy_j + device.get("energy_j_per_flop", 0.0) * flop


def sending(bits, bandwidth_hz, power_w, gain, noise_w_per_hz):
    """(2): seconds and joules of `bits` over a Shannon link."""
    if bits == 0:
        return 0.0, 0.0
    if bandwidth_hz <= 0 or power_w <= 0 or gain <= 0:
        return math.inf, math.inf
    nats_per_hz = math.log1p(gain * power_w / (noise_w_per_hz * bandwidth_hz))
    seconds = bits * math.log(2) / (bandwidth_hz * nats_per_hz)
    return seconds, power_w * seconds


def gains(scenario):
    """The gain matrix, 0 where there is no link."""
    if "dense" in scenario["gain"]:
        return scenario["gain"]["dense"]
    rows = [[0.0] * len(scenario["servers"]) for _ in scenario["users"]]
    for n, m, g in scenario["gain"]["sparse"]:
        rows[n][m] = g
    return rows


def over(value, limit):
    return value > limit * (1 + TOLERANCE)


def evaluate(scenario, plan):
    objective = scenario["objective"]
    servers = {server["id"]: (m, server) for m, server in enumerate(scenario["servers"])}
    decisions = {row["user"]: row for row in plan["assignments"]}
    gain = gains(scenario)
    broken = set()  # The places that break a rule.
    used = {name: dict(bandwidth=0.0, power=0.0, clock=0.0, users=0) for name in servers}
    users = []
    for n, user in enumerate(scenario["users"]):
        place = "user " + user["id"]
        d = decisions[user["id"]]
        m, server = servers[d["server"]]
        table = scenario["profiles"][user["profile"]]
        layers = len(table["local_flop"]) - 1
        k = d["local_layers"]
        amounts = [d[key] for key in ("local_clock_hz", "tx_power_w", "bandwidth_hz",
                                      "server_tx_power_w", "server_clock_hz")]
        if not 0 <= k <= layers or min(amounts) < 0:
            broken.add(place)
            users.append(None)
            continue
        if gain[n][m] == 0:
            broken.add(place)
        if table["local_memory_bytes"][k] > user["memory_bytes_max"]:
            broken.add(place)
        if k == layers and not objective.get("all_local_allowed", True):
            broken.add(place)
        if over(d["local_clock_hz"], user["compute"]["clock_hz_max"]):
            broken.add(place)
        if over(d["tx_power_w"], user["tx_power_w_max"]):
            broken.add(place)
        total = used[d["server"]]
        total["bandwidth"] += d["bandwidth_hz"]
        total["power"] += d["server_tx_power_w"]
        total["clock"] += d["server_clock_hz"]
        total["users"] += 1
        noise = scenario["noise_density_w_per_hz"]
        phases = (
            training(table["local_flop"][k], user["compute"], d["local_clock_hz"]),
            sending(table["upload_bit"][k], d["bandwidth_hz"], d["tx_power_w"], gain[n][m], noise),
            training(table["server_flop"][k], server["compute"], d["server_clock_hz"]),
            sending(table["download_bit"][k], d["bandwidth_hz"], d["server_tx_power_w"],
                    gain[n][m], noise),
        )
        if not all(math.isfinite(seconds) for seconds, _ in phases):
            broken.add(place)
        share = 0.0  # (6)
        if table["download_bit"][k] > 0:
            share += d["server_tx_power_w"] / server["tx_power_w_max"]
        if table["upload_bit"][k] + table["download_bit"][k] > 0:
            share += d["bandwidth_hz"] / server["bandwidth_hz"]
        if table["server_flop"][k] > 0:
            share += d["server_clock_hz"] / server["compute"]["clock_hz_max"]
        score = objective["score_scale"] * math.log1p(objective["score_gain"] * share)
        users.append((phases, score))
    for name, total in used.items():  # (3)
        server = servers[name][1]
        if (over(total["bandwidth"], server["bandwidth_hz"])
                or over(total["power"], server["tx_power_w_max"])
                or over(total["clock"], server["compute"]["clock_hz_max"])
                or total["users"] > server.get("slots", math.inf)):
            broken.add("server " + name)
    return totals(objective, users, broken)


def totals(objective, users, broken):
    """(4), (5), (7); a total that has no finite value is None."""
    result = {"feasible": not broken, "violations": broken, "users": users,
              "scr": 0.0, "score": None, "cost": None, "delay_s": None, "energy_j": None}
    if None in users:
        return result
    user_parts = [phases[0][0] + phases[1][0] for phases, _ in users]
    server_parts = [phases[2][0] + phases[3][0] for phases, _ in users]
    join = sum if objective["delay"] == "sum" else max
    delay = join(user_parts) + join(server_parts)
    energy = sum(joules for phases, _ in users for _, joules in phases)
    cost = objective["delay_weight_per_s"] * delay + objective["energy_weight_per_j"] * energy
    score = sum(score for _, score in users)
    result["score"] = score
    for key, value in (("delay_s", delay), ("energy_j", energy), ("cost", cost)):
        result[key] = value if math.isfinite(value) else None
    if math.isfinite(cost) and cost > 0:
        result["scr"] = score / cost
    elif not broken:  # A plan that costs nothing has no ratio.
        broken.add("plan")
        result["feasible"] = False
    return result


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as s, open(sys.argv[2], encoding="utf-8") as p:
        outcome = evaluate(json.load(s), json.load(p))
    outcome["violations"] = sorted(outcome["violations"])
    del outcome["users"]
    print(json.dumps(outcome, indent=2))
