import os
import pathlib

import hypothesis
import numpy as np
import pytest

import dashf

# The same examples every time, unless DASHF_HYPOTHESIS=random looks for new ones.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("random", deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("DASHF_HYPOTHESIS", "same"))


@pytest.fixture(scope="session")
def command_line():
    """The program of the same build, where the tests were told of it."""
    program = os.environ.get("DASHF_PROGRAM")
    if not program or not pathlib.Path(program).exists():
        pytest.skip("DASHF_PROGRAM names no dashf program")
    return program


@pytest.fixture(scope="session")
def study():
    return dashf.Scenario.study(users=10, servers=2, seed=1)


def own_arrays(users=4, servers=2, layers=3):
    """Keyword arguments of a small scenario of one's own, whose best plan can be found by hand's means."""
    rng = np.random.default_rng(7)
    k = np.arange(layers + 1)
    return {
        "gain": rng.uniform(1e-10, 1e-9, (users, servers)),
        "noise_density_w_per_hz": 4e-21,
        "user_tx_power_w_max": 0.2, "user_clock_hz_max": rng.uniform(1e9, 2e9, users),
        "user_flop_per_cycle": 16.0, "user_memory_bytes_max": 8e9, "user_kappa_w_per_hz3": 1e-27,
        "server_tx_power_w_max": 10.0, "server_bandwidth_hz": [20e6] * servers, "server_clock_hz_max": 4e9,
        "server_flop_per_cycle": 256.0, "server_kappa_w_per_hz3": 1e-27,
        "local_flop": 1e12 * k, "server_flop": 1e12 * (layers - k),
        "upload_bit": 1e8 * (k < layers), "download_bit": 1e7 * (layers - k), "local_memory_bytes": 1e9 * (1 + k),
    }


@pytest.fixture
def arrays():
    return own_arrays()
