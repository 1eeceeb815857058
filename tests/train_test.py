"""`dashf train` from outside: the same bytes however often it is interrupted, files whole or not at
all, exit codes. Usage: train_test.py DASHF_BINARY TOKENIZER_MODEL [unittest options]"""
import json
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import own_cache
from tiny_model import CONFIG, write_model, write_records

BINARY, TOKENIZER = sys.argv[1:3]


def files_of(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir()) if p.is_file()}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        write_model(cls.root / "model", TOKENIZER)
        write_records(cls.root / "data.json", 60, 2)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=self.root)
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def command(self, out, *flags):
        usual = {"--model": self.root / "model", "--data": self.root / "data.json", "--out": out,
                 "--threads": 1, "--learning-rate": 0.01}
        words = [word for flag, value in usual.items() if flag not in flags
                 for word in (flag, value)]
        return [str(word) for word in (BINARY, "train", *words, *flags)]

    def train(self, out, *flags, **options):
        return subprocess.run(self.command(out, *flags), capture_output=True, text=True,
                              timeout=300, check=False, **options)

    def assert_fails(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        self.assertEqual(done.stdout, "")


class Training(Case):
    def test_two_phases_in_two_commands_learn_and_tell(self):
        flags = ("--epochs", 4, "--held-out", 0.1, "--json", "--rank", 4, "--rslora")
        user = self.folder / "user"
        done = self.train(user, *flags, "--phase", "user", "--split", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual((told["layers"], told["examples"], told["steps"]), ([1, 1], 54, 28))
        self.assertEqual(len(told["losses"]), 28)
        self.assertLess(told["losses"][-1], told["losses"][0])
        products = told["products"]
        self.assertGreater(min(products["flop_per_s"], products["peak_flop_per_s"]), 0)
        self.assertIn(f"matrix products: {products['library']} with {products['kernels']}, "
                      f"{products['flop_per_s'] / 1e9:.1f} GFLOP/s per core", done.stderr)
        self.assertLess(told["held_out"]["after"]["loss"], told["held_out"]["before"]["loss"])
        self.assertEqual(set(files_of(user)), {"adapter_config.json", "adapter_model.safetensors"})
        config = json.loads((user / "adapter_config.json").read_text())
        self.assertEqual((config["r"], config["use_rslora"]), (4, True))
        self.assertEqual(config["base_model_name_or_path"], str(self.root / "model"))
        done = self.train(self.folder / "both", "--epochs", 4, "--phase", "server", "--split", 1,
                          "--adapter", user, "--held-out", 0.1, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        before = json.loads(done.stdout)["held_out"]["before"]["loss"]
        self.assertAlmostEqual(before, told["held_out"]["after"]["loss"], places=5)

    def test_layers_computed_again_give_the_same_adapter(self):
        adapters = []
        for kind in ("lora", "adaption_prompt"):
            for recompute in ("no", "yes"):
                out = self.folder / f"{kind}-{recompute}"
                done = self.train(out, "--kind", kind, "--epochs", 1, "--recompute", recompute)
                self.assertEqual(done.returncode, 0, done.stderr)
                adapters.append(files_of(out)["adapter_model.safetensors"])
        self.assertEqual(adapters[0], adapters[1])
        self.assertEqual(adapters[2], adapters[3])
        self.assertNotEqual(adapters[0], adapters[2])

    def test_what_does_not_go_together_is_a_usage_error(self):
        out = self.folder / "out"
        for flags, words in ((("--phase", "user"), ("--split", "--phase")),
                             (("--layers", "2..9"), ("--layers", "1..3", "2..9")),
                             (("--arithmetic", "bfloat16", "--weights", "int8"), ("--weights", "bfloat16")),
                             (("--checkpoint-every", "soon"), ("--checkpoint-every", "soon"))):
            self.assert_fails(self.train(out, *flags), 2, *words)

    def test_a_loss_that_explodes_leaves_the_adapter_where_it_was_least(self):
        # The rate is too small to change a loss beyond its rounding: the losses are the base model's
        # on each record, in the order that the seed draws. When they explode is thus their matter.
        flags = ("--learning-rate", 1e-9, "--schedule", "constant", "--warmup", 0, "--batch", 1)
        whole, least, out = (self.folder / name for name in ("whole", "least", "out"))
        done = self.train(whole, *flags, "--epochs", 1, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        smoothed, rises, total, weight = [], [], 0.0, 0.0
        for loss in json.loads(done.stdout)["losses"]:
            total, weight = 0.9 * total + 0.1 * loss, 0.9 * weight + 0.1
            smoothed.append(total / weight)
            rises.append(smoothed[-1] / min(smoothed))
        highest = rises.index(max(rises))
        best = smoothed.index(min(smoothed[:highest]))
        factor = (max(rises[:highest]) + rises[highest]) / 2
        self.assertGreater(rises[highest] - factor, 1e-4)  # Rounding moves it by some millionths.
        self.assertGreater(best, 0)
        done = self.train(out, *flags, "--epochs", 1, "--explosion-factor", factor,
                          "--checkpoint-every", 5)
        self.assert_fails(done, 6, f"step {highest + 1}: the training diverged",
                          f"the adapter after step {best},", str(out))
        self.assertEqual(set(files_of(out)), {"adapter_config.json", "adapter_model.safetensors"})
        done = self.train(least, *flags, "--steps", best)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(files_of(out)["adapter_model.safetensors"],
                         files_of(least)["adapter_model.safetensors"])


class Memory(Case):
    """On a model whose passes take more than the process: wide, with long samples."""
    CONFIG = CONFIG | {"hidden_size": 64, "intermediate_size": 1024, "num_hidden_layers": 5}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        write_model(cls.root / "wide", TOKENIZER, cls.CONFIG, 0.05)
        write_records(cls.root / "long.json", 32, 3, answer_words=60)

    def told(self, name, *flags, model="wide"):
        out = self.folder / name
        done = self.train(out, "--model", self.root / model, "--data", self.root / "long.json",
                          "--batch", 16, "--epochs", 1, "--json", *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout) | {"stderr": done.stderr, "files": files_of(out)}
        memory = told["memory"]
        self.assertLess(abs(memory["foretold_bytes"] / memory["peak_bytes"] - 1), 0.15, memory)
        return told

    def test_a_limit_is_kept_to_by_settings_that_leave_the_steps_as_they_are(self):
        kept = self.told("kept")
        again = self.told("again", "--recompute", "yes")
        self.assertEqual(again["files"], kept["files"])
        most, less = kept["memory"]["foretold_bytes"], again["memory"]["foretold_bytes"]
        self.assertLess(again["memory"]["peak_bytes"], kept["memory"]["peak_bytes"] - 0.5 * (most - less))

        chosen = self.told("chosen", "--memory-limit", f"{(most + less) / 2e6}MB")
        self.assertEqual((chosen["memory"]["recompute"], chosen["memory"]["batch"]), (True, 16))
        self.assertEqual(chosen["files"], kept["files"])
        self.assertRegex(chosen["stderr"], "memory: limit .* MB foretold .*layers computed again")

        divided = self.told("divided", "--recompute", "no", "--memory-limit", f"{(most + less) / 2e6}MB")
        memory = divided["memory"]
        self.assertFalse(memory["recompute"])
        self.assertLess(memory["batch"], 16)
        self.assertEqual(memory["batch"] * memory["accumulate"], 16)
        self.assertEqual(len(divided["losses"]), 2)
        for ours, theirs in zip(divided["losses"], kept["losses"]):
            self.assertAlmostEqual(ours, theirs, delta=1e-5 * theirs)

        plenty = self.told("plenty", "--memory-limit", "2GiB")
        self.assertEqual((plenty["memory"]["recompute"], plenty["memory"]["batch"]), (False, 16))

    def test_weights_are_held_in_bfloat16_only_where_nothing_of_them_is_lost(self):
        write_model(self.folder / "halves", TOKENIZER, self.CONFIG, 0.05, halves=True)
        cases = ((self.folder / "halves", (), "weights in bfloat16"),
                 (self.folder / "halves", ("--weights", "float32"), "weights in float32"),
                 (self.root / "wide", (), "weights in float32"))
        for model, flags, words in cases:
            done = self.train(self.folder / "none", "--model", model, "--memory-limit", "1MB", *flags)
            self.assert_fails(done, 3, "--memory-limit", "1 MB", "at least", words, "no --weights fits")
        self.assertFalse((self.folder / "none").exists())

    def test_a_limit_that_is_too_little_says_which_weights_would_fit(self):
        def refused(limit):
            done = self.train(self.folder / "none", "--model", self.root / "wide", "--memory-limit", limit)
            self.assertEqual(done.returncode, 3, done.stderr)
            return done.stderr
        least = int(re.search(r"takes (\d+) MB at least", refused("1MB")).group(1))
        # Two below: what the process itself takes differs by part of a megabyte from start to start.
        self.assertRegex(refused(f"{least - 2}MB"), r"; --weights (bfloat16|int8|nf4) would take \d+ MB")

    def test_a_refused_training_leaves_no_folder(self):
        (self.folder / "data.csv").write_text("instruction,output\na,b\n")
        mine = self.folder / "mine"
        mine.mkdir()
        for out, flags, code in ((self.folder / "a/b", ("--data", self.folder / "data.csv"), 3),
                                 (self.folder / "a", ("--layers", "3..9"), 2),
                                 (self.folder / "a", ("--resume",), 10),
                                 (mine, ("--data", self.folder / "data.csv"), 3)):
            self.assertEqual(self.train(out, *flags).returncode, code)
            self.assertFalse((self.folder / "a").exists())
        self.assertEqual(list(mine.iterdir()), [])
        limit = (1000, 1000)  # As on a full disk: no checkpoint, and no folder for it.
        done = self.train(self.folder / "a", "--steps", 5, "--checkpoint-every", 1,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(done.returncode, 10, done.stderr)
        self.assertFalse((self.folder / "a").exists())

    def test_a_limit_that_is_no_size_is_a_usage_error(self):
        for size in ("400", "MB", "-1GB", "0MB", "infMB", "1e5MB", "4 MB", "4mb"):
            self.assert_fails(self.train(self.folder / "out", "--memory-limit", size), 2,
                              "--memory-limit", size)


class Interruptions(Case):
    FLAGS = ("--epochs", 40, "--batch", 4, "--accumulate", 2, "--checkpoint-every", 1)

    def start(self, out, *flags):
        return subprocess.Popen(self.command(out, *flags), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE, text=True)

    def wait_for(self, path, changed_from=None):
        for _ in range(3000):
            if path.exists() and path.stat().st_ino != changed_from:
                return path.stat().st_ino
            time.sleep(0.01)
        return self.fail(f"{path} was not written")

    def test_killed_at_several_steps_it_ends_with_the_same_bytes(self):
        flags = (*self.FLAGS, "--phase", "server", "--split", 2)  # Hidden states from the cache.
        whole, out = self.folder / "whole", self.folder / "out"
        done = self.train(whole, *flags)
        self.assertEqual(done.returncode, 0, done.stderr)
        checkpoint = out / "checkpoint" / "training.safetensors"
        resume, newest = (), None
        for pause_s in (0.0, 0.04):
            child = self.start(out, *flags, *resume)
            newest = self.wait_for(checkpoint, newest)
            time.sleep(pause_s)
            child.kill()
            child.communicate()
            self.assertTrue(checkpoint.exists(), "it was done before it was killed")
            newest, resume = checkpoint.stat().st_ino, ("--resume",)
            self.assertEqual(files_of(out), {})
        done = self.train(out, *flags, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("going on after step", done.stderr)
        self.assertEqual(files_of(out), files_of(whole))
        self.assertFalse(checkpoint.parent.exists())

    def test_a_signal_in_the_middle_of_a_product_harms_nothing(self):
        # Wide enough for products that oneDNN computes on a stack of its own: there a signal's
        # frame would overwrite the heap. Of eight, one at least would strike.
        model = pathlib.Path(TOKENIZER).parent
        for i in range(8):
            child = self.start(self.folder / f"struck{i}", "--model", model, "--epochs", 2000)
            while not child.stderr.readline().startswith("step "):
                self.assertIsNone(child.poll())
            time.sleep(0.03 * i)
            child.send_signal(signal.SIGTERM)
            said = child.communicate()[1]
            self.assertEqual(child.returncode, 143, said)

    def test_a_signal_ends_it_in_order_and_resume_goes_on(self):
        flags = ("--epochs", 2000, "--batch", 4)
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            out = self.folder / str(code)
            child = self.start(out, *flags)
            while not child.stderr.readline().startswith("step "):
                self.assertIsNone(child.poll())
            child.send_signal(number)
            said = child.communicate()[1]
            self.assertEqual(child.returncode, code, said)
            self.assertIn("--resume goes on", said)
            self.assertEqual(files_of(out), {})
        self.assert_fails(self.train(out, *flags), 2, "was interrupted", "--resume")
        done = self.train(out, *flags, "--resume", "--weight-decay", 0.5)
        self.assert_fails(done, 3, "another training", "weight_decay is 0, this one's is 0.5")

    def test_the_base_is_held_and_multiplied_as_before_when_it_goes_on(self):
        out = self.folder / "out"
        (out / "adapter_config.json").mkdir(parents=True)  # Cannot be written: the checkpoint stays.
        self.assertEqual(self.train(out, "--steps", 2).returncode, 10)
        (out / "adapter_config.json").rmdir()
        done = self.train(out, "--steps", 2, "--resume", "--weights", "int8")
        self.assert_fails(done, 3, "another training", "weights is float32, this one's is int8")
        done = self.train(out, "--steps", 2, "--resume", "--arithmetic", "bfloat16")
        if done.returncode != 2:  # On a processor that has it.
            self.assert_fails(done, 3, "another training", "arithmetic is float32, this one's is bfloat16")
        done = self.train(out, "--steps", 2, "--resume", "--weights", "float32")
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_file_that_grows_too_large_leaves_the_last_good_state(self):
        """As on a full disk: after some steps, no file may be larger than a few bytes."""
        out = self.folder / "out"
        flags = ("--epochs", 2000, "--batch", 4, "--checkpoint-every", 1)
        child = self.start(out, *flags)
        checkpoint = out / "checkpoint" / "training.safetensors"
        self.wait_for(checkpoint)
        resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (1000, 1000))
        said = child.communicate(timeout=100)[1]
        self.assertEqual(child.returncode, 10, said)
        self.assertIn("--resume goes on after step", said)
        self.assertEqual([p.name for p in checkpoint.parent.iterdir()], [checkpoint.name])
        self.assertEqual(files_of(out), {})

    def test_hidden_states_in_a_file_give_the_same_bytes_or_an_error_before_the_first_step(self):
        flags = ("--epochs", 3, "--phase", "server", "--split", 2)
        for cache in ("memory", "file"):
            done = self.train(self.folder / cache, *flags, "--cache", cache)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(files_of(self.folder / "file"), files_of(self.folder / "memory"))
        limit = (1000, 1000)  # As on a full disk.
        done = self.train(self.folder / "none", *flags, "--cache", "file",
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assert_fails(done, 10, f"{self.folder}", "cannot hold the hidden states: File too large")
        self.assertFalse((self.folder / "none").exists())

    def test_an_adapter_that_cannot_be_written_leaves_the_last_state(self):
        out = self.folder / "out"
        (out / "adapter_config.json").mkdir(parents=True)
        self.assert_fails(self.train(out, "--steps", 5), 10, "adapter_config.json",
                          "--resume goes on after step 5")
        self.assertEqual(files_of(out), {})
        (out / "adapter_config.json").rmdir()
        done = self.train(out, "--steps", 5, "--resume")
        self.assertEqual(done.returncode, 0, done.stderr)
        whole = self.folder / "whole"
        self.assertEqual(self.train(whole, "--steps", 5).returncode, 0)
        self.assertEqual(files_of(out), files_of(whole))

    def test_a_place_that_cannot_be_written_is_refused_before_the_training(self):
        (self.folder / "file").write_text("")
        self.assert_fails(self.train(self.folder / "file" / "out"), 10, "file", "cannot write")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
