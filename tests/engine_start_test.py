"""Every verb that computes says at its start what it computes with, and every verb that reads data what it took of
them. Usage: engine_start_test.py DASHF_BINARY TOKENIZER_MODEL [unittest options]"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest

import own_cache
from tiny_model import CONFIG, SMALL_RUN, write_model, write_records

BINARY, TOKENIZER = (str(pathlib.Path(path).resolve()) for path in sys.argv[1:3])
RECORDS = 16
TAKEN = {"format": "alpaca", "sequences": RECORDS, "samples": RECORDS, "keys_not_read": []}
START = r"(?m)^matrix products: \w+ with .+, \d+\.\d GFLOP/s per core; weights in (\w+), arithmetic in (\w+)$"


class Lines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.model, cls.data = cls.root / "model", cls.root / "data.json"
        write_model(cls.model, TOKENIZER, CONFIG | {"eos_token_id": 2})
        write_records(cls.data, RECORDS, 1, answer_words=60)
        (cls.root / "settings.toml").write_text(SMALL_RUN)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=self.root)
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "out"

    def dashf(self, *args, code=0, cwd=None, env=None):
        done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=300, check=False, cwd=cwd,
                              env=env)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def said(self, done, weights="float32"):
        """Once, whatever else is said."""
        self.assertEqual(re.findall(START, done.stderr), [(weights, "float32")], done.stderr)

    def took(self, done, data, tokens_max, file=None):
        self.assertIn(f"{file or self.data}: {RECORDS} Alpaca records, {data['shortened']} shortened to {tokens_max} tokens, "
                      "0 without an answer", done.stderr)
        self.assertEqual(data | TAKEN, data)
        self.assertEqual((data["tokens_max"], data["unanswered"]), (tokens_max, 0))
        self.assertGreater(data["shortened"], 0)

    def test_of_score(self):
        done = self.dashf("score", "--model", self.model, "--data", self.data, "--weights", "int8", "--json")
        self.said(done, "int8")
        told = json.loads(done.stdout)
        self.assertGreater(told["products"]["flop_per_s"], 0)
        self.took(done, told["data"], 128)

    def test_of_generate(self):
        self.said(self.dashf("generate", "--model", self.model, "--weights", "nf4", "--max-tokens", 1), "nf4")

    def test_of_train(self):
        done = self.dashf("train", "--model", self.model, "--data", self.data, "--out", self.out, "--steps", 1, "--json",
                          "--max-tokens", 100)
        self.said(done)
        self.took(done, json.loads(done.stdout)["data"], 100)

    def test_of_profile(self):
        done = self.dashf("profile", "--model", self.model, "--data", self.data, "--out", self.out, "--epochs", 1)
        self.said(done)
        self.assertIn(f"{self.data}: {RECORDS} Alpaca records, {RECORDS} shortened to 128 tokens", done.stderr)

    def test_of_bench(self):
        done = self.dashf("bench", "train", "--model", self.model, "--data", self.data, "--threads", 1, "--repeats", 1,
                          "--json", "--max-tokens", 100)
        self.assertEqual(len(re.findall("(?m)^matrix products: .* per core$", done.stderr)), 1)
        told = json.loads(done.stdout)
        self.assertGreater(told["products"]["peak_flop_per_s"], 0)
        self.took(done, told["models"][0]["data"], 100)

    def test_of_study(self):
        done = self.dashf("study", "split", self.root / "settings.toml", "--model", self.model, "--data", self.data,
                          "--out", self.out, "--repetitions", 1, "--splits", 1, "--schedule", "plain", "--objectives",
                          "early_exit", "--json")
        self.said(done)
        (data,) = json.loads(done.stdout)["data"]
        self.took(done, data, 128, self.out / "data/1")

    def test_of_losses_over_rounds(self):
        self.dashf("study", "rounds", "--users", 2, "--servers", 1, "--rounds", 3, "--seeds", "1..2", "--leave", 0, "--fail", 0,
                   "--policies", "afresh,never", "--out", self.out)
        command = ("study", "losses", self.out, "--config", self.root / "settings.toml", "--model", self.model, "--data",
                   self.data, "--test-records", 2, "--records-per-round", 1)
        done = self.dashf(*command, "--json")
        self.said(done)
        told = json.loads(done.stdout)
        rows = {(row["policy"], row["rounds"]): row for row in told["rows"]}
        self.assertEqual(set(rows), {(policy, after) for policy in ("afresh", "never") for after in (0, 1, 2, 3)})
        self.assertEqual({row["seeds"] for row in told["rows"]}, {2})
        self.assertNotEqual(rows["afresh", 3]["loss"], rows["afresh", 0]["loss"])
        self.assertEqual(rows["never", 0]["more"], 0)
        written = {name: (self.out / name).read_bytes() for name in ("losses.jsonl", "losses.csv", "losses.svg", "losses.md")}
        again = self.dashf(*command)
        self.assertEqual(again.stdout.encode(), written["losses.md"])
        self.assertEqual({name: (self.out / name).read_bytes() for name in written}, written)

        self.assertIn("--policies", self.dashf(*command, "--policies", "standing", code=2).stderr)
        other = self.dashf("study", "losses", self.out, "--config", self.root / "settings.toml", "--model", self.model, "--data",
                           self.data, "--test-records", 2, "--records-per-round", 2, code=2)
        self.assertIn("FOLDER: ", other.stderr)
        self.assertIn("has results for records_per_round = 1.0, not 2.0", other.stderr)
        (self.out / "losses.jsonl").unlink()
        stale = self.dashf(*command[:-1], 2, code=3)
        self.assertIn("data/1: has 3 and 2 records of u0, not 6 to train and 2 held out: remove it", stale.stderr)
        self.assertIn("results.jsonl", self.dashf("study", "losses", self.root, code=10).stderr)

    def test_of_run(self):
        # Paths from the current folder, as people type them.
        done = self.dashf("run", "settings.toml", "--model", "model", "--data", "data.json", "--out",
                          self.out.relative_to(self.root), "--no-references", "--json", cwd=self.root)
        # The profile is measured by a process of its own, which says it again; the nodes do not.
        self.assertEqual(len(re.findall(START, done.stderr)), 2, done.stderr)
        record = json.loads(done.stdout)
        self.assertEqual(record, json.loads((self.out / "round.json").read_text()))
        (data,) = record["data"]
        self.took(done, data, 128, "data.json")

    def test_a_run_reads_the_machines_meter(self):
        zone = self.root / "sys/class/powercap/intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        over = threading.Event()

        def draw(energy_uj=0):
            while not over.wait(1e-3):
                energy_uj += 1000  # A watt.
                (zone / "next").write_text(f"{energy_uj}\n")
                (zone / "next").rename(zone / "energy_uj")

        meter = threading.Thread(target=draw)
        meter.start()
        try:
            self.dashf("run", self.root / "settings.toml", "--model", self.model, "--data", self.data, "--out", self.out,
                       "--no-references", env=os.environ | {"DASHF_SYSFS": str(self.root / "sys")})
        finally:
            over.set()
            meter.join()
        (user,) = json.loads((self.out / "round.json").read_text())["users"]
        for phase in ("local", "server"):  # The step's time alone, which the phase's has more than.
            if user[f"{phase}_cpu_s"] > 0:
                self.assertGreater(user[f"{phase}_energy_j"], 0)
                self.assertLess(user[f"{phase}_energy_j"], user["measured_s"][phase] + 0.1)
        self.assertIn("<h3>Measured</h3>", (self.out / "report.html").read_text())

    def test_a_run_removes_nothing_that_is_no_runs(self):
        mine = [self.out / name / "thesis.txt" for name in ("adapters", "logs", "private", "rounds", "users")]
        for file in mine:
            file.parent.mkdir(parents=True)
            file.write_text("my only copy")
        done = self.dashf("run", self.root / "settings.toml", "--model", self.model, "--data", self.data, "--out", self.out,
                          code=3)
        self.assertIn(f"{self.out}: is no run's folder: holds adapters and 4 more", done.stderr)
        self.assertEqual([file.read_text() for file in mine], ["my only copy"] * len(mine))

    def test_of_run_a_line_per_round(self):
        done = self.dashf("run", self.root / "settings.toml", "--model", self.model, "--data", self.data, "--out",
                          self.out, "--no-references", "--rounds", 2)
        self.assertIn("This plan is of round 2, in which 1 user and ", done.stdout)
        lines = re.findall(r"(?m)^ +(\d)  +1 of 1 +(\d\.\d{3}) +(\d\.\d{3})", done.stdout)
        self.assertEqual([line[0] for line in lines], ["1", "2"], done.stdout)
        for number, untrained, after in lines:
            record = json.loads((self.out / "rounds" / f"{int(number):04}" / "round.json").read_text())
            user = record["users"][0]
            self.assertEqual((untrained, after), tuple(f"{user[key]:.3f}" for key in ("loss_before", "loss_after")))


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
