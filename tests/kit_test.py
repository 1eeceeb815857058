#!/usr/bin/env python3
"""A fleet's kits from the first to the last day: made, carried to where they belong, a round done with a certificate
renewed in the middle, nodes revoked, and folders that somebody has edited. Usage: kit_test.py DASHF MODEL
(DASHF_OTHER_NODES: a dashf, of another machine's kind, for all nodes but user u0)"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import unittest

from small_fleet import LIMIT_S, NODES, SmallFleet

DASHF, MODEL = sys.argv[1:3]
OTHERS = os.environ.get("DASHF_OTHER_NODES", DASHF)


class Fleet(SmallFleet):
    dashf, model, maker = DASHF, MODEL, OTHERS

    def start(self, name, environment=None):
        """As on its own machine: from a copy of its folder, and from anywhere."""
        folder = self.room / "machines" / name
        if not folder.exists():
            shutil.copytree(self.room / "demo" / name, folder)
        log = open(folder / "log", "a")
        self.addCleanup(log.close)
        node = subprocess.Popen([DASHF if name == "user-u0" else OTHERS, NODES[name], "--config",
                                 str(folder / "node.json")], cwd="/", stderr=log, stdout=log,
                                env={**os.environ, **(environment or {})})
        self.addCleanup(node.wait)
        self.addCleanup(node.kill)
        return node

    def log(self, name):
        return (self.room / "machines" / name / "log").read_text()

    def until_said(self, name, text):
        until = time.monotonic() + LIMIT_S
        while text not in self.log(name):
            self.assertLess(time.monotonic(), until, self.log(name))
            time.sleep(0.05)

    def test_a_round_is_done_and_a_certificate_renewed_in_its_middle(self):
        self.fleet(1, "127.0.0.1:1")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(notify.close)
        notify.bind(str(self.room / "notify"))
        notify.settimeout(LIMIT_S)
        nodes = {"coordinator": self.start("coordinator", {"NOTIFY_SOCKET": str(self.room / "notify"),
                                                           "WATCHDOG_USEC": "300000"})}
        self.assertIn("READY=1", notify.recv(500).decode())
        self.assertEqual(notify.recv(500), b"WATCHDOG=1")
        nodes["server-s0"] = self.start("server-s0")
        # While the coordinator waits for the users, its certificate and the server's are renewed.
        self.kit("renew", "server/s0", "coordinator", "--fleet", "demo")
        for name in ("coordinator", "server-s0"):
            shutil.copy(self.room / "demo" / name / "node.pem", self.room / "machines" / name / "node.pem")
            self.until_said(name, "node.pem: taken, valid until ")
        nodes |= {name: self.start(name) for name in ("user-u0", "user-u1")}
        for name, node in nodes.items():
            self.assertEqual(node.wait(LIMIT_S), 0, self.log(name))
        record = json.loads((self.room / "machines/coordinator/round.json").read_text())
        self.assertEqual([user["state"] for user in record["users"]], ["done", "done"])
        for user in ("user-u0", "user-u1"):
            self.assertTrue((self.room / "machines" / user / "adapter/adapter_model.safetensors").exists())
            self.assertIn("matrix products: ", self.log(user))

    def test_a_revoked_node_is_refused_by_a_coordinator_that_runs_and_let_in_again_with_a_new_key(self):
        self.fleet(1, "127.0.0.1:1")
        self.start("coordinator")
        self.until_said("coordinator", "waiting for 2 users")
        self.kit("revoke", "user/u1", "--fleet", "demo")
        shutil.copy(self.room / "demo/coordinator/revoked.pem", self.room / "machines/coordinator/revoked.pem")
        self.assertEqual(self.start("user-u1").wait(LIMIT_S), 9)
        self.assertIn("the certificate of user/u1 is revoked", self.log("user-u1"))
        self.assertIn("--new-key", self.kit("renew", "user/u1", "--fleet", "demo", code=3))
        self.assertIn("cannot be revoked, for it is who reads the list: if its key is lost to somebody, make a new "
                      "fleet", self.kit("revoke", "coordinator", "--fleet", "demo", code=3))
        self.assertIn("user/u1 was revoked before", self.kit("revoke", "user/u1", "--fleet", "demo"))
        self.assertIn("got 'user/\\x0a'", self.kit("revoke", "user/\n", "--fleet", "demo", code=2))
        self.kit("add", "operator", "ada", "--fleet", "demo")
        self.kit("renew", "user/u1", "--new-key", "--fleet", "demo")
        shutil.rmtree(self.room / "machines/user-u1")
        welcome = self.start("user-u1")
        until = time.monotonic() + LIMIT_S
        telemetry = self.room / "machines/user-u1/telemetry.jsonl"
        while not telemetry.exists() or "registered" not in telemetry.read_text():
            self.assertIsNone(welcome.poll(), self.log("user-u1"))
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        # Its folder has one owner.
        second = self.start("user-u1")
        self.assertEqual(second.wait(LIMIT_S), 10)
        self.assertIn(f"is in use by process {welcome.pid}, user/u1", self.log("user-u1"))
        # Its session stands, and ends with the new key's certificate.
        self.kit("revoke", "user/u1", "--fleet", "demo")
        shutil.copy(self.room / "demo/coordinator/revoked.pem", self.room / "machines/coordinator/revoked.pem")
        self.assertEqual(welcome.wait(LIMIT_S), 9)
        self.until_said("coordinator", "the list of revoked certificates has changed")
        self.until_said("coordinator", "user/u1 is turned away: the certificate of user/u1 is revoked")
        nodes = subprocess.run([DASHF, "ctl", "nodes", "--config", str(self.room / "demo/operator-ada")],
                               capture_output=True, text=True, check=True, timeout=LIMIT_S).stdout
        self.assertRegex(nodes, r"user/u1 +turned away .* the certificate of user/u1 is revoked")

    def test_epochs_that_the_profile_was_not_measured_with_are_named(self):
        (self.room / "same.toml").write_text("[training]\nlearning_rate = 0.01\n")  # The profile's epochs are the default.
        (self.room / "others.toml").write_text("[training]\nepochs_user = 2\nepochs_joint = 1\n")
        for name, said in (("same", False), ("others", True)):
            done = subprocess.run([DASHF, "kit", "init", "--name", name, "--address", "h:1", "--model", MODEL, "--config",
                                   f"{name}.toml", "--profile", str(self.made / "profile.json")], cwd=self.room,
                                  capture_output=True, text=True, check=True, timeout=LIMIT_S)
            self.assertEqual("warning: others.toml: nodes train 2 epochs at users, 3 at servers and 1 joint ones, but "
                             in done.stderr, said, done.stderr)
            self.assertEqual("warning" in done.stderr, said)
            self.assertIn("note: without --scenario the coordinator cannot start yet: ", done.stderr)
            self.assertIn(f"there as {name}/coordinator/given.json\n", done.stderr)
        training = json.loads((self.room / "others/coordinator/node.json").read_text())["training"]
        self.assertEqual((training["epochs_user"], training["epochs_server"], training["epochs_joint"]), (2, 3, 1))

    def test_keys_are_their_owners_alone_and_nothing_is_replaced(self):
        self.fleet(1, "127.0.0.1:1")
        secrets = [*(self.room / "demo").glob("*/*.key")]
        self.assertEqual(len(secrets), 5)
        for secret in secrets:
            self.assertEqual(secret.stat().st_mode & 0o777, 0o600)
            self.assertEqual(secret.parent.stat().st_mode & 0o777, 0o700)
        before = {path: path.read_bytes() for path in (self.room / "demo").rglob("*") if path.is_file()}
        self.assertIn("user/u0 is there already", self.kit("add", "user", "u0", "--fleet", "demo", code=3))
        self.assertIn("is there already", self.kit(
            "init", "--name", "demo", "--address", "h:1", "--profile", self.made / "profile.json", "--model", MODEL,
            code=10))
        self.assertIn("given.json: has no user u4; a fleet takes further ones with another scenario: docs/deploy.md",
                      self.kit("add", "user", "u4", "--fleet", "demo", code=3))
        self.assertIn("--model: is needed: the base model's absolute path", self.kit(
            "init", "--name", "more", "--address", "h:1", "--profile", self.made / "profile.json", code=2))
        for path, text in before.items():
            if path.name != "lock":
                self.assertEqual(path.read_bytes(), text, path)
        renewed = self.kit("renew", "user/u0", "--days", "7", "--fleet", "demo", "--json")
        self.assertNotEqual(before[self.room / "demo/user-u0/node.pem"],
                            (self.room / "demo/user-u0/node.pem").read_bytes())
        self.assertEqual(before[self.room / "demo/user-u0/node.key"],
                         (self.room / "demo/user-u0/node.key").read_bytes())
        listed = {node["node"]: node for node in json.loads(self.kit("list", "--json", "--fleet", "demo"))["nodes"]}
        self.assertEqual(listed["user/u0"]["serial"], json.loads(renewed)["serial"])
        self.assertEqual(listed["user/u0"]["state"], "ends soon")
        self.assertEqual(listed["user/u1"]["state"], "valid")
        unit = (self.room / "demo/server-s0/dashf-server-s0.service").read_text()
        for line in ("Type=notify", "WatchdogSec=60", "Restart=on-failure",
                     "ExecStart=/usr/bin/dashf server --config /var/lib/dashf/server-s0/node.json"):
            self.assertIn(line + "\n", unit)

    def test_what_a_crash_left_is_finished_or_removed(self):
        self.fleet(1, "127.0.0.1:1")
        demo = self.room / "demo"
        (demo / "user-u1").rename(demo / ".user-u1.part")  # Recorded, and not yet in its place.
        (demo / ".user-u9.part").mkdir()                   # Never recorded.
        self.kit("list", "--fleet", "demo")
        self.assertTrue((demo / "user-u1/node.key").exists())
        self.assertEqual([*demo.glob(".*.part")], [])

    def test_folders_and_records_that_somebody_has_edited_are_refused_by_name_and_rule(self):
        self.fleet(1, "127.0.0.1:1")
        demo = self.room / "demo"

        def edited(path, old, new, said, *command, code=3):
            text = path.read_text()
            self.assertIn(old, text)
            path.write_text(text.replace(old, new, 1))
            self.assertIn(said, self.kit(*command, "--fleet", "demo", code=code))
            path.write_text(text)

        node = demo / "user-u0/node.json"
        edited(node, '"folder"', '"fodler"', 'user-u0/node.json: missing key "folder"; there is "fodler"', "list")
        edited(node, "user/u0", "user/u1", "user-u0/node.json: node: must be user/u0", "list")
        edited(node, "127.0.0.1:1", "0.0.0.0:1", "user-u0/node.json: coordinator[0]: must be one address", "list")
        record = demo / "fleet.json"
        edited(record, "members", "mebmers", "fleet.json: ", "list")
        edited(record, "user/u0", "user/u1", 'fleet.json: members[3].node: is there twice', "list")
        edited(record, '"serial":"', '"serial":"x', "hexadecimal", "list")
        edited(record, "T", " ", "must be a date like", "list")
        shutil.copy(demo / "user-u1/node.pem", demo / "user-u0/node.pem")
        self.assertIn("user-u0/node.pem: must be a certificate that demo/fleet.json records for user/u0",
                      self.kit("renew", "user/u0", "--fleet", "demo", code=3))
        self.assertIn("has no user/u7", self.kit("renew", "user/u7", "--fleet", "demo", code=3))
        self.assertIn("no user u7", self.kit("add", "user", "u7", "--fleet", "demo", code=3))
        self.assertIn("given.json: has no server s1", self.kit("add", "server", "s1", "--address", "e:1", "--fleet",
                                                                 "demo", code=3))
        self.assertFalse((demo / "server-s1").exists())

    def test_without_a_scenario_flags_say_what_a_node_can_do(self):
        self.kit("init", "--name", "bare", "--address", "coord.example.org:7440", "--profile",
                 self.made / "profile.json", "--model", MODEL)
        server = ["add", "server", "s0", "--fleet", "bare", "--address"]
        self.assertIn("--target: must be an absolute path", self.kit(*server, "e:1", "--target", "/var/a b", code=2))
        device = ["--clock-hz", "2e9", "--flop-per-cycle", "8", "--tx-power-w", "1"]
        self.assertIn("--clock-hz: is needed", self.kit(*server, "[2001:db8::7]:7443", code=2))
        self.assertIn("the port is missing, got 'edge1'", self.kit(*server, "edge1", *device, "--bandwidth-hz", "2e7",
                                                                   code=3))
        self.kit(*server, "[2001:db8::7]:7443", *device, "--bandwidth-hz", "2e7")
        user = ["add", "user", "u0", "--fleet", "bare", *device, "--memory-bytes", "4e9"]
        self.assertIn("--profile: is needed", self.kit(*user, code=2))
        self.kit(*user, "--profile", self.made / "profile.json", "--tokens", "1e4", "--data-bytes", "5e4")
        node = json.loads((self.room / "bare/server-s0/node.json").read_text())
        self.assertEqual(node["server"]["listen"], "[::]:7443")
        self.assertEqual(node["server"]["advertise"], ["[2001:db8::7]:7443"])
        self.assertEqual(node["server"]["spool"]["folder"], "spool")
        self.assertEqual(node["coordinator"], ["coord.example.org:7440"])
        self.assertIn("put them there", (self.room / "bare/user-u0/README").read_text())
        self.assertIn("given.json is missing", (self.room / "bare/coordinator/README").read_text())


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
