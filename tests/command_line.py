"""What the tests of the command line from outside stand on: the program, and a folder for each test. The program is the
script's first argument."""
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/dashf"


def verbs_of(*group):
    """The verbs that the help lists; a build without the engine or the runtime has fewer."""
    done = subprocess.run([BINARY, *group, "--help"], capture_output=True, text=True, check=False)
    return re.findall(r"(?m)^  ([a-z]+) ", done.stdout)


VERBS = verbs_of()


def dashf(*args):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=300,
                          check=False)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def assert_fails(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")


def main():
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]], verbosity=2)
