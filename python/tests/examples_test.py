"""The examples run where what they show is installed."""
import importlib.util
import pathlib
import subprocess
import sys

import numpy as np
import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent / "examples"


def loaded(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_has_its_test():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"sionna_gains"}


def test_traced_gains_are_planned():
    pytest.importorskip("sionna.rt", reason="sionna-rt is not installed", exc_type=ImportError)
    example = loaded("sionna_gains")
    gain, plan = example.main()
    assert gain.shape == (example.USERS, 2) and plan.feasible and plan.gap < 1e-3
    np.testing.assert_array_equal(plan.scenario.gain, gain[gain.max(axis=1) > 0])
    # Friis at the least distance there can be, with 8 dBi at the server, and as much again by reflections.
    wavelength_m, least_m = 3e8 / 3.5e9, 9.0 - example.HEIGHT_M
    assert 0 < gain.max() < 2 * 10**0.8 * (wavelength_m / (4 * np.pi * least_m)) ** 2


@pytest.mark.parametrize(("words", "code", "said"), [
    (["--help"], 0, "--episode-steps"), (["--out", "none.jsonl"], 2, "is not installed: pip install stable-baselines3")])
def test_the_trained_agents_options_are_shown_without_what_trains_them(words, code, said):
    pytest.importorskip("gymnasium")
    pytest.importorskip("pandas")
    program = (f"import runpy, sys; sys.modules['stable_baselines3'] = None; sys.argv = ['ppo.py', *{words}]; "
               f"runpy.run_path({str(EXAMPLES.parent / 'baselines/ppo.py')!r}, run_name='__main__')")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code and said in done.stdout + done.stderr, done.stderr
