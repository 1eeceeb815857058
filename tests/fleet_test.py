#!/usr/bin/env python3
"""A fleet whose processes die and come back: two rounds by coordinator, server and users that are killed and started
again end with the adapters that undisturbed ones bring, to the last bit; and nodes that would do other work are turned
away. Usage: fleet_test.py DASHF MODEL"""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest

import small_fleet
from small_fleet import LIMIT_S, NODES

DASHF, MODEL = sys.argv[1:3]


class Processes(small_fleet.Processes):
    dashf, model, maker = DASHF, MODEL, DASHF


class Fleet(Processes):
    def test_killed_at_any_point_and_started_again_it_ends_with_the_same_adapters(self):
        self.fleet(rounds=2)
        for name in NODES:
            self.start(name)
        undisturbed = self.adapters("0001", "0002")
        self.assertNotEqual(undisturbed[0], undisturbed[1])
        shutil.rmtree(self.room / "demo")
        self.nodes.clear()
        self.fleet(rounds=2)
        self.start("coordinator", "coordinator:planned")
        self.start("server-s0", "server/s0:finished")
        self.start("user-u0", "user/u0:verify")
        self.start("user-u1", "user/u1:upload")
        for name in ("coordinator", "user-u1", "server-s0", "user-u0"):
            self.killed_and_started_again(name)
        self.until_said("coordinator", "round 1 has ended: every user is done")
        # A stop in the second round keeps what is in the log.
        self.nodes["coordinator"].terminate()
        self.assertEqual(self.nodes["coordinator"].wait(LIMIT_S), 128 + signal.SIGTERM, self.log("coordinator"))
        self.start("coordinator")
        self.assertEqual(self.adapters("0001", "0002"), undisturbed)
        self.assertIn("the log goes on: ", self.log("coordinator"))

    def test_logs_as_json_have_the_keys_that_are_documented(self):
        self.fleet(rounds=1)
        for name in NODES:
            self.start(name, options=("--log-format", "json", "--log-level", "debug"))
        self.adapters("0001")
        page = (pathlib.Path(__file__).parent.parent / "docs/deploy.md").read_text().split("\n## Logs\n")[1]
        rows = re.findall(r"(?m)^\| ((?:`[a-z]+`(?:, )?)+) \| [^|]*(?:coordinator|server|user|all)[^|]* \| ([^|]*) \|$",
                          page.split("\n## ")[0])
        keys = {component: re.findall("`([a-z_]+)`", more) for components, more in rows
                for component in re.findall("`([a-z]+)`", components)}
        said = set()
        for name in NODES:
            for line in self.log(name).splitlines():
                event = json.loads(line)
                self.assertEqual(list(event)[:5], ["time", "level", "node", "component", "message"])
                self.assertRegex(event["time"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
                self.assertEqual(event["node"].replace("/", "-"), name)
                said.add((event["level"], event["component"]))
                if event["component"] != "telemetry":
                    self.assertLessEqual(set(list(event)[5:]), set(keys[event["component"]]), line)
        self.assertGreaterEqual(said, {("debug", "telemetry"), ("info", "nodes"), ("info", "planning"), ("info", "rounds"),
                                       ("info", "data"), ("info", "start"), ("info", "training"), ("info", "session")})
        self.assertGreaterEqual(set(keys), {component for _, component in said})
        refused = subprocess.run([DASHF, "user", "--config", "nowhere.json", "--log-format", "json"], capture_output=True,
                                 text=True)
        event = json.loads(refused.stderr)
        self.assertEqual((refused.returncode, event["exit_code"], event["level"], event["node"]), (10, 10, "error", "user"))

    def node_file(self, name, change):
        path = self.room / "demo" / name / "node.json"
        node = json.loads(path.read_text())
        change(node)
        path.write_text(json.dumps(node))

    def test_who_would_do_other_work_is_turned_away_and_a_second_coordinator_is_refused(self):
        self.fleet(rounds=1)
        other = self.room / "other"
        shutil.copytree(MODEL, other)
        (other / "chat_template.jinja").write_text("{{ messages }}")
        self.node_file("user-u1", lambda node: node.update(model=str(other)))
        # Settings of its own are none.
        training = json.loads((self.room / "demo/coordinator/node.json").read_text())["training"]
        self.node_file("user-u0", lambda node: node.update(training=training))
        self.start("user-u0")
        self.assertEqual(self.nodes["user-u0"].wait(LIMIT_S), 3)
        self.assertIn("user-u0/node.json: training: is the coordinator's to set", self.log("user-u0"))
        self.start("coordinator")
        self.start("user-u1")
        self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 3)
        self.assertIn("tokenizer and chat template (SHA-256): the fleet has ", self.log("user-u1"))
        self.until_said("coordinator", "user/u1 is turned away")
        self.start("user-u1")  # As its unit would, again and again.
        self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 3)
        self.assertEqual(self.log("coordinator").count("user/u1 is turned away"), 1)
        self.assertEqual(len(self.events("coordinator", "turned_away")), 1)
        second = subprocess.run([DASHF, "coordinator", "--config", str(self.room / "demo/coordinator")],
                                capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(second.returncode, 10)
        self.assertIn(str(self.nodes["coordinator"].pid), second.stderr)

    def test_settings_are_asked_for_until_they_come_and_again_when_the_coordinator_has_others(self):
        self.fleet(rounds=0)
        self.kit("add", "operator", "ada", "--fleet", "demo")
        self.policy(on_request=True)
        self.start("user-u0")
        self.until_said("user-u0", "the coordinator is not there yet")
        self.nodes["user-u0"].terminate()
        self.assertEqual(self.nodes["user-u0"].wait(LIMIT_S), 128 + signal.SIGTERM, self.log("user-u0"))
        for name in ("server-s0", "user-u0", "user-u1", "coordinator"):
            self.start(name)
        self.until_said("coordinator", "coordinator on ")
        self.begin_round()
        self.until_said("coordinator", "round 1 has ended: every user is done")
        self.nodes["user-u1"].terminate()
        self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 128 + signal.SIGTERM, self.log("user-u1"))
        self.assertNotIn("the coordinator is away", self.log("user-u1"))
        self.start("user-u1")
        # The second round waits for a user that stands still when its coordinator comes back with other settings.
        self.nodes["user-u0"].send_signal(signal.SIGSTOP)
        self.begin_round()
        self.until_said("coordinator", "2 users have a plan", times=2)
        self.until_said("coordinator", "verification finished", times=3)  # The other one's.
        self.nodes["coordinator"].terminate()
        self.assertEqual(self.nodes["coordinator"].wait(LIMIT_S), 128 + signal.SIGTERM, self.log("coordinator"))

        def change(node):
            node["training"] |= {"rank": 4, "learning_rate": 0.002, "epochs_joint": 1}
            node["coordinator_kit"]["policy"] |= {"on_request": False, "rounds_max": 3}

        self.node_file("coordinator", change)
        self.start("coordinator")
        self.nodes["user-u0"].send_signal(signal.SIGCONT)
        for name, node in self.nodes.items():
            self.assertEqual(node.wait(LIMIT_S), 0, self.log(name))
            if name != "coordinator":
                self.assertIn("the training settings have changed: training.rank: the fleet has 4, this node 8",
                              self.log(name))
        self.assertIn("their epochs are, too: plans count the work of users' profiles", self.log("coordinator"))
        rounds = self.room / "demo/coordinator/rounds"
        cut = {user["id"]: user for user in json.loads((rounds / "0002/round.json").read_text())["users"]}
        self.assertEqual(cut["u0"]["failure"], "the training settings were changed in the midst of the round")
        self.assertEqual([user["state"] for user in json.loads((rounds / "0003/round.json").read_text())["users"]],
                         ["done", "done"])
        for user in ("user-u0", "user-u1"):
            self.assertIn("the adapter of earlier rounds is of other settings: the next begins anew", self.log(user))
            for folder, rank in (("state/rounds/0001", 8), ("state/rounds/0003", 4), ("adapter", 4)):
                adapter = json.loads((self.room / "demo" / user / folder / "adapter_config.json").read_text())
                self.assertEqual(adapter["r"], rank, (user, folder))


    def over_files(self, folder):
        """`dashf report` over what a coordinator has recorded."""
        return subprocess.run([DASHF, "report", str(folder)], capture_output=True, text=True, timeout=LIMIT_S)

    def test_a_new_fleet_on_the_folders_of_another_goes_on_from_its_best_adapters(self):
        self.fleet(rounds=2)
        for name in NODES:
            self.start(name)
        self.adapters("0001", "0002")
        coordinator = self.room / "demo/coordinator"
        for old in coordinator.glob("fleet.sqlite*"):
            old.unlink()
        shutil.move(coordinator / "rounds", coordinator / "rounds-before")
        for name in NODES:
            self.start(name)
        self.adapters("0001", "0002")
        for user in ("user-u0", "user-u1"):
            self.assertIn("the rounds of another fleet are kept in ", self.log(user))
            aside = list((self.room / "demo" / user / "state").glob("rounds-of-*"))
            self.assertEqual([sorted(each.name for each in folder.iterdir()) for folder in aside], [["0001", "0002"]])

    def test_a_coordinator_restored_from_an_old_copy_catches_up_and_leaves_records_as_they_are(self):
        self.fleet(rounds=1)
        for name in NODES:
            self.start(name)
        self.adapters("0001")
        coordinator, copy = self.room / "demo/coordinator", self.room / "copy.sqlite"
        shutil.copy(coordinator / "fleet.sqlite", copy)
        self.policy(rounds_max=3)
        for name in NODES:
            self.start(name)
        self.adapters("0001", "0002", "0003")
        for journal in coordinator.glob("fleet.sqlite-*"):
            journal.unlink()
        shutil.copy(copy, coordinator / "fleet.sqlite")
        self.policy(rounds_max=4, grace_s=0.5)
        # Of a scenario that has other names: what was recorded stays.
        record, *lost = ((coordinator / f"rounds/{number}/round.json").read_text() for number in ("0001", "0002", "0003"))
        for name in NODES:
            self.start(name)
        self.adapters("0001", "0003", "0004")
        self.assertEqual((coordinator / "rounds/0001/round.json").read_text(), record)
        aside = [(coordinator / f"rounds/{number}-of-lost-log-1/round.json").read_text() for number in ("0002", "0003")]
        self.assertEqual(aside, lost)
        second = json.loads((coordinator / "rounds/0002/round.json").read_text())
        for user in second["users"]:
            self.assertIn("was at round 3 already: the coordinator's log has lost its end", user["failure"])

    def policy(self, **changed):
        self.node_file("coordinator", lambda node: node["coordinator_kit"]["policy"].update(changed))

    def begin_round(self):
        subprocess.run([DASHF, "ctl", "start", "--config", str(self.room / "demo/operator-ada")], check=True,
                       capture_output=True, timeout=LIMIT_S)

    def test_a_node_that_comes_after_the_end_is_told_and_ends(self):
        self.fleet(rounds=1)
        self.kit("add", "operator", "ada", "--fleet", "demo")
        self.policy(gather_s=0.5)
        self.node_file("coordinator", lambda node: node["coordinator_kit"].update(farewell_s=LIMIT_S))
        for name in ("coordinator", "server-s0", "user-u0"):
            self.start(name)
        for name in ("server-s0", "user-u0"):
            self.assertEqual(self.nodes[name].wait(LIMIT_S), 0, self.log(name))
            self.assertIn(": the fleet has ended", self.log(name))
            self.assertNotIn("is away", self.log(name))
        self.until_said("coordinator", "the fleet is over; not here yet, and may come for ")
        followed = subprocess.run([DASHF, "ctl", "logs", "--follow", "--config", str(self.room / "demo/operator-ada")],
                                  capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual((followed.returncode, followed.stderr), (0, "the fleet has ended\n"))
        self.assertIn(" round_ended ", followed.stdout)
        # It has gone, and is started again for those who have not heard.
        self.nodes["coordinator"].terminate()
        self.assertEqual(self.nodes["coordinator"].wait(LIMIT_S), 8, self.log("coordinator"))  # As if all had heard.
        for name in ("user-u1", "coordinator"):
            self.start(name)
        self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 0, self.log("user-u1"))
        self.assertIn("user/u1 session: the fleet has ended: never seen", self.log("user-u1"))
        self.assertRegex(self.log("coordinator"), r"(?m) coordinator process: coordinator on .*: the fleet is over$")

    def test_what_cannot_work_is_named_at_the_start(self):
        self.fleet(rounds=1)
        path = self.room / "demo/coordinator/node.json"

        def refused(code, said):
            done = subprocess.run([DASHF, "coordinator", "--config", str(path)], capture_output=True, text=True,
                                  timeout=LIMIT_S)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(said, done.stderr)
            self.assertNotIn(".cc:", done.stderr)  # Nor what a library says of it.

        for key, most in (("users_min", 2), ("servers_min", 1)):
            self.policy(**{key: most + 1})
            refused(3, f"coordinator_kit.policy.{key}: must be at most {most}, the ")
            self.policy(**{key: most})
        address = json.loads(path.read_text())["coordinator_kit"]["listen"]
        host, port = address.rsplit(":", 1)
        with socket.create_server((host, int(port))):
            refused(10, f"{address}: cannot listen there: Address already in use")
            self.node_file("coordinator", lambda node: node.update(model="/nowhere"))
            refused(10, "the base model is not here (/nowhere): that of the first node that comes ")
        self.policy(lease_s=3)
        refused(3, "coordinator_kit.policy.lease_s: must be ")
        self.policy(lease_s=15)
        # A log that was cut to nothing is no new fleet's.
        (self.room / "demo/coordinator/rounds/0001").mkdir(parents=True)
        for lose in (lambda log: log.write_bytes(b""), lambda log: log.unlink()):
            lose(self.room / "demo/coordinator/fleet.sqlite")
            refused(3, "the rounds of a fleet that had one: put its log back")

    def test_a_node_writes_over_nothing_and_waits_for_no_pipe(self):
        self.fleet(rounds=1)
        folder, mine = self.room / "demo/user-u0", self.room / "mine"
        mine.mkdir()
        (mine / "thesis.txt").write_text("my only copy")
        whole = json.loads((folder / "node.json").read_text())

        def refused(said, **user):
            self.node_file("user-u0", lambda node: node.update(user={**whole["user"], **user}))
            self.start("user-u0")
            self.assertEqual(self.exit_code("user-u0"), 3, self.log("user-u0"))
            self.assertIn(said, self.log("user-u0"))

        for key in ("adapter_folder", "state_folder"):
            refused(f"user.{key}: must be a folder of its own: {folder}/ is folder", **{key: "."})
        refused(f"{mine}: is no adapter's folder: holds thesis.txt", adapter_folder=str(mine))
        refused(f"{mine}: is no user's state: holds thesis.txt", state_folder=str(mine))
        os.mkfifo(self.room / "pipe")
        refused(f"{self.room}/pipe: must be a file, is a pipe", train=str(self.room / "pipe"))
        self.assertEqual((mine / "thesis.txt").read_text(), "my only copy")
        self.assertTrue((folder / "node.key").exists())

    def test_a_user_says_which_server_it_cannot_reach(self):
        self.fleet(rounds=1)
        self.node_file("server-s0", lambda node: node["server"].update(advertise=["127.0.0.1:9"]))
        for name in NODES:
            self.start(name)
        self.until_said("user-u0", "user/u0 transfer: warning: round 1: upload waits for server/s0 at 127.0.0.1:9: ")

    def test_a_signal_ends_a_start_that_stands_still(self):
        self.fleet(rounds=1)
        for name in ("user-u0", "server-s0"):
            key = self.room / "demo" / name / "node.key"
            key.unlink()
            os.mkfifo(key)  # As a disk that does not answer.
            self.start(name)
            self.until_reads(name)
            self.nodes[name].terminate()
            self.assertEqual(self.exit_code(name), 128 + signal.SIGTERM, self.log(name))

    def until_reads(self, name):
        """Until it stands at the pipe: its signals are blocked by then."""
        status = pathlib.Path(f"/proc/{self.nodes[name].pid}/status")
        until = time.monotonic() + LIMIT_S
        stops = sum(1 << each - 1 for each in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM))
        while int(re.search(r"SigBlk:\s(\w+)", status.read_text()).group(1), 16) & stops != stops:
            self.assertLess(time.monotonic(), until, status.read_text())
            time.sleep(0.02)


class InTheMidstOfTraining(Processes):
    training = "epochs_user = 20\nepochs_server = 2\nepochs_joint = 1\nbatch_size = 1\n"
    USER_STEPS, SERVER_STEPS = 120, 12

    def resumed_at(self, name, user=None):
        return [told["step"] for told in self.events(name, "phase_resumed") if user in (None, told["user"])]

    def test_killed_at_a_step_it_goes_on_from_the_one_before_to_the_same_adapters(self):
        self.fleet(rounds=1)
        for name in NODES:
            self.setting(name, threads=1)
            self.start(name)
        undisturbed = self.adapters("0001")
        self.assertFalse(self.resumed_at("user-u0") + self.resumed_at("server-s0"))
        shutil.rmtree(self.room / "demo")
        self.nodes.clear()
        self.fleet(rounds=1)
        for name in NODES:  # u1 keeps its state when it is told to stop, and not before.
            self.setting(name, threads=1, checkpoint_interval_s=1e6 if name == "user-u1" else 0)
        self.start("coordinator")
        self.start("server-s0", "server/s0:server_step_7")
        self.start("user-u0", "user/u0:local_step_50")
        self.start("user-u1", "user/u1:local_step_10:term")
        self.assertEqual(self.exit_code("user-u1"), 128 + signal.SIGTERM, self.log("user-u1"))
        self.start("user-u1")
        self.killed_and_started_again("user-u0", "user/u0:local_step_51")  # The step that was lost, and one more.
        self.killed_and_started_again("user-u0")
        self.killed_and_started_again("server-s0", "server/s0:server_step_12")  # The last of layers k+1..L.
        self.killed_and_started_again("server-s0", "server/s0:joint_step_3")  # Of all layers.
        self.killed_and_started_again("server-s0")
        self.assertEqual(self.adapters("0001"), undisturbed)
        self.assertEqual(self.resumed_at("user-u0"), [49, 50])
        told_to_stop = self.resumed_at("user-u1")
        self.assertEqual(len(told_to_stop), 1)
        self.assertTrue(0 < told_to_stop[0] < self.USER_STEPS, told_to_stop)
        for steps in (self.resumed_at("server-s0", user) for user in ("u0", "u1")):
            self.assertTrue(all(0 < step < self.SERVER_STEPS for step in steps), steps)
        self.assertIn("joint", [told["phase"] for told in self.events("server-s0", "phase_resumed")])
        self.assertFalse(list((self.room / "demo").glob("**/*checkpoint")))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
