"""The whole problem as one nonlinear program with exact derivatives (CasADi): Bonmin takes it with its
integers; Ipopt takes it relaxed from random starts until the time is up, rounds each answer, and
allocates the resources again with association and splits fixed. Both find local optima."""
import contextlib
import os
import time

import casadi as ca
import numpy as np
from scipy.optimize import linear_sum_assignment

QUIET = {"print_time": False, "error_on_fail": False}
IPOPT = {"ipopt.print_level": 0, "ipopt.sb": "yes", "ipopt.max_iter": 1000}


class Model:
    """Variables: weights x of (server, split) choices, shares (3 per pair), own power, own clock, and
    with the makespan its two maxima in units of 1000 s."""

    def __init__(self, study):
        self.study = study
        N, M, K = study.N, study.M, study.K
        x = ca.MX.sym("x", N * M * K)
        share = ca.MX.sym("share", 3 * N * M)
        p, f, late = ca.MX.sym("p", N), ca.MX.sym("f", N), ca.MX.sym("late", 2)
        self.sizes = [N * M * K, 3 * N * M, N, N, 2]
        weights = [[x[(n * M + m) * K:(n * M + m + 1) * K] for m in range(M)] for n in range(N)]
        rows, low, high = [], [], []

        def limit(expression, lower, upper):
            rows.append(expression)
            low.append(lower)
            high.append(upper)
        score, joule, user_s, server_s = 0, 0, [], []
        for n in range(N):
            on = [ca.sum1(w) for w in weights[n]]
            column = sum(weights[n])
            limit(sum(on), 1.0, 1.0)
            mine = [[share[(r * N + n) * M + m] for m in range(M)] for r in range(3)]
            for r in range(3):
                for m in range(M):
                    limit(mine[r][m] - on[m], -np.inf, 0.0)
            b, q, s = (sum(mine[r][m] * top[m] for m in range(M)) + 1e-7 for r, top in enumerate(
                (study.b_max * 1e-6, study.q_max, study.s_max * study.s_c * 1e-12)))
            snr = sum(on[m] * study.snr[n, m] * 1e-6 for m in range(M))
            kappa = sum(on[m] * study.s_kappa[m] / study.s_c[m]**3 * 1e36 for m in range(M))
            power, clock = p[n] * study.p_max[n], f[n] * study.f_max[n]
            work = ca.dot(column, study.server_flop[n] * 1e-12)
            local = ca.dot(column, study.local_flop[n] / study.f_c[n])
            t_up, t_down = (ca.dot(column, bits[n] * 1e-6) * np.log(2) / (b * ca.log1p(snr * w / b))
                            for bits, w in ((study.upload_bit, power), (study.download_bit, q)))
            user_s.append(local / clock + t_up)
            server_s.append(work / s + t_down)
            joule += (study.f_kappa[n] * clock**2 * local + power * t_up
                      + kappa * s**2 * work + q * t_down)
            score += study.a * ca.log1p(study.c * sum(sum(mine[r]) for r in range(3)))
        for m in range(M):
            limit(sum(ca.sum1(weights[n][m]) for n in range(N)), 0.0, float(study.slots[m]))
            for r in range(3):
                limit(sum(share[(r * N + n) * M + m] for n in range(N)), 0.0, 1.0)
        if study.makespan:
            for side, phases in enumerate((user_s, server_s)):
                for phase in phases:
                    limit(phase / 1000 - late[side], -np.inf, 0.0)
            delay = 1000 * (late[0] + late[1])
        else:
            delay = sum(user_s) + sum(server_s)
        self.problem = {"x": ca.vertcat(x, share, p, f, late), "g": ca.vertcat(*rows),
                        "f": -score / (study.w_t * delay + study.w_e * joule)}
        self.limits = {"lbg": low, "ubg": high}
        possible = (study.allowed[:, None, :] & (study.snr > 0)[:, :, None]).ravel()
        self.low = np.concatenate([np.zeros(sum(self.sizes[:2])), np.full(2 * N, 0.05), [0.0, 0.0]])
        self.high = np.concatenate([possible, np.ones(3 * N * M + 2 * N), [1e3, 1e3]]).astype(float)

    def start(self, random):
        """Random weights on what is possible, equal shares, full power."""
        N, M, K = self.study.N, self.study.M, self.study.K
        x = random.random(N * M * K)**4 * self.high[:N * M * K]
        x /= np.repeat(x.reshape(N, -1).sum(axis=1), M * K)
        on = x.reshape(N, M, K).sum(axis=2)
        return np.concatenate([x, np.tile((on / max(1.0, on.sum(axis=0).max())).ravel(), 3),
                               np.ones(N), np.full(N, 0.7), [5.0, 5.0]])

    def plan(self, values):
        study = self.study
        N, M, K = study.N, study.M, study.K
        x, share, p, f, _ = np.split(np.array(values).ravel(), np.cumsum(self.sizes)[:-1])
        x = x.reshape(N, M, K)
        column = np.repeat(np.arange(M), np.minimum(study.slots, N))
        server = column[linear_sum_assignment(-x.sum(axis=2)[:, column])[1]]
        k = np.where(study.allowed, x[np.arange(N), server], -1.0).argmax(axis=1)
        shares = share.reshape(3, N, M)[:, np.arange(N), server].clip(1e-9, 1.0)
        for m in range(M):  # Solvers keep limits to 1e-8, the evaluator to 1e-9.
            here = server == m
            shares[:, here] /= np.maximum(shares[:, here].sum(axis=1, keepdims=True), 1.0)
        return server, k, shares, p.clip(0.0, 1.0), f.clip(0.0, 1.0)

    def fixed(self, server, k):
        """Bounds that leave the resources alone free."""
        N, M, K = self.study.N, self.study.M, self.study.K
        chosen = np.zeros((N, M, K))
        chosen[np.arange(N), server, k] = 1.0
        low, high = self.low.copy(), self.high.copy()
        low[:N * M * K] = high[:N * M * K] = chosen.ravel()
        return low, high


@contextlib.contextmanager
def silence():
    """Bonmin's log goes to the descriptors, whatever its options say."""
    kept = os.dup(1), os.dup(2)
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        for fd in (1, 2):
            os.dup2(nowhere.fileno(), fd)
    try:
        yield
    finally:
        for fd, copy in zip((1, 2), kept):
            os.dup2(copy, fd)
            os.close(copy)


def ratio(study, server, k, shares, power, clock):
    return study.scr(server[None], k[None], shares[:, None], power[None], clock[None])[0]


def ipopt(study, seconds, seed):
    begin, random, model = time.perf_counter(), np.random.default_rng(seed), Model(study)
    solver = ca.nlpsol("relaxed", "ipopt", model.problem,
                       {**QUIET, **IPOPT, "ipopt.max_wall_time": seconds})
    best = None
    while best is None or time.perf_counter() - begin < seconds:
        start = model.start(random)
        relaxed = solver(x0=start, lbx=model.low, ubx=model.high, **model.limits)
        server, k, *_ = model.plan(relaxed["x"])
        low, high = model.fixed(server, k)
        again = solver(x0=np.clip(np.array(relaxed["x"]).ravel(), low, high), lbx=low, ubx=high,
                       **model.limits)
        plan = model.plan(again["x"])
        if best is None or ratio(study, *plan) > ratio(study, *best):
            best = plan
    return best, time.perf_counter() - begin


def bonmin(study, seconds, seed):
    begin, model = time.perf_counter(), Model(study)
    discrete = [i < model.sizes[0] for i in range(sum(model.sizes))]
    solver = ca.nlpsol("integer", "bonmin", model.problem,
                       {**QUIET, "discrete": discrete, "bonmin.algorithm": "B-BB",
                        "bonmin.time_limit": seconds})  # Of processor time.
    with silence():
        found = solver(x0=model.start(np.random.default_rng(seed)), lbx=model.low, ubx=model.high,
                       **model.limits)
    return model.plan(found["x"]), time.perf_counter() - begin
