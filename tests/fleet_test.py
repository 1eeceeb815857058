#!/usr/bin/env python3
"""A fleet whose processes die and come back: two rounds by coordinator, server and users that are killed and started
again end with the adapters that undisturbed ones bring, to the last bit; and nodes that would do other work are turned
away. Usage: fleet_test.py DASHF MODEL"""
import json
import shutil
import signal
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

    def test_who_would_do_other_work_is_turned_away_and_a_second_coordinator_is_refused(self):
        self.fleet(rounds=1)
        node = self.room / "demo/user-u1/node.json"
        node.write_text(node.read_text().replace('"learning_rate": 0.003', '"learning_rate": 0.004'))
        self.start("coordinator")
        self.start("user-u1")
        self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 3)
        self.assertIn("training.learning_rate: the fleet has 0.003, this node 0.004", self.log("user-u1"))
        self.until_said("coordinator", "user/u1 is turned away")
        second = subprocess.run([DASHF, "coordinator", "--config", str(self.room / "demo/coordinator/node.json")],
                                capture_output=True, text=True, timeout=LIMIT_S)
        self.assertEqual(second.returncode, 10)
        self.assertIn(str(self.nodes["coordinator"].pid), second.stderr)


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
        self.start("user-u1")
        kept = self.room / "demo/user-u1/state/local.checkpoint"
        for life, pause_s in enumerate((0.3, 1, 3, 9)):  # Nobody knows how long first steps take on a busy machine.
            until = time.monotonic() + LIMIT_S
            while len(self.events("user-u1", "phase_started")) <= life:
                self.assertLess(time.monotonic(), until, self.log("user-u1"))
                time.sleep(0.02)
            time.sleep(pause_s)
            self.nodes["user-u1"].terminate()
            self.assertEqual(self.nodes["user-u1"].wait(LIMIT_S), 128 + signal.SIGTERM, self.log("user-u1"))
            was_kept = kept.exists()
            self.start("user-u1")
            if was_kept:
                break
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
