"""The association step of the alternation (docs/model.md, step A) as a conic program, resources fixed:
the paper's semidefinite relaxation with one big matrix (`full`) or one small matrix per user (`block`),
and the convex hull of each user's choices as a linear program (`hull`).

A program is: maximise sum C.X subject to A_i.X = b_i, every block of X positive semidefinite, the
last one diagonal: the standard form of CSDP and SDPA, which CVXPY takes as well."""
import pathlib
import subprocess
import tempfile

import cvxpy as cp
import numpy as np


class Program:
    def __init__(self, orders):
        self.orders, self.slacks = orders, 0
        self.objective, self.rows, self.rhs = {}, [], []

    def slack(self):
        self.slacks += 1
        return (len(self.orders), self.slacks - 1, self.slacks - 1)

    def equal(self, entries, rhs):
        """entries: [((block, i, j), coefficient of X_ij)], each place once."""
        self.rows.append(dict(entries))
        self.rhs.append(rhs)

    def at_most(self, entries, rhs):
        self.equal([*entries, (self.slack(), 1.0)], rhs)

    def by_cvxpy(self, solver):
        """Optimal value and a function from places to values."""
        blocks = [cp.Variable((order, order), PSD=True) for order in self.orders]
        blocks.append(cp.Variable(self.slacks, nonneg=True))

        def value(entries):
            return sum(c * (blocks[b][i] if b == len(self.orders) else blocks[b][i, j])
                       for (b, i, j), c in entries.items())
        problem = cp.Problem(cp.Maximize(value(self.objective)),
                             [value(row) == b for row, b in zip(self.rows, self.rhs)])
        problem.solve(solver=solver)
        found = [block.value for block in blocks]
        return problem.value, lambda at: found[at[0]][at[1] if at[0] == len(self.orders) else at[1:]]

    def by_file(self, program):
        """Optimal value by `csdp` or `sdpa`, through a file in SDPA's sparse format."""
        lines = [len(self.rows), len(self.orders) + 1,
                 " ".join(map(str, [*self.orders, -self.slacks])),
                 " ".join(str(float(b)) for b in self.rhs)]
        for i, row in enumerate([self.objective, *self.rows]):
            lines += [f"{i} {b + 1} {min(j, k) + 1} {max(j, k) + 1} {float(c if j == k else c / 2)}"
                      for (b, j, k), c in row.items()]
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "p.dat-s").write_text("\n".join(map(str, lines)) + "\n")
            said = subprocess.run([program, "p.dat-s", "p.out"], cwd=folder, capture_output=True,
                                  text=True, check=False).stdout
        # Both call the side with our maximum primal or dual; the two values agree at the end.
        key = "Primal objective value:" if program == "csdp" else "objValDual"
        values = [line.replace("=", " ").split()[-1] for line in said.splitlines() if key in line]
        return float(values[-1]) if values else float("nan")


def affine(table, allowed, rows):
    """Slope and value at 0 of each user's fit over phi = k / L, as docs/model.md has it."""
    phi = np.arange(table.shape[1]) / (table.shape[1] - 1)
    fits = [np.polyfit(phi[:rows][ok[:rows]], line[:rows][ok[:rows]], 1) if ok[:rows].sum() > 1
            else (0.0, line[:rows][ok[:rows]].mean()) for line, ok in zip(table, allowed)]
    return np.array([f[0] for f in fits])[:, None], np.array([f[1] for f in fits])[:, None]


def build(study, y, form, times, energies, scores):
    """times: {"user": (N, M, K), "server": (N, M, K)}, energies (N, M, K), scores (N, M) at the
    resources each pair would get. Total delay enters per pair, the makespan by its two maxima."""
    N, M, L = study.N, study.M, study.K - 1
    rows = study.K if study.allowed[:, -1].any() else L  # All-local is fitted only if allowed.
    phi_max = np.array([np.flatnonzero(ok).max() for ok in study.allowed]) / L

    def fit(cube):
        pairs = [affine(cube[:, m, :], study.allowed, rows) for m in range(M)]
        return np.hstack([p[0] for p in pairs]), np.hstack([p[1] for p in pairs])
    late = {side: fit(times[side]) for side in ("user", "server")}
    joule = fit(energies)
    gain1 = -y * study.w_e * joule[0]
    gain0 = scores - y * study.w_e * joule[1]
    if not study.makespan:
        gain1 = gain1 - y * study.w_t * (late["user"][0] + late["server"][0])
        gain0 = gain0 - y * study.w_t * (late["user"][1] + late["server"][1])
    orders = {"full": [N * M + N + 1], "block": [M + 2] * N, "hull": []}[form]
    program = Program(orders)
    x, u = {}, {}
    for n in range(N):
        if form == "hull":
            phi = None
            x.update({(n, m): program.slack() for m in range(M)})
            u.update({(n, m): program.slack() for m in range(M)})
            for m in range(M):  # 0 <= u <= phi_max x: the hull of (x, phi, x phi).
                program.at_most([(u[n, m], 1.0), (x[n, m], -phi_max[n])], 0.0)
        else:
            b = 0 if form == "full" else n
            first, phi = (1 + n * M, 1 + N * M + n) if form == "full" else (1, M + 1)
            for m in range(M):
                x[n, m], u[n, m] = (b, 0, first + m), (b, first + m, phi)
                program.equal([((b, first + m, first + m), 1.0), (x[n, m], -1.0)], 0.0)
            if form == "block" or n == 0:
                program.equal([((b, 0, 0), 1.0)], 1.0)
            program.at_most([((b, phi, phi), 1.0), ((b, 0, phi), -1.0)], 0.0)
            program.at_most([((b, 0, phi), 1.0)], phi_max[n])
        program.equal([(x[n, m], 1.0) for m in range(M)], 1.0)
        for m in range(M):
            program.objective[x[n, m]] = gain0[n, m]
            program.objective[u[n, m]] = gain1[n, m]
            if not study.snr[n, m] > 0:
                program.equal([(x[n, m], 1.0)], 0.0)
    for m in range(M):
        if study.slots[m] < N:
            program.at_most([(x[n, m], 1.0) for n in range(N)], float(study.slots[m]))
    if study.makespan:
        for slope, base in late.values():
            longest = program.slack()
            program.objective[longest] = -y * study.w_t
            for n in range(N):
                program.at_most([(x[n, m], base[n, m]) for m in range(M)]
                                + [(u[n, m], slope[n, m]) for m in range(M)]
                                + [(longest, -1.0)], 0.0)
    return program, x
