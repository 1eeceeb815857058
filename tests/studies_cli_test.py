"""Sweeps, studies and benchmarks of plans from outside: what they find, keep and go on from.
Usage: studies_cli_test.py DASHF_BINARY [unittest options]"""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from command_line import BINARY, Case, dashf, main, verbs_of


class Studies(Case):
    def test_sweep_plans_all_combinations_and_goes_on_from_its_folder(self):
        out = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, out)
        options = ["--seeds", "1..2", "--methods", "prices,greedy", "--out", out, "--json"]
        done = dashf("sweep", "--vary", "users=4,6", "--vary", "bandwidth-hz=1e6,2e7", *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([(row["users"], row["bandwidth_hz"]) for row in rows[::2]],
                         [(4, 1e6), (4, 2e7), (6, 1e6), (6, 2e7)])
        for prices, greedy in zip(rows[::2], rows[1::2]):
            self.assertEqual((prices["method"], prices["seeds"]), ("prices", 2))
            self.assertEqual(prices["share_of_best"], 1)
            self.assertLess(greedy["scr"], prices["scr"])
        with open(os.path.join(out, "summary.csv"), encoding="utf-8") as file:
            self.assertEqual(len(file.read().splitlines()), 1 + len(rows))
        with open(os.path.join(out, "scr.svg"), encoding="utf-8") as file:
            self.assertIn("greedy, bandwidth-hz = 1000000", file.read())
        # The first scenario of the second call is the third seed's.
        again = dashf("sweep", "--vary", "users=4,6", "--vary", "bandwidth-hz=1e6,2e7",
                      "--seeds", "1..3", *options[2:])
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("] 9 of 12: ", again.stderr)
        self.assertNotIn("] 8 of 12: ", again.stderr)
        other = dashf("sweep", "--vary", "users=4,6", "--seeds", "1", "--out", out)
        self.assertEqual(other.returncode, 2, other.stderr)
        self.assertIn("choose another folder", other.stderr)

    def test_sweep_says_which_scenarios_a_method_could_not_plan(self):
        out = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, out)
        done = dashf("sweep", "--vary", "users=4,40", "--seeds", "1", "--methods",
                     "greedy,exhaustive", "--out", out, "--json")
        self.assertEqual(done.returncode, 7, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["failed"] for row in rows], [0, 0, 0, 1])
        self.assertIsNone(rows[3]["scr"])
        for vary, word in (("users=0", "whole number"), ("hats=1", "must vary one of")):
            bad = dashf("sweep", "--vary", vary, "--out", out)
            self.assertEqual(bad.returncode, 2, bad.stderr)
            self.assertIn(word, bad.stderr)

    def test_study_rounds_compares_policies_and_goes_on_from_its_folder(self):
        out = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, out)
        small = ["--users", "5", "--servers", "2", "--rounds", "4"]
        done = dashf("study", "rounds", *small, "--seeds", "1..2", "--out", out)
        self.assertEqual(done.returncode, 0, done.stderr)
        for row in ("| `afresh` |", "| `standing` |", "| `penalty=0.01` |", "| `never` |"):
            self.assertIn(row, done.stdout)
        with open(os.path.join(out, "report.md"), encoding="utf-8") as file:
            self.assertEqual(file.read(), done.stdout)
        with open(os.path.join(out, "rounds.svg"), encoding="utf-8") as file:
            self.assertIn("never", file.read())
        again = dashf("study", "rounds", *small, "--seeds", "1..3", "--policies", "afresh,never", "--out", out, "--json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stderr.count(" of 6: seed 3"), 2)
        afresh, never = json.loads(again.stdout)["rows"]
        self.assertEqual((afresh["seeds"], never["seeds"], never["handovers"]), (3, 3, 0))
        other = dashf("study", "rounds", *small, "--leave", "0.5", "--out", out)
        self.assertEqual(other.returncode, 2, other.stderr)
        self.assertIn("leave", other.stderr)

    def test_study_rounds_with_the_makespan_has_the_policies_that_it_can_have(self):
        with tempfile.TemporaryDirectory() as out:
            done = dashf("study", "rounds", "--users", "3", "--servers", "2", "--rounds", "2", "--seeds", "1", "--delay",
                         "makespan", "--out", out)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("3 users and 2 servers of the default study, 2 rounds, 1 seed.", done.stdout)
            self.assertEqual(re.findall(r"(?m)^\| `([a-z]+)` \|", done.stdout), ["afresh", "never"])

    def test_a_study_that_is_stopped_says_how_it_goes_on(self):
        with tempfile.TemporaryDirectory() as out:
            words = [BINARY, "study", "rounds", "--users", "5", "--servers", "2", "--rounds", "20", "--seeds"]
            with subprocess.Popen([*words, "1..10000", "--out", out], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                  text=True) as study:
                self.assertIn(" of 40000: ", study.stderr.readline())
                study.send_signal(signal.SIGINT)
                self.assertIn("\nstopped; the same command goes on from the results that there are\n",
                              "\n" + study.stderr.read())
            self.assertEqual(study.returncode, -signal.SIGINT)
            again = dashf(*words[1:], "1", "--out", out)
            self.assertEqual(again.returncode, 0, again.stderr)

    def test_two_studies_begin_one_folder_and_one_of_them_has_it(self):
        for number in range(8):
            out = self.folder / f"race{number}"
            both = [subprocess.Popen([BINARY, "study", "rounds", "--users", "3", "--servers", "1", "--rounds", "2", "--seeds",
                                      "1..3", "--data-spread", spread, "--policies", "afresh,never", "--out", out],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for spread in ("0.5", "0")]
            said = [one.communicate(timeout=120)[1] for one in both]
            codes = sorted(one.returncode for one in both)
            # The other came while it was at work, or after.
            self.assertIn(codes, ([0, 2], [0, 10]), said)
            self.assertEqual(len((out / "results.jsonl").read_text().splitlines()), 7)

    def test_study_rounds_names_what_is_wrong(self):
        out = os.path.join(tempfile.mkdtemp(), "never-made")
        self.addCleanup(shutil.rmtree, os.path.dirname(out))
        trace = out + ".csv"
        with open(trace, "w", encoding="utf-8") as file:
            file.write("round,user,x_m,y_m\n1,u0,1,2\n1,u9,3,4\n")
        for flags, code, said in ((["--policies", "afresh,seldom"], 2, "got seldom"),
                                  (["--join", "0"], 2, "--join"),
                                  (["--data-spread", "nan"], 2, "--data-spread"),
                                  (["--delay", "makespan", "--policies", "standing"], 2, "needs --delay sum"),
                                  (["--trace", trace, "--users", "2"], 3, ':3: the scenario has no user "u9"'),
                                  (["--trace", out], 10, out)):
            done = dashf("study", "rounds", *flags, "--out", out)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertFalse(os.path.exists(out), flags)

    def test_bench_measures_replanning_beside_planning_afresh(self):
        done = dashf("bench", "planner", "--replan", "--sizes", "120x6", "--seeds", 1, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["change"] for row in rows], ["users moved", "server gone"])
        self.assertEqual(rows[0]["users_displaced"], 0)
        self.assertGreater(rows[1]["users_displaced"], 0)
        for row in rows:
            self.assertTrue(0 <= row["gap"] < 1e-3, row)
        # Where a server is gone both move about as many; together they differ clearly.
        self.assertLess(sum(row["handovers"] for row in rows),
                        sum(row["handovers_afresh"] for row in rows))

    def test_bench_holds_the_default_against_every_baseline_on_families_and_goes_on(self):
        options = ("--families", "uniform,slots-exact", "--sizes", "3x2", "--threads", 1,
                   "--out", self.folder / "families.jsonl")
        done = dashf("bench", "planner", *options, "--delay", "sum", "--seeds", 1, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["rows"]
        self.assertEqual([row["family"] for row in rows], ["uniform", "slots-exact"])
        for row in rows:
            self.assertEqual(row["broken"], [])
            self.assertTrue(0 <= row["proven_gap"] < 0.05, row)
            self.assertLessEqual(row["lost"], row["baselines"]["dashf"]["lost"] + 1e-4)
            self.assertGreater(row["baselines"]["random"]["lost"], 0)
        again = dashf("bench", "planner", *options, "--delay", "sum,makespan", "--seeds", 2, "--csv")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertNotIn("sum, seed 1", again.stderr)
        self.assertIn("sum, seed 2", again.stderr)
        lines = again.stdout.splitlines()
        self.assertEqual(len(lines), 5)
        self.assertTrue(all(line.endswith(",0") for line in lines[1:]), lines)
        self.assert_fails(dashf("bench", "planner", *options, "--gap-target", 0.5), 2, "gap_target")
        self.assert_fails(dashf("bench", "planner", "--families", "hats"), 2, "hats")

    @unittest.skipUnless("split" in verbs_of("study"), "this build has no studies of splits")
    def test_a_schedule_that_is_none_is_named(self):
        config = self.folder / "study.toml"
        config.write_text("")
        self.assert_fails(dashf("study", "split", config, "--out", self.folder / "out",
                                "--schedule", "rounds=2,magic"), 2, "--schedule", "got magic")
        self.assertFalse((self.folder / "out").exists())


if __name__ == "__main__":
    main()
