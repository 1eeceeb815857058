#!/usr/bin/env python3
"""python_test.py CMAKE BUILD_DIR DASHF: installs the planner's library, makes a wheel of the Python package on it, and
runs the package's tests on the installed wheel.

The tests' packages come from PyPI into a virtual environment in BUILD_DIR/python, once; or DASHF_PYTHON names a Python
that has them (numpy, nanobind, scikit-build-core, pytest, hypothesis; the optional ones as pyproject.toml lists them).
Without either it is skipped (77). DASHF_PYTEST has more words for pytest.
"""
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

CMAKE, BUILD, DASHF = sys.argv[1:4]
ROOT = pathlib.Path(__file__).resolve().parent.parent
ROOM = pathlib.Path(BUILD) / "python"
PACKAGES = ["datasets", "gymnasium", "hypothesis", "ipykernel", "matplotlib", "nanobind", "nbclient", "numpy", "pandas",
            "pettingzoo", "pyarrow", "pytest", "scikit-build-core", "scipy"]


def run(*words, **more):
    done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(map(str, words))} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def python_with_packages():
    """Its path, or nothing."""
    given = os.environ.get("DASHF_PYTHON")
    if given:
        return given
    python, stamp = ROOM / "venv/bin/python", ROOM / "venv/packages"
    if stamp.exists() and stamp.read_text() == " ".join(PACKAGES) and python.exists():
        return python
    shutil.rmtree(ROOM / "venv", ignore_errors=True)
    ROOM.mkdir(exist_ok=True)
    words = [[sys.executable, "-m", "venv", ROOM / "venv"],
             [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:",
              "--timeout", "10", "--retries", "1", *PACKAGES]]
    for command in words:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print((done.stdout + done.stderr).strip().splitlines()[-1:])
            return None
    stamp.write_text(" ".join(PACKAGES))
    return python


def main():
    python = python_with_packages()
    if python is None:
        print("skipped: no virtual environment with the tests' packages could be made; DASHF_PYTHON may name one")
        return 77
    prefix, site, wheels = ROOM / "prefix", ROOM / "site", ROOM / "wheels"
    for folder in (prefix, site, wheels):
        shutil.rmtree(folder, ignore_errors=True)
    run(CMAKE, "--install", BUILD, "--prefix", prefix, "--component", "libdashf-dev")
    run(python, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-build-isolation", "--no-deps", "--quiet",
        "--wheel-dir", wheels, ROOT,
        *(f"--config-settings={setting}" for setting in (  # Debian's pip has no -C.
            f"build-dir={ROOM}/build", "cmake.define.DASHF_INSTALLED=ON",
            f"cmake.define.CMAKE_PREFIX_PATH={prefix.resolve()}", "cmake.define.DASHF_WARNINGS_AS_ERRORS=ON")))
    run(python, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps", "--no-index", "--quiet", "--target",
        site, *wheels.glob("*.whl"))
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", ROOT / "python/tests",
         *shlex.split(os.environ.get("DASHF_PYTEST", ""))], cwd=ROOM, check=False,
        env={**os.environ, "PYTHONPATH": str(site.resolve()), "DASHF_PROGRAM": str(pathlib.Path(DASHF).resolve()),
             "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg"})
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
