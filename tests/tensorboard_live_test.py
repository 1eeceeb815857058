#!/usr/bin/env python3
"""Event files that `dashf report --tensorboard` writes, read by TensorBoard itself. tensorboard_live_test.py DASHF BUILD_DIR

The package comes from PyPI into a virtual environment in BUILD_DIR/tensorboard, once; without it exits 77 (skipped).
"""
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

from pypi import python_with

DASHF, ROOM = sys.argv[1], pathlib.Path(sys.argv[2]) / "tensorboard"
PACKAGES = ["setuptools<81", "tensorboard"]  # TensorBoard imports pkg_resources.
RUN = """
[scenario]
users = 2
servers = 1
[rounds]
count = 2
[data]
sections = true
train_records = 6
test_records = 4
[training]
epochs_user = 1
epochs_server = 1
"""


def float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


def read_by_tensorboard(folder):
    """{user: {tag: [(round, value), ...]}}"""
    from tensorboard.backend.event_processing import event_multiplexer
    runs = event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    return {user: {tag: [(event.step, event.value) for event in runs.Scalars(user, tag)] for tag in tags["scalars"]}
            for user, tags in runs.Runs().items()}


class EventFiles(unittest.TestCase):
    def test_have_what_the_rounds_records_have(self):
        with tempfile.TemporaryDirectory() as name:
            room = pathlib.Path(name)
            (room / "run.toml").write_text(RUN)
            for words in (["run", "run.toml", "--out", "run", "--no-references"],
                          ["report", "run", "--tensorboard", "events"]):
                done = subprocess.run([DASHF, *words], cwd=room, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stderr)
            wanted = {}
            for path in sorted((room / "run/rounds").glob("*/round.json")):
                record = json.loads(path.read_text())
                for user in record["users"]:
                    for key in ("loss", "exact_match", "choice_accuracy"):
                        for when in ("before", "after"):
                            if (value := user[f"{key}_{when}"]) is not None:
                                tags = wanted.setdefault(user["id"], {})
                                tags.setdefault(f"{key}/{when}", []).append((record["round"], float32(value)))
            self.assertEqual({user: len(tags["loss/after"]) for user, tags in wanted.items()}, {"u0": 2, "u1": 2})
            self.assertEqual(read_by_tensorboard(room / "events"), wanted)


if __name__ == "__main__":
    try:
        import tensorboard  # noqa: F401
    except ImportError:
        found = python_with(ROOM, *PACKAGES)
        if found is None:
            print("skipped: no virtual environment with TensorBoard could be made")
            sys.exit(77)
        sys.exit(subprocess.run([str(found), *sys.argv], check=False).returncode)
    unittest.main(argv=sys.argv[:1])
