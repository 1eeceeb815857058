"""The whole problem, total delay, as one mixed-integer nonlinear program for SCIP: one binary per
user, server and split; the ratio as t * cost <= score. The user's own clock, whose best value is a
closed form, is taken off its hands."""
import time

import numpy as np
from pyscipopt import Model, log, quicksum


def solve(study, seconds, _seed):
    assert not study.makespan
    start = time.perf_counter()
    model = Model("scr")
    model.hideOutput()
    model.setParam("limits/time", seconds)
    users, servers, splits = range(study.N), range(study.M), range(study.K)
    with np.errstate(divide="ignore"):
        clock = np.minimum(1.0, np.cbrt(study.w_t / (2 * study.w_e * study.f_kappa)) / study.f_max)
    x = {(n, m, k): model.addVar(vtype="B") for n in users for m in servers for k in splits
         if study.allowed[n, k] and study.snr[n, m] > 0}
    share = {(r, n, m): model.addVar(lb=0, ub=1) for r in range(3) for n in users for m in servers}
    power = [model.addVar(lb=0.05, ub=1) for _ in users]
    costs, scores = [], []

    def on(n, m):
        return quicksum(x[n, m, k] for k in splits if (n, m, k) in x)

    def column(n, table):
        return quicksum(x[key] * table[n, key[2]] for key in x if key[0] == n)
    for m in servers:
        for r in range(3):
            model.addCons(quicksum(share[r, n, m] for n in users) <= 1)
        model.addCons(quicksum(on(n, m) for n in users) <= int(study.slots[m]))
    for n in users:
        model.addCons(quicksum(on(n, m) for m in servers) == 1)
        for r in range(3):
            for m in servers:
                model.addCons(share[r, n, m] <= on(n, m))
        f = clock[n] * study.f_max[n]
        cycle = study.local_flop / study.f_c[n]
        costs.append(column(n, study.w_t * cycle / f + study.w_e * study.f_kappa[n] * f**2 * cycle))
        # Rates in Mbit/s, work in TFLOP: numbers near 1.
        b = quicksum(share[0, n, m] * (study.b_max[m] * 1e-6) for m in servers)
        q = quicksum(share[1, n, m] * study.q_max[m] for m in servers)
        s = quicksum(share[2, n, m] * (study.s_max[m] * study.s_c[m] * 1e-12) for m in servers)
        snr = quicksum(on(n, m) * (study.snr[n, m] * 1e-6) for m in servers)
        t_up, t_down, t_server, e_server = (model.addVar(lb=0) for _ in range(4))
        bandwidth = model.addVar(lb=1e-4, ub=study.b_max.max() * 1e-6)
        model.addCons(bandwidth == b)
        for t, p, bits in ((t_up, power[n] * study.p_max[n], study.upload_bit),
                           (t_down, q, study.download_bit)):
            rate = bandwidth * log(1 + snr * p / bandwidth) / np.log(2)
            model.addCons(t * rate >= column(n, bits * 1e-6))
        work = column(n, study.server_flop * 1e-12)
        model.addCons(t_server * s >= work)
        # kappa s^2 W / c with s in TFLOP/s.
        kappa = quicksum(on(n, m) * (study.s_kappa[m] / study.s_c[m]**3 * 1e36) for m in servers)
        model.addCons(e_server >= kappa * s * s * work)
        costs.append(study.w_t * (t_up + t_down + t_server)
                     + study.w_e * (e_server + power[n] * study.p_max[n] * t_up + q * t_down))
        score = model.addVar(lb=0, ub=study.a * np.log1p(3 * study.c))
        granted = quicksum(share[r, n, m] for r in range(3) for m in servers)
        model.addCons(score <= study.a * log(1 + study.c * granted))
        scores.append(score)
    ratio = model.addVar(lb=0, ub=1e3)
    cost = model.addVar(lb=1e-6)
    model.addCons(cost >= quicksum(costs))
    model.addCons(ratio * cost <= quicksum(scores))
    model.setObjective(ratio, "maximize")
    model.optimize()
    elapsed = time.perf_counter() - start
    if model.getNSols() == 0:
        return None, elapsed
    chosen = {key[0]: key[1:] for key in x if model.getVal(x[key]) > 0.5}
    server = np.array([chosen[n][0] for n in users])
    shares = np.array([[max(model.getVal(share[r, n, server[n]]), 0.0) for n in users]
                       for r in range(3)])
    for m in servers:  # SCIP keeps limits to 1e-6, the evaluator to 1e-9.
        total = np.maximum(shares[:, server == m].sum(axis=1, keepdims=True), 1.0)
        shares[:, server == m] /= total
    return (server, np.array([chosen[n][1] for n in users]), shares,
            np.array([min(model.getVal(p), 1.0) for p in power]), clock), elapsed
