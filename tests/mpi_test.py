#!/usr/bin/env python3
"""dashf over MPI processes, as its users start it. Usage: mpi_test.py DASHF MPIRUN"""
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

DASHF, MPIRUN = sys.argv[1:3]
# Whatever the machine is like: root, fewer cores than processes, no ssh, no network, no /sys, no
# leave to read another process's memory.
SURROUNDINGS = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "OMPI_MCA_rmaps_base_oversubscribe": "1",
    "OMPI_MCA_hwloc_base_binding_policy": "none",
    "OMPI_MCA_plm": "isolated",
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl": "self,vader",
    "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    # libmpi's own leaks; dashf's are looked for in the other tests.
    "ASAN_OPTIONS": "detect_leaks=0",
}


class OverProcesses(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.TemporaryDirectory()
        # Open MPI's sockets must have short paths.
        cls.environment = dict(os.environ, TMPDIR="/tmp", **SURROUNDINGS)
        cls.scenario = cls.path("scenario.json")
        subprocess.run([DASHF, "new", "--users", "600", "--servers", "8", "--candidates", "4",
                        "--out", cls.scenario], check=True, capture_output=True)

    @classmethod
    def tearDownClass(cls):
        cls.room.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.room.name, name)

    def mpirun(self, processes, *arguments):
        return subprocess.run([MPIRUN, "-n", str(processes), DASHF, *arguments], text=True,
                              capture_output=True, env=self.environment, timeout=300, check=False)

    def plan_without_times(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            plan = json.load(file)
        for row in plan["history"]:
            del row["elapsed_s"]
        return plan

    def refused(self, done, code, *words):
        """Ended with the exit code, one message of dashf's and no plan."""
        self.assertEqual(done.returncode, code, done.stderr)
        messages = [line for line in done.stderr.splitlines() if line.startswith("dashf: ")]
        self.assertEqual(len(messages), 1, done.stderr)
        for word in words:
            self.assertIn(word, messages[0])
        self.assertFalse(os.path.exists(self.path("none.json")))

    def test_any_number_of_processes_gives_the_plan_of_one(self):
        options = ["solve", self.scenario, "--gap-target", "1e-2", "--certify", "--out"]
        subprocess.run([DASHF, *options, self.path("alone.json")], check=True, capture_output=True)
        for processes in (1, 2, 4):
            name = f"{processes}.json"
            done = self.mpirun(processes, *options, self.path(name), "--mpi")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(self.plan_without_times(name), self.plan_without_times("alone.json"))

    def test_any_number_of_processes_has_the_study_of_one(self):
        def results(name):
            with open(os.path.join(self.path(name), "results.jsonl"), encoding="utf-8") as file:
                lines = [json.loads(line) for line in file.read().splitlines()[1:]]
            for line in lines:
                for row in line["rows"]:
                    del row["elapsed_s"]
            return sorted(lines, key=lambda line: (line["point"], line["seed"]))

        options = ["sweep", "--vary", "users=5,8", "--seeds", "1..3", "--methods", "prices,dashf",
                   "--out"]
        subprocess.run([DASHF, *options, self.path("alone")], check=True, capture_output=True)
        for processes in (1, 2, 4):
            name = f"study{processes}"
            done = self.mpirun(processes, *options, self.path(name), "--mpi")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(results(name), results("alone"))
        refused = self.mpirun(2, "sweep", "--vary", "hats=1", "--out", self.path("hats"), "--mpi")
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertEqual(refused.stderr.count("must vary one of"), 1, refused.stderr)

    def test_results_come_once(self):
        done = self.mpirun(3, "solve", self.scenario, "--mpi", "--json", "--gap-target", "0.1",
                           "--out", self.path("json.json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        outcome = json.loads(done.stdout)
        self.assertEqual(outcome["primal"], "feasible_point")
        self.assertGreater(outcome["search"]["sweep"]["calls"], 0)

    def test_bad_input_ends_all_with_one_message(self):
        with open(self.path("bad.json"), "w", encoding="utf-8") as file:
            file.write('{"schema": "dashf.scenario/1"}')
        out = ["--out", self.path("none.json"), "--mpi"]
        self.refused(self.mpirun(3, "solve", self.path("bad.json"), *out), 3, "bad.json")
        self.refused(self.mpirun(3, "solve", self.path("absent.json"), *out), 10, "absent.json")

    def test_what_cannot_be_shared_out_is_refused(self):
        out = ["--out", self.path("none.json"), "--mpi"]
        self.refused(self.mpirun(2, "solve", self.scenario, "--method", "greedy", *out), 2, "greedy")
        makespan = self.path("makespan.json")
        subprocess.run([DASHF, "new", "--delay", "makespan", "--out", makespan], check=True,
                       capture_output=True)
        self.refused(self.mpirun(2, "solve", makespan, *out), 2, "makespan")

    def test_the_time_limit_ends_all_with_a_plan(self):
        out = self.path("late.json")
        done = self.mpirun(2, "solve", self.scenario, "--mpi", "--gap-target", "0",
                           "--time-limit-s", "0.05", "--out", out)
        self.assertEqual(done.returncode, 5, done.stderr)
        checked = subprocess.run([DASHF, "evaluate", self.scenario, out], capture_output=True,
                                 check=False)
        self.assertEqual(checked.returncode, 0)

    def test_a_process_that_dies_takes_all_along(self):
        with subprocess.Popen([MPIRUN, "-n", "3", DASHF, "solve", self.scenario, "--mpi",
                               "--gap-target", "0", "--out", self.path("none.json")],
                              env=self.environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True) as run:
            for line in run.stderr:  # The first row of the log: planning has begun.
                if "start" in line:
                    break
            with open(f"/proc/{run.pid}/task/{run.pid}/children", encoding="ascii") as file:
                children = file.read().split()
            os.kill(int(children[-1]), signal.SIGKILL)
            begun = time.monotonic()
            run.stderr.read()
            self.assertNotEqual(run.wait(timeout=60), 0)
            self.assertLess(time.monotonic() - begun, 60)
        self.assertFalse(os.path.exists(self.path("none.json")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
