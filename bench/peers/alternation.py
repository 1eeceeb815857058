"""The paper's alternation as one would write it in CVXPY: Dinkelbach's ratio outside, inside it step
A (step_a.py; Hungarian rounding, splits by enumeration) and step B (bandwidth, powers and clocks by
the fractional technique, A / B <= A^2 z + 1 / (4 B^2 z)), solved by Clarabel."""
import time

import cvxpy as cp
import numpy as np
from scipy.optimize import linear_sum_assignment

import step_a

ROUNDS_MAX, RATIO_STEPS = 12, 6


def tentative(study, server, k, shares, power, clock):
    """Times, energies and scores of every pair and split: a user keeps what it has where it is,
    and would get an equal share among those already there elsewhere."""
    N, M, K = study.N, study.M, study.K
    load = np.bincount(server, minlength=M)
    times = {side: np.zeros((N, M, K)) for side in ("user", "server")}
    energies, scores = np.zeros((N, M, K)), np.zeros((N, M))
    for m in range(M):
        here = server == m
        part = np.where(here, np.maximum(shares, 1e-3), 1.0 / (load[m] + 1))
        b, q, s = part[0] * study.b_max[m], part[1] * study.q_max[m], part[2] * study.s_max[m]
        p, f = power * study.p_max, clock * study.f_max
        up = study.upload_bit / np.maximum(b * np.log2(1 + study.snr[:, m] * p / b), 1e-9)[:, None]
        down = study.download_bit / np.maximum(b * np.log2(1 + study.snr[:, m] * q / b), 1e-9)[:, None]
        local = study.local_flop / study.f_c[:, None]
        remote = study.server_flop / study.s_c[m]
        times["user"][:, m] = local / f[:, None] + up
        times["server"][:, m] = remote / s[:, None] + down
        energies[:, m] = ((study.f_kappa * f**2)[:, None] * local + p[:, None] * up
                          + study.s_kappa[m] * (s**2)[:, None] * remote + q[:, None] * down)
        scores[:, m] = study.a * np.log1p(study.c * part.sum(axis=0))
    return times, energies, scores


def associate(study, y, form, solver, state):
    """Step A: a server and a split for each user."""
    times, energies, scores = tentative(study, *state)
    program, places = step_a.build(study, y, form, times, energies, scores)
    _, value = program.by_cvxpy(solver)
    x = np.array([[value(places[n, m]) for m in range(study.M)] for n in range(study.N)])
    column = np.repeat(np.arange(study.M), np.minimum(study.slots, study.N))
    cost = np.where(study.snr[:, column] > 0, -x[:, column], 1e6)
    server = column[linear_sum_assignment(cost)[1]]
    n = np.arange(study.N)
    late = {side: times[side][n, server] for side in times}
    gain = -y * study.w_e * energies[n, server]
    if not study.makespan:
        gain = gain - y * study.w_t * (late["user"] + late["server"])
        return server, np.where(study.allowed, gain, -np.inf).argmax(axis=1)
    k = np.where(study.allowed, gain, -np.inf).argmax(axis=1)
    for _ in range(3):  # One user's split at a time under the two barriers.
        for i in n:
            rest = {side: np.delete(late[side][n, k], i).max() for side in late}
            delay = sum(np.maximum(late[side][i], rest[side]) for side in late)
            total = np.where(study.allowed[i], gain[i] - y * study.w_t * delay, -np.inf)
            k[i] = total.argmax()
    return server, k


def allocate(study, y, server, k, start):
    """Step B: shares, own powers and own clocks that maximise score - y cost."""
    n = np.arange(study.N)
    up, down = study.upload_bit[n, k] * 1e-6, study.download_bit[n, k] * 1e-6  # Mbit
    local = study.local_flop[n, k] / study.f_c / study.f_max
    remote = study.server_flop[n, k] / study.s_c[server] / study.s_max[server]
    b_max, q_max = study.b_max[server] * 1e-6, study.q_max[server]
    snr = study.snr[n, server] * 1e-6
    share = cp.Variable((3, study.N), nonneg=True)
    p, f = cp.Variable(study.N, nonneg=True), cp.Variable(study.N, nonneg=True)
    z = [cp.Parameter(study.N, nonneg=True) for _ in range(2)]
    inverse = [cp.Parameter(study.N, nonneg=True) for _ in range(2)]

    def rate(power, most):
        """b log2(1 + snr p / b) in Mbit/s, the snr at full power taken out of the logarithm."""
        c = snr * most / b_max
        return cp.multiply(b_max / np.log(2), cp.multiply(np.log(c), share[0])
                           - cp.rel_entr(share[0], cp.multiply(1 / c, share[0]) + power))
    uplink, downlink = rate(p, study.p_max), rate(share[1], q_max)
    user_s = cp.multiply(local, cp.inv_pos(f)) + cp.multiply(up, cp.inv_pos(uplink))
    server_s = (cp.multiply(remote, cp.inv_pos(share[2]))
                + cp.multiply(down, cp.inv_pos(downlink)))
    joule = (cp.multiply(study.f_kappa * study.f_max**3 * local, cp.square(f))
             + cp.multiply(study.s_kappa[server] * study.s_max[server]**3 * remote,
                           cp.square(share[2])))
    for power, r, zi, wi in zip((p, share[1]), (uplink, downlink), z, inverse):
        joule += cp.multiply(zi, cp.square(power)) + cp.multiply(wi, cp.power(r, -2))
    granted = cp.multiply(study.needs(server[None], k[None])[:, 0], share)
    score = study.a * cp.sum(cp.log1p(study.c * cp.sum(granted, axis=0)))
    delay = cp.max(user_s) + cp.max(server_s) if study.makespan else cp.sum(user_s + server_s)
    limits = [p <= 1, f <= 1] + [cp.sum(share[:, server == m], axis=1) <= 1
                                 for m in np.unique(server)]
    problem = cp.Problem(cp.Maximize(score - y * (study.w_t * delay + study.w_e * cp.sum(joule))),
                         limits)
    shares, power, clock = start
    for _ in range(5):
        b = np.maximum(shares[0] * b_max, 1e-9)
        for zi, wi, bits, part, most in zip(z, inverse, (up, down), (power, shares[1]),
                                            (study.p_max, q_max)):
            watt = np.maximum(part, 1e-6) * most
            r = b * np.log2(1 + snr * watt / b)
            zi.value, wi.value = bits * most**2 / (2 * watt * r), bits * watt * r / 2
        try:
            problem.solve(solver=cp.CLARABEL)
        except cp.error.SolverError:
            break
        if share.value is None:
            break
        shares, power, clock = share.value, np.clip(p.value, 1e-6, 1), np.clip(f.value, 1e-6, 1)
    for m in np.unique(server):  # Solvers keep limits to 1e-8, the evaluator to 1e-9.
        here = server == m
        shares[:, here] /= np.maximum(shares[:, here].sum(axis=1, keepdims=True), 1.0)
    return shares, power, clock


def ratio(study, server, k, shares, power, clock):
    return study.scr(server[None], k[None], shares[:, None], power[None], clock[None])[0]


def first_plan(study, level):
    """The strongest server with a slot, equal shares, and a split from few (0) to many (1) layers."""
    column = np.repeat(np.arange(study.M), np.minimum(study.slots, study.N))
    server = column[linear_sum_assignment(-np.log(study.snr[:, column] + 1e-300))[1]]
    k = np.array([np.flatnonzero(ok)[round(level * (ok.sum() - 1))] for ok in study.allowed])
    return server, k, equal_shares(study, server), np.ones(study.N), np.full(study.N, 0.7)


def equal_shares(study, server):
    return np.tile(1.0 / np.bincount(server, minlength=study.M)[server], (3, 1))


def alternate(study, form, solver, state, out_of_time):
    best, y = state, ratio(study, *state)
    for round_ in range(ROUNDS_MAX):
        before, (server, k, *resources) = y, best
        if round_ > 0:
            server, k = associate(study, y, form, solver, best)
            resources = equal_shares(study, server), best[3], best[4]
        y_here = ratio(study, server, k, *resources)
        for _ in range(RATIO_STEPS):
            resources = allocate(study, max(y_here, 0.5 * y), server, k, resources)
            y_next = ratio(study, server, k, *resources)
            done, y_here = y_next < y_here * (1 + 1e-5), max(y_here, y_next)
            if done or out_of_time():
                break
        if ratio(study, server, k, *resources) > y:
            best, y = (server, k, *resources), ratio(study, server, k, *resources)
        if (round_ > 0 and y < before * (1 + 1e-5)) or out_of_time():
            break
    return best


def solve(study, seconds, _seed, form="hull", solver="CLARABEL"):
    """The best of the alternations from few, half and many local layers."""
    start = time.perf_counter()
    plans = []
    for level in (0.5, 1.0, 0.0):
        plans.append(alternate(study, form, solver, first_plan(study, level),
                               lambda: time.perf_counter() - start > seconds))
        if time.perf_counter() - start > seconds:
            break
    return max(plans, key=lambda plan: ratio(study, *plan)), time.perf_counter() - start
