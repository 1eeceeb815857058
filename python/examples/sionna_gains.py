"""A plan on gains that Sionna RT traced through a street of houses.

    pip install . sionna-rt        # and LLVM's library, libllvm19
    python python/examples/sionna_gains.py

Servers are transmitters on house walls, users receivers in the street. The gain of a link is the power that all its paths
carry together, over antennas and both ends' patterns, |a|^2 summed: the mean over a band much wider than the inverse of
the paths' spread of delays. The other constants are those of the default study.
"""
import numpy as np
import sionna.rt as rt

import dashf

SITES_M = [(-40.0, 12.0, 9.0), (35.0, -12.0, 9.0)]  # x, y, height.
USERS, HEIGHT_M, SEED = 12, 1.5, 1


def traced_gains(sites_m, users_m):
    """(users, servers), received over sent power; 0 where no path was found."""
    scene = rt.load_scene(rt.scene.simple_street_canyon)
    scene.frequency = 3.5e9
    scene.tx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="tr38901", polarization="V")
    scene.rx_array = rt.PlanarArray(num_rows=1, num_cols=1, pattern="iso", polarization="V")
    for m, place in enumerate(sites_m):
        scene.add(rt.Transmitter(f"s{m}", position=place, look_at=(0.0, 0.0, HEIGHT_M)))
    for n, place in enumerate(users_m):
        scene.add(rt.Receiver(f"u{n}", position=place))
    paths = rt.PathSolver()(scene, max_depth=4, seed=SEED)
    amplitudes, _ = paths.cir(num_time_steps=1, out_type="numpy")
    return np.sum(np.abs(amplitudes) ** 2, axis=(1, 3, 4, 5), dtype=np.float64)  # rx, its antenna, tx, its, path, time


def main():
    draw = np.random.default_rng(SEED)
    places = zip(draw.uniform(-60, 60, USERS).tolist(), draw.uniform(-7, 7, USERS).tolist())
    users_m = [(x, y, HEIGHT_M) for x, y in places]
    gain = traced_gains(SITES_M, users_m)
    reached = gain.max(axis=1) > 0
    print(f"{reached.sum()} of {USERS} users are reached, by {10 * np.log10(gain[gain > 0]).min():.0f} to "
          f"{10 * np.log10(gain.max()):.0f} dB")
    sites, users = (np.array(places)[:, :2] for places in (SITES_M, users_m))
    scenario = dashf.Scenario.at_places(sites, users[reached], gain=gain[reached], seed=SEED)
    plan = dashf.solve(scenario, certify=True)
    print(plan)
    print("server", plan.server, "layers at home", plan.local_layers)
    return gain, plan


if __name__ == "__main__":
    main()
