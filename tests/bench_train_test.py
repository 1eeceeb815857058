"""`dashf bench train` on a model of 17,000 parameters: every figure is there, the engine as
its own peer agrees, and a peer with another loss gets no time. Usage: bench_train_test.py DASHF MODEL"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import own_cache

BINARY, MODEL = sys.argv[1:3]
PEFT = pathlib.Path(__file__).parents[1] / "bench/peers/train/peft_job.py"
SELF = f"{BINARY} bench train --job"

# The engine, but for what CHANGE makes of each of its lines.
FALSIFIER = f"""#!{sys.executable}
import json, subprocess, sys
for line in subprocess.run([{BINARY!r}, "bench", "train", "--job", sys.argv[1]],
                           capture_output=True, text=True, check=True).stdout.splitlines():
    said = json.loads(line)
    CHANGE
    print(json.dumps(said))
"""


def bench(*args):
    return subprocess.run([BINARY, "bench", "train", "--model", MODEL, "--repeats", "1", *args],
                          capture_output=True, text=True, timeout=300, check=False)


class BenchTrain(unittest.TestCase):
    def falsifier(self, change):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = pathlib.Path(folder.name) / "peer.py"
        path.write_text(FALSIFIER.replace("CHANGE", change))
        path.chmod(0o755)
        return str(path)

    def refused(self, change, code, *words):
        done = bench("--threads", "1", "--json", "--peer", self.falsifier(change))
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertNotIn("tokens/s", done.stderr)

    def test_every_figure_is_there_and_positive(self):
        done = bench("--threads", "1", "--json", "--recompute", "--peer", SELF)
        self.assertEqual(done.returncode, 0, done.stderr)
        (model,) = json.loads(done.stdout)["models"]
        self.assertEqual(len(model["batches"]), 2)
        self.assertLess(model["batches"][0]["tokens"], model["batches"][1]["tokens"])
        self.assertEqual([row["threads"] for row in model["steps"]], [1, 1, 1])
        for row in model["steps"]:
            for key in ("tokens_per_s", "gemm_share", "start_s", "loaded_bytes"):
                self.assertGreater(row[key], 0, key)
            self.assertGreaterEqual(row["peak_bytes"], row["loaded_bytes"])
        ours, again, peer = model["steps"]
        self.assertIn("recompute", again["program"])
        self.assertEqual(again["loss_difference"], 0)
        for row in model["steps"]:  # Of a model so small that the process itself takes most.
            self.assertLess(abs(row["foretold_bytes"] / row["peak_bytes"] - 1), 0.5)
        self.assertIsNone(ours["loss_difference"])
        self.assertEqual(peer["loss_difference"], 0)
        self.assertAlmostEqual(peer["engine_times_faster"],
                               ours["tokens_per_s"] / peer["tokens_per_s"])
        self.assertEqual([row["objective"] for row in model["user"]], ["early_exit", "full_depth"])
        for row in model["user"]:
            self.assertGreater(min(row["time_share"], row["peak_share"]), 0)
        self.assertEqual(model["server"]["epochs"], 3)
        self.assertAlmostEqual(model["server"]["recomputed_times_longer"],
                               model["server"]["recomputed_s"] / model["server"]["cached_s"])

    def test_steps_alone_leave_out_the_phases(self):
        done = bench("--threads", "1", "--json", "--steps-alone", "--batch", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        (model,) = json.loads(done.stdout)["models"]
        self.assertEqual((model["user"], model["server"]), ([], None))
        (row,) = model["steps"]
        self.assertAlmostEqual(row["tokens_per_s"] * sum(row["step_s"]),
                               sum(batch["tokens"] for batch in model["batches"]))

    def test_a_peer_with_another_loss_gets_no_time(self):
        self.refused("if said.get('phase') == 1: said['loss'] *= 1.001", 6, "peer.py", "1e-04")

    def test_a_peer_in_bfloat16_may_be_a_hundredth_off(self):
        for factor, code in (1.001, 0), (1.02, 6):
            change = f"if said.get('phase') == 1: said['loss'] *= {factor}"
            done = bench("--threads", "1", "--bfloat16-peer", self.falsifier(change))
            self.assertEqual(done.returncode, code, done.stderr)

    def test_a_peer_that_leaves_steps_out_gets_no_time(self):
        self.refused("if said.get('phase') == 1: continue", 3, "peer.py", "3 steps of phase 1, got 0")

    def test_a_peer_that_fails_is_named(self):
        done = bench("--threads", "1", "--peer", "false")
        self.assertEqual(done.returncode, 10, done.stderr)
        self.assertIn("false: failed with exit 1", done.stderr)

    @unittest.skipUnless(os.environ.get("DASHF_HF_PYTHON"), "DASHF_HF_PYTHON names no Python")
    def test_torch_and_peft_have_the_engines_losses(self):
        done = bench("--threads", "1", "--json", "--peer", str(PEFT), "--peer", f"{PEFT} --plain")
        self.assertEqual(done.returncode, 0, done.stderr)
        (model,) = json.loads(done.stdout)["models"]
        self.assertEqual(len(model["steps"]), 3)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
