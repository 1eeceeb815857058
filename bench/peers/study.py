"""A scenario of dashf as arrays, the model of docs/model.md on them for many plans at once, and the
way back: a plan file that `dashf evaluate` judges. Only its verdict is ever reported."""
import hashlib
import json
import pathlib
import subprocess
import tempfile

import numpy as np


class Study:
    """Shapes: N users, M servers, K = L + 1 splits. Needs dense gains and splits of one length."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.world = world = json.loads(self.path.read_text())
        objective = world["objective"]
        self.makespan = objective["delay"] == "makespan"
        self.w_t, self.w_e = objective["delay_weight_per_s"], objective["energy_weight_per_j"]
        self.a, self.c = objective["score_scale"], objective["score_gain"]
        users, servers = world["users"], world["servers"]
        self.N, self.M = len(users), len(servers)
        self.snr = np.array(world["gain"]["dense"]) / world["noise_density_w_per_hz"]

        def table(column):
            return np.array([world["profiles"][u["profile"]][column] for u in users])
        self.local_flop, self.server_flop = table("local_flop"), table("server_flop")
        self.upload_bit, self.download_bit = table("upload_bit"), table("download_bit")
        self.K = self.local_flop.shape[1]
        memory = np.array([u["memory_bytes_max"] for u in users])
        self.allowed = table("local_memory_bytes") <= memory[:, None]
        self.allowed[:, -1] &= objective["all_local_allowed"]

        def compute(nodes, key):
            return np.array([node["compute"][key] for node in nodes])
        self.p_max = np.array([u["tx_power_w_max"] for u in users])
        self.f_max, self.f_c = compute(users, "clock_hz_max"), compute(users, "flop_per_cycle")
        self.f_kappa = compute(users, "kappa_w_per_hz3")
        self.b_max = np.array([s["bandwidth_hz"] for s in servers])
        self.q_max = np.array([s["tx_power_w_max"] for s in servers])
        self.s_max, self.s_c = compute(servers, "clock_hz_max"), compute(servers, "flop_per_cycle")
        self.s_kappa = compute(servers, "kappa_w_per_hz3")
        self.slots = np.array([s.get("slots", self.N) for s in servers])

    def scr(self, server, k, shares, power, clock):
        """SCR of P plans. server, k: (P, N) indices; shares: (3, P, N) of b, q, s; power, clock:
        (P, N) shares of the user's own limits."""
        n = np.arange(self.N)
        b, q = shares[0] * self.b_max[server], shares[1] * self.q_max[server]
        s, p, f = shares[2] * self.s_max[server], power * self.p_max, clock * self.f_max
        snr, up, down = self.snr[n, server], self.upload_bit[n, k], self.download_bit[n, k]
        local, remote = self.local_flop[n, k] / self.f_c, self.server_flop[n, k] / self.s_c[server]

        def seconds(amount, speed):
            return np.where(amount > 0, amount / np.maximum(speed, 1e-300), 0.0)
        b_safe = np.maximum(b, 1e-300)
        t_up = seconds(up, b * np.log2(1 + snr * p / b_safe))
        t_down = seconds(down, b * np.log2(1 + snr * q / b_safe))
        t_local, t_server = seconds(local, f), seconds(remote, s)
        energy = (self.f_kappa * f**2 * local + self.s_kappa[server] * s**2 * remote
                  + p * t_up + q * t_down).sum(axis=1)
        user_s, server_s = t_local + t_up, t_server + t_down
        delay = (user_s.max(axis=1) + server_s.max(axis=1) if self.makespan
                 else (user_s + server_s).sum(axis=1))
        granted = (shares[0] * (up + down > 0) + shares[1] * (down > 0) + shares[2] * (remote > 0))
        score = self.a * np.log1p(self.c * granted).sum(axis=1)
        return score / (self.w_t * delay + self.w_e * energy)

    def needs(self, server, k):
        """(3, P, N): who needs bandwidth, power, clock."""
        n = np.arange(self.N)
        up, down = self.upload_bit[n, k] > 0, self.download_bit[n, k] > 0
        return np.stack([up | down, down, self.server_flop[n, k] > 0])

    def judged(self, dashf, server, k, shares, power, clock):
        """SCR of one plan by `dashf evaluate`, or None if it is infeasible there."""
        keep = 1 - 1e-12  # Shares that sum to 1 in floating point stay inside the limit.
        rows = []
        for n, user in enumerate(self.world["users"]):
            m = int(server[n])
            rows.append({"user": user["id"], "server": self.world["servers"][m]["id"],
                         "local_layers": int(k[n]), "local_clock_hz": clock[n] * self.f_max[n],
                         "tx_power_w": power[n] * self.p_max[n],
                         "bandwidth_hz": shares[0][n] * self.b_max[m] * keep,
                         "server_tx_power_w": shares[1][n] * self.q_max[m] * keep,
                         "server_clock_hz": shares[2][n] * self.s_max[m] * keep})
        plan = {"schema": "dashf.plan/1", "method": "peer", "version": "0", "seed": 0,
                "scenario_sha256": hashlib.sha256(self.path.read_bytes()).hexdigest(),
                "status": {"termination": "converged", "primal": "feasible_point"}, "bound": None,
                "assignments": rows, "history": []}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(plan, file)
            file.flush()
            done = subprocess.run([dashf, "evaluate", self.path, file.name, "--json"],
                                  capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        return json.loads(done.stdout)["scr"]
