#!/usr/bin/env python3
"""`dashf evaluate --json` against tests/reference/evaluate.py on random scenarios and plans.

Usage: evaluator_test.py DASHF [COUNT] [SEED]     every number to 1e-12 relative, every broken place
"""
import copy
import hashlib
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent / "reference"))
from evaluate import PHASES, evaluate  # pylint: disable=wrong-import-position

RELATIVE = 1e-12


def compute(rng):
    device = {"clock_hz_max": rng.uniform(1e8, 3e9), "flop_per_cycle": rng.uniform(1, 2000),
              "kappa_w_per_hz3": rng.choice([0.0, 10 ** rng.uniform(-28, -26)])}
    if rng.random() < 0.5:
        device["energy_j_per_flop"] = rng.uniform(0, 1e-11)
    return device


def profile(rng, layers):
    def column(low, high):
        return [10 ** rng.uniform(low, high) for _ in range(layers + 1)]
    table = {"local_flop": column(10, 15), "server_flop": column(10, 15),
             "upload_bit": column(3, 9), "download_bit": column(3, 9),
             "local_memory_bytes": [rng.uniform(0, 4e9) for _ in range(layers + 1)]}
    table["local_flop"][0] = table["local_memory_bytes"][0] = 0.0
    table["server_flop"][-1] = table["upload_bit"][-1] = table["download_bit"][-1] = 0.0
    table[rng.choice(["upload_bit", "download_bit"])][rng.randint(0, layers)] = 0.0
    return table


def scenario(rng):
    users, servers = rng.randint(1, 8), rng.randint(1, 4)
    profiles = {f"p{i}": profile(rng, rng.randint(1, 6)) for i in range(rng.randint(1, 3))}
    dense = [[10 ** rng.uniform(-15, -7) if rng.random() < 0.8 else 0.0 for _ in range(servers)]
             for _ in range(users)]
    for row in dense:
        if not any(row):
            row[rng.randrange(servers)] = 1e-10
    sparse = [[n, m, g] for n, row in enumerate(dense) for m, g in enumerate(row) if g > 0]
    rng.shuffle(sparse)
    world = {
        "schema": "dashf.scenario/1", "name": "random",
        "objective": {"delay": rng.choice(["sum", "makespan"]),
                      "delay_weight_per_s": rng.choice([0.0, rng.uniform(0, 2)]),
                      "energy_weight_per_j": rng.uniform(0.1, 2),
                      "score_scale": rng.uniform(0.1, 5), "score_gain": rng.uniform(0.1, 20),
                      "all_local_allowed": rng.random() < 0.5},
        "noise_density_w_per_hz": 10 ** rng.uniform(-21, -19),
        "users": [{"id": f"u{n}", "position_m": [rng.uniform(0, 500), rng.uniform(0, 500)],
                   "tx_power_w_max": rng.uniform(0.01, 1), "compute": compute(rng),
                   "memory_bytes_max": rng.uniform(1, 4e9),
                   "profile": rng.choice(sorted(profiles))} for n in range(users)],
        "servers": [{"id": f"s{m}", "position_m": [0, 0], "bandwidth_hz": rng.uniform(1e5, 2e7),
                     "tx_power_w_max": rng.uniform(1, 20), "compute": compute(rng)}
                    for m in range(servers)],
        "profiles": profiles, "gain": rng.choice([{"dense": dense}, {"sparse": sparse}])}
    for server in world["servers"]:
        if rng.random() < 0.3:
            server["slots"] = users  # Reachable whatever the links: never fewer slots than users.
    return world, dense


def feasible_plan(rng, world, dense):
    """Server shares drawn from the simplex, boxes respected."""
    chosen = [rng.choice([m for m, g in enumerate(row) if g > 0]) for row in dense]
    weights = {key: [rng.uniform(0.1, 1) for _ in chosen] for key in ("b", "q", "s")}
    rows = []
    for n, (user, m) in enumerate(zip(world["users"], chosen)):
        server = world["servers"][m]
        table = world["profiles"][user["profile"]]
        layers = len(table["local_flop"]) - 1
        last = layers if world["objective"]["all_local_allowed"] else layers - 1
        fits = [k for k in range(last + 1)
                if table["local_memory_bytes"][k] <= user["memory_bytes_max"]]

        def share(key):
            total = sum(w for w, other in zip(weights[key], chosen) if other == m)
            return weights[key][n] / total
        rows.append({"user": user["id"], "server": server["id"], "local_layers": rng.choice(fits),
                     "local_clock_hz": user["compute"]["clock_hz_max"] * rng.uniform(0.1, 1),
                     "tx_power_w": user["tx_power_w_max"] * rng.uniform(0.1, 1),
                     "bandwidth_hz": server["bandwidth_hz"] * share("b"),
                     "server_tx_power_w": server["tx_power_w_max"] * share("q"),
                     "server_clock_hz": server["compute"]["clock_hz_max"] * share("s")})
    rng.shuffle(rows)
    return rows


def spoil(rng, world, rows):
    """One change that breaks a rule, or may break one."""
    row = rng.choice(rows)
    amounts = ["local_clock_hz", "tx_power_w", "bandwidth_hz", "server_tx_power_w",
               "server_clock_hz"]
    change = rng.randrange(6)
    if change == 0:
        row[rng.choice(amounts)] *= 1 + 10 ** rng.uniform(-12, 1)
    elif change == 1:
        row[rng.choice(amounts)] = -rng.uniform(0, 1)
    elif change == 2:
        row[rng.choice(amounts)] = 0.0
    elif change == 3:
        row["local_layers"] = rng.randint(-2, 9)
    elif change == 4:
        row["server"] = rng.choice(world["servers"])["id"]
    else:
        world["servers"][0]["slots"] = len(rows)  # Enough in total; the chosen plan still holds.
        world["users"][0]["memory_bytes_max"] = 1.0


def same(ours, reference):
    if ours is None or reference is None:
        return ours is None and reference is None
    return math.isclose(ours, reference, rel_tol=RELATIVE, abs_tol=0.0)


def differences(ours, reference, world):
    found = [key for key in ("scr", "score", "cost", "delay_s", "energy_j")
             if not same(ours[key], reference[key])]
    if ours["feasible"] != reference["feasible"]:
        found.append("feasible")
    if {v["where"] for v in ours["violations"]} != reference["violations"]:
        found.append("violations")
    for user, row, ref in zip(world["users"], ours["users"], reference["users"]):
        phases, score = ref if ref else (((math.inf, math.inf),) * 4, None)
        for i, phase in enumerate(PHASES):
            for key, value in (("delay_s", phases[i][0]), ("energy_j", phases[i][1])):
                if not same(row[key][phase], value if math.isfinite(value) else None):
                    found.append(f"{user['id']}.{key}.{phase}")
        if not same(row["score"], score):
            found.append(f"{user['id']}.score")
    return found


def run_case(dashf, folder, seed):
    """'feasible', 'infeasible', or a sentence about what differs."""
    rng = random.Random(seed)
    world, dense = scenario(rng)
    rows = feasible_plan(rng, world, dense)
    if seed % 3:
        spoil(rng, world, rows)
    scenario_path, plan_path = folder / "scenario.json", folder / "plan.json"
    text = json.dumps(world)
    scenario_path.write_text(text, encoding="utf-8")
    plan = {"schema": "dashf.plan/1", "scenario_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "method": "random", "version": "0", "seed": seed,
            "status": {"termination": "converged", "primal": "feasible_point"}, "bound": None,
            "assignments": copy.deepcopy(rows), "history": []}
    plan_path.write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run([dashf, "evaluate", scenario_path, plan_path, "--json"],
                          capture_output=True, text=True, check=False)
    reference = evaluate(world, plan)
    if done.returncode != (0 if reference["feasible"] else 4):
        return f"exit code {done.returncode}: {done.stderr.strip()}"
    found = differences(json.loads(done.stdout), reference, world)
    if found:
        return "differs in " + ", ".join(found)
    return "feasible" if reference["feasible"] else "infeasible"


def main():
    dashf = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    first = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    outcomes = {"feasible": 0, "infeasible": 0}
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + count):
            outcome = run_case(dashf, pathlib.Path(folder), seed)
            if outcome in outcomes:
                outcomes[outcome] += 1
            else:
                failures += 1
                print(f"seed {seed}: {outcome}")
    print(f"{count} cases: {outcomes['feasible']} feasible, {outcomes['infeasible']} infeasible, "
          f"{failures} differ")
    # Both kinds must have been tried, or the comparison says little.
    return 1 if failures or min(outcomes.values()) < count // 5 else 0


if __name__ == "__main__":
    sys.exit(main())
