"""A virtual environment with packages from PyPI, made once in a build folder."""
import shutil
import subprocess
import sys


def python_with(folder, *packages):
    """The path of its Python, or nothing: then a line says why."""
    python, stamp = folder / "bin/python", folder / "packages"
    if stamp.exists() and stamp.read_text() == " ".join(packages):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    for command in ([sys.executable, "-m", "venv", folder],
                    [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--only-binary", ":all:",
                     "--timeout", "10", "--retries", "1", *packages]):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print((done.stdout + done.stderr).strip().splitlines()[-1:])
            return None
    stamp.write_text(" ".join(packages))
    return python
