#!/usr/bin/env python3
"""completion_test.py DASHF: what shells are told of a line that is being typed."""
import os
import pathlib
import re
import subprocess
import sys
import unittest

DASHF = pathlib.Path(sys.argv[1]).resolve()
SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "completion/dashf.bash"


def offered(*words):
    done = subprocess.run([DASHF, "--complete", *words], capture_output=True, text=True, check=True)
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


class Completion(unittest.TestCase):
    def test_offers_every_verb_and_those_that_begin_so(self):
        listed = re.findall(r"(?m)^  (\w+) {2,}", subprocess.run([DASHF, "--help"], capture_output=True, text=True,
                                                                check=True).stdout)
        self.assertEqual(sorted(offered("")), sorted(set(listed)))
        self.assertEqual(offered("ev"), ["evaluate"])
        self.assertIn("planner", offered("bench", ""))

    def test_offers_every_flag_that_help_has(self):
        for verb in offered(""):
            told = subprocess.run([DASHF, verb, "--help"], capture_output=True, text=True, check=True).stdout
            flags = set(re.findall(r"(?m)^  (?:-\w,)?(--[-\w]+)", told))
            self.assertEqual(set(offered(verb, "--")), flags, verb)
        self.assertEqual(offered("solve", "s.json", "--handover"), ["--handover-penalty"])

    def test_offers_a_flags_choices_and_leaves_files_and_numbers_to_the_shell(self):
        self.assertEqual(offered("new", "--delay", ""), ["sum", "makespan"])
        self.assertEqual(offered("bench", "planner", "--delay", "sum,m"), ["sum,makespan"])
        for words in (("new", "--out", ""), ("new", "--eua", "sites.csv", ""), ("solve", ""), ("new", "--seed", "1")):
            self.assertEqual(offered(*words), [], words)
        self.assertIn("--seed", offered("new", "--eua", "sites.csv", "users.csv", "--s"))

    def test_goes_on_where_the_line_is_wrong(self):
        self.assertEqual(offered("sovle", "--fast", "x", "--jsn"), [])
        self.assertEqual(offered(), [])

    def test_by_bash_is_the_programs(self):
        typed = 'source "$1"; COMP_WORDS=(dashf verify plan.json --th); COMP_CWORD=3; _dashf; printf "%s\\n" "${COMPREPLY[@]}"'
        done = subprocess.run(["bash", "-c", typed, "bash", SCRIPT], capture_output=True, text=True, check=True,
                              env={**os.environ, "PATH": f"{DASHF.parent}:{os.environ['PATH']}"})
        self.assertEqual(done.stdout.split(), ["--threads"])


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
