#!/usr/bin/env python3
"""An operator over a fleet of real processes: rounds are asked for, a user is excluded in the middle of one, a server
drained and let in again, and everything is read as a table and as JSON. Usage: ctl_test.py DASHF MODEL"""
import json
import pathlib
import re
import signal
import subprocess
import sys
import time
import unittest

from small_fleet import LIMIT_S, NODES, SmallFleet

try:
    import jsonschema
    SCHEMA = jsonschema.Draft202012Validator(json.loads(
        (pathlib.Path(__file__).resolve().parent.parent / "docs/schemas/ctl-1.schema.json").read_text()))
except ImportError:  # cli.schemas says that it is missing.
    SCHEMA = None

DASHF, MODEL = sys.argv[1:3]


class Operating(SmallFleet):
    dashf, model, maker = DASHF, MODEL, DASHF

    def setUp(self):
        super().setUp()
        self.fleet(0)
        path = self.room / "demo/coordinator/node.json"
        node = json.loads(path.read_text())
        node["coordinator_kit"]["policy"] |= {"on_request": True, "gather_s": 60.0}
        path.write_text(json.dumps(node))
        self.kit("add", "operator", "ada", "--fleet", "demo")
        self.nodes = {}

    def start(self, name):
        folder = self.room / "demo" / name
        log = open(folder / "log", "a")
        self.addCleanup(log.close)
        self.nodes[name] = subprocess.Popen([DASHF, NODES[name], "--config", str(folder / "node.json")], cwd="/",
                                            stderr=log, stdout=log)
        self.addCleanup(self.nodes[name].wait)
        self.addCleanup(self.nodes[name].kill)

    def ctl(self, *words, code=0, config="demo/operator-ada"):
        done = subprocess.run([DASHF, "ctl", *map(str, words), *(["--config", config] if config else [])],
                              cwd=self.room, capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stdout if code == 0 else done.stderr

    def read(self, *words):
        answer = json.loads(self.ctl(*words, "--json"))
        self.assertEqual((answer["schema"], answer["fleet"]), ("dashf.ctl/1", "demo"))
        if SCHEMA:
            self.assertEqual([str(error)[:300] for error in SCHEMA.iter_errors(answer)], [])
        return answer

    def until(self, holds):
        until = time.monotonic() + LIMIT_S
        while not holds():
            if time.monotonic() > until:
                self.fail(self.ctl("status") + self.ctl("nodes"))
            time.sleep(0.1)

    def states(self):
        return {row["node"]: row["state"] for row in self.read("nodes")["nodes"]}

    def idle(self):
        return self.read("status")["phase"] == "idle"

    def test_rounds_are_asked_for_and_nodes_taken_out_and_let_in_again(self):
        self.assertIn("cannot connect", self.ctl("status", code=10))
        self.start("coordinator")
        self.until(lambda: "coordinator on" in (self.room / "demo/coordinator/log").read_text())
        self.assertIn("a round begins when it is asked for", self.ctl("status"))
        self.assertEqual(self.states(), {"server/s0": "never seen", "user/u0": "never seen", "user/u1": "never seen"})
        follower = subprocess.Popen([DASHF, "ctl", "logs", "--follow", "--config", "demo/operator-ada"], cwd=self.room,
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(follower.stderr.close)
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.wait)
        self.addCleanup(follower.kill)
        # A round that waits for two of three: u1 is taken out before it has come.
        self.assertIn("round 1 begins: 0 of 2 users and 0 of 1 servers are here", self.ctl("start"))
        self.assertIn("another one begins when it has ended", self.ctl("start"))
        self.assertFalse(self.read("start")["changed"])
        status = self.read("status")
        self.assertEqual((status["phase"], status["round"], status["round_requested"]), ("gathering", 1, True))
        self.assertEqual(status["waited_for"], {"nodes": 3, "names": ["server/s0", "user/u0", "user/u1"]})
        self.assertIn('user/u8 is not of this fleet, did you mean "user/u0"?', self.ctl("exclude", "user/u8", code=3))
        self.assertIn("NODE: must be server/ID or user/ID, an ID of 1 to 48 letters, digits and hyphens, got 'u1'",
                      self.ctl("exclude", "u1", code=2))
        self.assertIn("got 'user/a\\x0ab\\x1b[2J'", self.ctl("drain", "user/a\nb\033[2J", code=2))
        self.assertIn("NODE: must be coordinator, server/ID, user/ID or operator/NAME", self.ctl("logs", "u1", code=2))
        self.assertIn('user/u8 is not of this fleet, did you mean "user/u0"?', self.ctl("logs", "user/u8", code=3))
        self.assertIn('dashf ctl: there is no verb "nods", did you mean "nodes"?', self.ctl("nods", code=2, config=""))
        self.assertIn("reason: must be one line", self.ctl("exclude", "user/u1", "--reason", "a\033[2Jb", code=3))
        self.assertEqual(self.ctl("exclude", "user/u1", "--reason", "smokes"), "user/u1 is excluded\n")
        for name in ("server-s0", "user-u0", "user-u1"):
            self.start(name)
        self.until(lambda: self.read("status")["rounds_begun"] == 2 and self.idle())
        first = {row["user"]: row for row in self.read("rounds", 1)["users"]}
        self.assertEqual(first["u0"]["state"], "done")
        self.assertGreater(first["u0"]["measured_s"], 0.0)
        self.assertEqual((first["u1"]["state"], first["u1"]["reason"]),
                         ("left out", "excluded by operator/ada: smokes"))
        # Who is let in takes part in the round that runs, which users that stand still do not end, and is taken out.
        for user in ("user-u0", "user-u1"):
            self.nodes[user].send_signal(signal.SIGSTOP)
        self.ctl("start")
        self.until(lambda: self.read("status")["phase"] == "running")
        self.ctl("admit", "user/u1")
        self.until(lambda: {row["user"]: row for row in self.read("rounds", 3)["users"]}["u1"]["state"] == "running")
        self.ctl("exclude", "user/u1", "--reason", "again")
        self.assertEqual(self.states()["user/u1"], "excluded")
        for user in ("user-u0", "user-u1"):
            self.nodes[user].send_signal(signal.SIGCONT)
        self.until(self.idle)
        third = {row["user"]: row for row in self.read("rounds", 3)["users"]}
        self.assertEqual(third["u0"]["state"], "done")
        self.assertRegex(third["u1"]["reason"], r"^was excluded by operator/ada \(again\) during ")
        # Without its only server a round waits for one; the server is let in again, and with it the user.
        self.assertIn("ends what it is at", self.ctl("drain", "server/s0"))
        self.assertEqual(self.states(), {"server/s0": "drained", "user/u0": "here", "user/u1": "excluded"})
        self.assertIn("1 of 2 users and 0 of 1 servers are here", self.ctl("start"))
        # What an operator was told is known to the next life of the coordinator.
        self.nodes["coordinator"].kill()
        self.nodes["coordinator"].wait()
        self.start("coordinator")
        self.until(lambda: "the log goes on" in (self.room / "demo/coordinator/log").read_text())
        self.until(lambda: (self.room / "demo/coordinator/log").read_text().count("coordinator on ") == 2)
        self.assertEqual(self.states()["server/s0"], "drained")
        self.assertEqual(self.states()["user/u1"], "excluded")
        self.assertEqual(self.read("status")["phase"], "gathering")
        self.ctl("admit", "user/u1")
        self.until(lambda: self.states() == {"server/s0": "drained", "user/u0": "here", "user/u1": "here"})
        self.ctl("admit", "server/s0")
        self.until(self.idle)
        rounds = self.read("rounds")["rounds"]
        self.assertEqual([row["round"] for row in rounds], [1, 2, 3, 4])
        self.assertEqual((rounds[3]["result"], rounds[3]["users_done"]), ("done", 2))
        self.assertGreater(rounds[3]["predicted_s"], 0.0)
        self.assertEqual(len(self.read("rounds", "--last", 2)["rounds"]), 2)
        self.assertRegex(self.ctl("rounds"), r"(?m)^4 +\d{4}-.*Z +\d{4}-.*Z +done +2 +0 +0 ")
        self.assertRegex(self.ctl("rounds"), r"measured \(s\) +wall \(s\)\n")
        self.assertIn("round 9 has not begun; 4 have", self.ctl("rounds", 9, code=3))
        events = [json.loads(line) for line in self.ctl("logs", "user/u1", "--lines", 4096, "--json").splitlines()]
        self.assertEqual([event["reason"] for event in events if event["event"] == "excluded"], ["smokes", "again"])
        self.assertTrue(all(event["by"] == "operator/ada" for event in events if event["event"] == "excluded"))
        self.assertIn("excluded by=operator/ada reason=smokes", self.ctl("logs", "operator/ada"))
        self.assertIn("round 1", self.ctl("logs", "--lines", 4096).replace("=", " "))
        # The fleet ends, and everybody leaves.
        self.assertEqual(self.ctl("stop", "--reason", "enough"), "the fleet is over\n")
        for name, node in self.nodes.items():
            self.assertEqual(node.wait(LIMIT_S), 0, (self.room / "demo" / name / "log").read_text())
        # Who follows has waited for the coordinator that came back, and has seen everything once.
        followed, told = follower.communicate(timeout=LIMIT_S)
        self.assertEqual(followed.count("excluded by=operator/ada reason=smokes"), 1)
        self.assertEqual(followed.count(" listening "), 2)
        self.assertIn("the coordinator is away, trying again: ", told)
        self.assertIn("the fleet has ended", told)
        self.assertEqual(follower.returncode, 0)
        self.assertIn("the fleet has ended: stopped by operator/ada: enough",
                      (self.room / "demo/user-u0/log").read_text())

    def test_nobody_else_may_ask(self):
        self.kit("add", "operator", "bob", "--fleet", "demo")
        self.assertIn("operator/ada is there already", self.kit("add", "operator", "ada", "--fleet", "demo", code=3))
        listed = {row["node"]: row for row in json.loads(self.kit("list", "--json", "--fleet", "demo"))["nodes"]}
        self.assertEqual(listed["operator/bob"]["state"], "valid")
        self.assertEqual((self.room / "demo/operator-bob/node.key").stat().st_mode & 0o777, 0o600)
        self.start("coordinator")
        self.until(lambda: "coordinator on" in (self.room / "demo/coordinator/log").read_text())
        self.kit("revoke", "operator/bob", "--fleet", "demo")
        self.ctl("status")
        self.assertIn("operator/bob is revoked", self.ctl("status", code=9, config="demo/operator-bob"))
        # Two folders are no default, one is.
        for folder, said in (("demo", "2 operator's folders are here, operator-ada and operator-bob"),
                             (".", "there is no operator.json in this folder, nor in an operator-NAME folder of it")):
            self.assertIn(said, subprocess.run([DASHF, "ctl", "status"], cwd=self.room / folder, capture_output=True,
                                               text=True, check=False).stderr)
        (self.room / "demo/operator-ada/node.key").chmod(0o644)
        done = subprocess.run([DASHF, "ctl", "status"], cwd=self.room / "demo/operator-ada", capture_output=True,
                              text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("node.key: others may open this private key (mode 644)", done.stderr)
        # A node's certificate is no operator's, and a node's file no operator's file.
        path = self.room / "demo/operator-ada/operator.json"
        path.write_text(re.sub(r'"(node\.(pem|key))"', r'"../user-u0/\1"', path.read_text()))
        self.assertIn("names 'user/u0', but this node is 'operator/ada'", self.ctl("status", code=9))
        self.assertIn("must be dashf.operator/1", self.ctl("status", code=3, config="demo/user-u0/node.json"))
        user = subprocess.run([DASHF, "user", "--config", str(path)], capture_output=True, text=True, check=False)
        self.assertEqual(user.returncode, 3, user.stderr)
        self.nodes["coordinator"].send_signal(signal.SIGTERM)
        self.assertEqual(self.nodes["coordinator"].wait(LIMIT_S), 128 + signal.SIGTERM)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
