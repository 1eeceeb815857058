#!/usr/bin/env python3
"""What a researcher would use today beside dashf, on the same scenarios in one run.

  python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r bench/peers/requirements.txt
  /tmp/peers/bin/python bench/peers/peers.py build/release/bin/dashf --seconds 60 --seeds 3

Every plan is judged by `dashf evaluate`; a plan that is infeasible there counts as none. Times are
wall time on this machine, peers in this process, dashf's as `dashf solve --json` states them."""
import argparse
import functools
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
import warnings

import alternation
import metaheuristics
import nonlinear
import scip
import step_a
from study import Study

PEERS = {"genetic algorithm (pymoo)": metaheuristics.genetic_algorithm,
         "particle swarm (pymoo)": metaheuristics.particle_swarm,
         "SCIP, whole problem": scip.solve,
         "Bonmin, whole problem": nonlinear.bonmin,
         "Ipopt, multi-start": nonlinear.ipopt,
         "alternation, full SDP, SCS": functools.partial(alternation.solve, form="full", solver="SCS"),
         "alternation, block SDP, Clarabel": functools.partial(alternation.solve, form="block"),
         "alternation, hull, Clarabel": functools.partial(alternation.solve, form="hull")}


def by_dashf(dashf, scenario, method, folder):
    plan = folder / "plan.json"
    done = subprocess.run([dashf, "solve", scenario, "--method", method, "--out", plan, "--json"],
                          capture_output=True, text=True, check=False)
    if done.returncode not in (0, 5):
        return None, None
    said = json.loads(done.stdout)
    return said["scr"], said["elapsed_s"]


def compare_step_a(study):
    """The relaxed value of one association step and the time of each way to it."""
    state = alternation.first_plan(study, 0.5)
    y = alternation.ratio(study, *state)
    parts = alternation.tentative(study, *state)
    print(f"\n{'step A':8}{'solver':10}{'relaxed value':>14}  {'time s':>8}")
    for form in ("full", "block", "hull"):
        program, _ = step_a.build(study, y, form, *parts)
        for solver in ("SCS", "CLARABEL", "csdp", "sdpa"):
            start = time.perf_counter()
            value = (program.by_file(solver) if solver.islower() else program.by_cvxpy(solver)[0])
            print(f"{form:8}{solver:10}{value:14.6f}  {time.perf_counter() - start:8.3f}", flush=True)


def main():
    warnings.simplefilter("ignore")  # CVXPY's on accuracy; the evaluator judges the plans.
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dashf")
    parser.add_argument("--methods", default="prices,dashf,exhaustive", help="of dashf, comma-separated")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each peer and scenario")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--users", type=int, default=10)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--delay", choices=["sum", "makespan"], default="sum")
    parser.add_argument("--peers", default="",
                        help="only those whose name holds one of these, comma-separated")
    parser.add_argument("--step-a", action="store_true", help="also time one association step")
    flags = parser.parse_args()
    peers = {name: search for name, search in PEERS.items()
             if any(part in name for part in flags.peers.split(","))}
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for seed in range(1, flags.seeds + 1):
            path = folder / f"{seed}.json"
            subprocess.run([flags.dashf, "new", "--users", str(flags.users), "--servers",
                            str(flags.servers), "--delay", flags.delay, "--seed", str(seed),
                            "--out", path], check=True, capture_output=True)
            study = Study(path)
            rows = {m: by_dashf(flags.dashf, path, m, folder) for m in flags.methods.split(",")}
            for peer, search in peers.items():
                if peer.startswith("SCIP") and study.makespan:
                    continue
                plan, elapsed_s = search(study, flags.seconds, seed)
                rows[peer] = (study.judged(flags.dashf, *plan) if plan else None, elapsed_s)
            best = max(scr for scr, _ in rows.values() if scr)
            for method, (scr, elapsed_s) in rows.items():
                print(f"seed {seed}  {method:32}  scr {scr}  time {elapsed_s} s", flush=True)
                results.setdefault(method, []).append((scr and scr / best, elapsed_s))
            if flags.step_a and seed == 1:
                compare_step_a(study)
    print(f"\n{flags.users} x {flags.servers}, {flags.delay}: medians over {flags.seeds} scenarios")
    print(f"{'method':32}  {'% of best':>9}  {'time s':>8}  plans")
    for method, rows in results.items():
        found = [(share, elapsed_s) for share, elapsed_s in rows if share]
        if found:
            share, elapsed_s = (statistics.median(column) for column in zip(*found))
            print(f"{method:32}  {100 * share:9.2f}  {elapsed_s:8.3f}  {len(found)} of {len(rows)}")
        else:
            print(f"{method:32}  {'-':>9}  {'-':>8}  0 of {len(rows)}")


if __name__ == "__main__":
    main()
