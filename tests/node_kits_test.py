#!/usr/bin/env python3
"""A round whose nodes are each started by hand from its kit, as over several machines. Usage:
node_kits_test.py DASHF MODEL    (DASHF_OTHER_NODES: a dashf, of another machine's kind, for all nodes but user u0)"""
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest

DASHF, MODEL = sys.argv[1:3]
OTHERS = os.environ.get("DASHF_OTHER_NODES", DASHF)
TOOL = pathlib.Path(__file__).parent.parent / "tools" / "node_kits.py"
LIMIT_S = 400


def free_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % taken.getsockname()[1]


class NodeKits(unittest.TestCase):
    def setUp(self):
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.room = pathlib.Path(room.name)
        for user in ("u0", "u1"):
            folder = self.room / "data" / user
            folder.mkdir(parents=True)
            for name, count in (("train", 6), ("test", 2)):
                records = [{"instruction": f"Name section {i}.", "input": "", "output": f"{user} likes libs"}
                           for i in range(count)]
                (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        records = str(self.room / "data/u0/train.jsonl")
        self.run_here([OTHERS, "profile", "--model", MODEL, "--data", records, "--out", "profile.json"])
        self.run_here([OTHERS, "new", "--users", "2", "--servers", "1", "--profile", "profile.json", "--out", "s.json"])

    def run_here(self, command):
        done = subprocess.run(command, cwd=self.room, capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, 0, done.stderr)

    def kits(self, *more, out="kits"):
        return [sys.executable, str(TOOL), "s.json", "--data", "data", "--model", MODEL, "--coordinator", free_address(),
                "--profile", "profile.json", "--out", out, *more]

    def carry_out(self, out, u0):
        """A round whose user u0 is started by the program `u0`, the others by OTHERS."""
        self.run_here(self.kits("--server", "s0=" + free_address(), "--training", "epochs_user=1",
                                "--training", "epochs_server=1", out=out))
        nodes = {}
        for name in ("coordinator", "server-s0", "user-u0", "user-u1"):
            folder = self.room / out / name
            verb, _, _ = name.partition("-")
            log = open(folder / "log", "w")
            self.addCleanup(log.close)
            nodes[name] = subprocess.Popen([u0 if name == "user-u0" else OTHERS, verb, "--config", "node.json"],
                                           cwd=folder, stderr=log, stdout=log)
            self.addCleanup(nodes[name].kill)
        for name, node in nodes.items():
            self.assertEqual(node.wait(LIMIT_S), 0, (self.room / out / name / "log").read_text())
        record = json.loads((self.room / out / "coordinator/round.json").read_text())
        self.assertEqual([user["state"] for user in record["users"]], ["done", "done"])
        return record["users"]

    def test_every_user_ends_with_its_adapter(self):
        self.carry_out("kits", DASHF)
        for user in ("user-u0", "user-u1"):
            self.assertTrue((self.room / "kits" / user / "adapter/adapter_model.safetensors").exists())
            self.assertIn("matrix products: ", (self.room / "kits" / user / "log").read_text())

    @unittest.skipIf(OTHERS == DASHF, "DASHF_OTHER_NODES names no machine of another kind")
    def test_a_user_on_another_kind_of_machine_learns_the_same(self):
        """As far as losses tell: a first step goes by the signs of gradients, of which some are rounding alone."""
        for mixed, alike in zip(self.carry_out("mixed", DASHF), self.carry_out("alike", OTHERS)):
            self.assertEqual(mixed["local_layers"], alike["local_layers"])
            before, after = alike["loss_before"], alike["loss_after"]
            self.assertAlmostEqual(mixed["loss_before"], before, delta=1e-5 * before)
            self.assertAlmostEqual(mixed["loss_after"], after, delta=1e-3 * abs(after - before))

    def test_keys_are_their_owners_alone_and_wrong_arguments_are_named(self):
        self.run_here(self.kits("--server", "s0=" + free_address()))
        self.assertEqual((self.room / "kits/user-u0/node.key").stat().st_mode & 0o777, 0o600)
        self.assertEqual(list((self.room / "kits").glob("**/ca.key")), [])
        for wrong, said in ((["--server", "s9=h:1"], "each server"), (["--training", "rnak=4"], "rnak")):
            done = subprocess.run(self.kits(*wrong), cwd=self.room, capture_output=True, text=True)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
