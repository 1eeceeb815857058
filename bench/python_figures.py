"""What it costs to plan from Python: python_figures.py DASHF [--repeat N], with a Python that has the package, pandas not
needed, gymnasium for the last line.

Each figure is the least of N times, which a busy machine disturbs least. What both make is compared before a time is told.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

import dashf


def least(repeat, call):
    """Of the times of so many calls, s."""
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return min(times)


def overhead(program, repeat):
    """dashf.solve beside the search alone as `dashf solve` times it, s each, on the same scenario and one thread, by
    turns, so that both see the same machine."""
    scenario = dashf.Scenario.study(users=10, servers=2, seed=1)
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "s.json"
        scenario.save(path)
        words = [program, "solve", str(path), "--threads", "1", "--json", "--out", str(path) + ".plan"]
        for _ in range(repeat):
            told = json.loads(subprocess.run(words, capture_output=True, check=True).stdout)
            theirs.append(told["elapsed_s"])
            begin = time.perf_counter()
            plan = dashf.solve(scenario, threads=1)
            ours.append(time.perf_counter() - begin)
            assert plan.scr == told["scr"], "not the same plan"
    return min(ours), min(theirs)


def large(repeat, links_each):
    """A scenario of 10,000 users and 200 servers of one's own arrays, s; all links or so many of each user's."""
    draw, users, servers, k = np.random.default_rng(1), 10_000, 200, np.arange(17)
    gain = draw.exponential(1e-9, (users, servers))
    if links_each:
        gain[draw.random(gain.shape) > links_each / servers] = 0.0
        gain[np.arange(users), np.arange(users) % servers] = 1e-9
    given = {"noise_density_w_per_hz": 4e-21, "user_tx_power_w_max": 0.2, "user_flop_per_cycle": 16.0,
             "user_clock_hz_max": draw.uniform(1e9, 2e9, users), "user_memory_bytes_max": 8e9,
             "server_tx_power_w_max": 10.0, "server_bandwidth_hz": 20e6, "server_clock_hz_max": 4e9,
             "server_flop_per_cycle": 256.0, "user_kappa_w_per_hz3": 1e-27, "server_kappa_w_per_hz3": 1e-27,
             "local_flop": 1e13 * k, "server_flop": 1e13 * (16 - k), "upload_bit": 1e8 * (k < 16),
             "download_bit": 1e7 * (16 - k), "local_memory_bytes": 2e9 + 1e8 * k}
    np.testing.assert_array_equal(dashf.Scenario.from_arrays(gain, **given).gain, gain)
    return least(min(repeat, 5), lambda: dashf.Scenario.from_arrays(gain, **given)), int(np.count_nonzero(gain))


def steps_per_s(repeat, steps=500):
    """Of the environment with equal shares, 10 users and 2 servers; actions are drawn before."""
    import dashf.gym

    environment = dashf.gym.PlanningEnv(users=10, servers=2, episode_steps=10**6)
    environment.reset(seed=1)
    environment.action_space.seed(1)
    actions = [environment.action_space.sample() for _ in range(steps)]
    return steps / least(repeat, lambda: [environment.step(action) for action in actions])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", metavar="DASHF")
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    code = "import time; t = time.perf_counter(); import dashf; print(time.perf_counter() - t)"
    took = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
               for _ in range(options.repeat))
    print(f"import dashf, with NumPy: {took:.3f} s")
    ours, theirs = overhead(options.program, options.repeat)
    print(f"10 x 2: dashf.solve {1e3 * ours:.2f} ms, the search alone in C++ {1e3 * theirs:.2f} ms: "
          f"{100 * (ours / theirs - 1):+.1f} %")
    for links_each in (0, 8):
        took, links = large(options.repeat, links_each)
        print(f"10,000 x 200 from arrays, {links} links: {took:.3f} s")
    print(f"environment, 10 x 2, equal shares: {steps_per_s(options.repeat):.0f} steps/s")


if __name__ == "__main__":
    main()
