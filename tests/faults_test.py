#!/usr/bin/env python3
"""What docs/protocol.md says of faults, with real processes: at each of its failpoints a node is killed, told to stop or
suspended for longer than its lease; disks fill up, certificates end and are renewed in the middle of a round. Each time
the rounds end with the adapters of undisturbed ones, to the last bit.
Usage: faults_test.py DASHF MODEL PRELOADED [--all | TEST...]; without --all a failpoint or two of each role.
PRELOADED is the folder of libdashf_failing_disk.so and libdashf_set_clock.so: build/release/tests."""
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

import slow_line
import small_fleet
from small_fleet import LIMIT_S, NODES

DASHF, MODEL, PRELOADED = map(os.path.abspath, sys.argv[1:4])
ALL = "--all" in sys.argv
LEASE_S = 5  # Signs of life come every 3 s.
ROLES = {"user": ("user-u1", "user/u1"), "server": ("server-s0", "server/s0"), "coordinator": ("coordinator",) * 2}


def failpoints():
    """By role, as the page lists them; of the steps the second."""
    page = (pathlib.Path(__file__).resolve().parent.parent / "docs/protocol.md").read_text()
    rows = re.findall(r"^\| (user|server|coordinator) \| (.*) \|$", page.split("\n## Failpoints\n")[1], re.M)
    return {role: re.findall(r"`(\w+)`", row.replace("_N", "_2")) for role, row in rows}


class Faults(small_fleet.Processes):
    dashf, model, maker = DASHF, MODEL, DASHF
    training = "epochs_user = 1\nepochs_server = 1\nepochs_joint = 1\nbatch_size = 2\n"
    undisturbed = None

    def setUp(self):
        super().setUp()
        if Faults.undisturbed is None:
            self.ready(rounds=2)
            for name in NODES:
                self.start(name)
            Faults.undisturbed = self.adapters("0001", "0002")
            self.assertEqual(len(set(Faults.undisturbed)), 4)
            shutil.rmtree(self.room / "demo")
            self.nodes.clear()

    def ready(self, rounds):
        self.fleet(rounds)
        for name in NODES:
            self.setting(name, threads=1, checkpoint_interval_s=0)
        self.policy(lease_s=LEASE_S)

    def policy(self, **changed):
        kit = json.loads((self.room / "demo/coordinator/node.json").read_text())["coordinator_kit"]
        self.setting("coordinator", coordinator_kit={**kit, "policy": {**kit["policy"], **changed}})

    def ends_as_undisturbed(self, *rounds):
        each = [self.undisturbed[user * 2 + int(number) - 1] for user in (0, 1) for number in rounds]
        self.assertEqual(self.adapters(*rounds), each)

    def until(self, what, *said):
        until = time.monotonic() + LIMIT_S
        while not what():
            self.assertLess(time.monotonic(), until, *said)
            time.sleep(0.02)

    def until_suspended(self, name):
        node = self.nodes[name]
        stat = pathlib.Path(f"/proc/{node.pid}/stat")
        self.until(lambda: node.poll() is not None or stat.read_text().rpartition(")")[2].split()[0] == "T", name)
        self.assertIsNone(node.poll(), self.log(name))

    def goes_on(self, name):
        self.nodes[name].send_signal(signal.SIGCONT)

    def ends(self, name, code, *said):
        self.assertEqual(self.exit_code(name), code, self.log(name))
        for text in said:
            self.assertIn(text, self.log(name))

    # At failpoints.

    def kill(self, name):
        self.ends(name, -signal.SIGKILL)
        self.start(name)

    def term(self, name):
        self.ends(name, 128 + signal.SIGTERM)
        self.start(name)

    def stop(self, name):
        self.until_suspended(name)
        if name == "coordinator":
            time.sleep(LEASE_S + 1)
        else:
            self.until_said("coordinator", f"{name.replace('-', '/')} is away")
        self.goes_on(name)

    def at(self, *places):
        """Each a role, a place and what happens there, in the order in which they are come to."""
        self.ready(rounds=2)
        begun = {ROLES[role][0]: f"{ROLES[role][1]}:{place}" + ("" if how == "kill" else f":{how}")
                 for role, place, how in places}
        for name in NODES:
            self.start(name, begun.get(name, ""))
        for role, _, how in places:
            getattr(self, how)(ROLES[role][0])
        self.ends_as_undisturbed("0001", "0002")

    def test_each_role_is_disturbed_at_a_failpoint_of_its_own(self):
        self.at(("user", "upload_saved", "kill"), ("server", "finished", "term"), ("coordinator", "round_ended", "kill"))

    def test_suspended_for_longer_than_its_lease_a_node_is_away_and_welcome_back(self):
        self.at(("server", "registered", "stop"), ("user", "verify_done", "stop"))

    def test_a_coordinator_that_was_suspended_takes_nobody_for_away(self):
        self.at(("coordinator", "logged_local", "stop"))
        self.assertNotIn("is away", self.log("coordinator"))

    # Clocks.

    def test_nobody_is_late_for_a_coordinator_whose_clock_is_set(self):
        self.ready(rounds=2)
        self.policy(phase_slack_s=60.0, phase_factor=1.0)
        clock = self.room / "clock"
        self.start("coordinator", "coordinator:logged_local:stop",
                   {"LD_PRELOAD": f"{PRELOADED}/libdashf_set_clock.so", "DASHF_TEST_CLOCK_SET": str(clock)})
        for name in NODES:
            if name != "coordinator":
                self.start(name)
        self.until_suspended("coordinator")
        clock.write_text("7200")
        self.goes_on("coordinator")
        self.until(lambda: self.events("coordinator", "round_ended"), self.log("coordinator"))
        clock.write_text("-7200")
        self.ends_as_undisturbed("0001", "0002")
        self.assertNotIn("is away", self.log("coordinator"))
        first, second = ([event["time_s"] for event in self.events("coordinator", what)] for what in ("planned", "round_ended"))
        self.assertGreater(second[0] - first[0], 3600, "the clock was not set")
        self.assertLess(second[1] - second[0], -3600, "the clock was not set back")

    # Certificates.

    def lasting(self, name, seconds):
        """A certificate of the fleet's authority for the node's key that ends so soon; the one it had."""
        role, _, node = name.partition("-")
        folder, authority = self.room / "demo" / name, self.room / "demo/authority"
        before = (folder / "node.pem").read_bytes()
        (self.room / "index.txt").write_text("")
        (self.room / "serial").write_text("7e57")
        (self.room / "ca.cnf").write_text(
            "[ca]\ndefault_ca=one\n[one]\ndatabase=index.txt\nnew_certs_dir=.\nserial=serial\ndefault_md=sha256\n"
            f"policy=any\n[any]\ncommonName=supplied\n[node]\nsubjectAltName=DNS:{node}.{role}.dashf\n"
            "extendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=CA:FALSE\n")
        now = datetime.datetime.now(datetime.timezone.utc)
        begins, ends = ((now + datetime.timedelta(seconds=s)).strftime("%y%m%d%H%M%SZ") for s in (-60, seconds))
        for command in (["req", "-new", "-key", folder / "node.key", "-subj", f"/CN={role}\\/{node}", "-out", "csr"],
                        ["ca", "-batch", "-notext", "-config", "ca.cnf", "-in", "csr", "-cert", authority / "ca.pem",
                         "-keyfile", authority / "ca.key", "-startdate", begins, "-enddate", ends, "-extensions", "node",
                         "-out", folder / "node.pem"]):
            subprocess.run(["openssl", *command], cwd=self.room, check=True, capture_output=True, timeout=LIMIT_S)
        return before

    @unittest.skipUnless(shutil.which("openssl"), "no openssl here")
    def test_a_certificate_ends_in_the_middle_of_a_round_and_others_are_renewed(self):
        self.ready(rounds=1)
        self.start("coordinator")
        self.start("server-s0")
        self.start("user-u0")
        self.until(lambda: self.events("server-s0", "registered"), "server-s0")
        # What is renewed while the round waits for u1.
        self.kit("renew", "server/s0", "coordinator", "--fleet", "demo")
        for name in ("server-s0", "coordinator"):
            self.until_said(name, "node.pem: taken, valid until ")
        renewed = self.lasting("user-u1", 8)
        pem = self.room / "demo/user-u1/node.pem"
        self.start("user-u1", "user/u1:upload:stop")
        self.until_suspended("user-u1")
        self.until(lambda: subprocess.run(["openssl", "x509", "-checkend", "0", "-in", pem], capture_output=True).returncode)
        self.goes_on("user-u1")
        self.until_said("user-u1", "waiting for a certificate in the place of the one that has ended")
        self.assertIn("node.pem: ended on ", self.log("user-u1"))
        pem.write_bytes(renewed)
        self.until_said("user-u1", "node.pem: taken, valid until ")
        self.ends_as_undisturbed("0001")

    # Disks.

    def small_disk(self, name, folder):
        """A file system of 64 MB in the place of a node's folder, and what fills it."""
        at = self.room / "demo" / name / folder
        at.mkdir(exist_ok=True)
        shutil.copytree(at, self.room / "aside")
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,mode=0700", "tmpfs", at], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", at], check=True)
        shutil.copytree(self.room / "aside", at, dirs_exist_ok=True)
        return at / "filler"

    def fill(self, filler):
        try:
            with open(filler, "wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
        except OSError as full:
            self.assertEqual(full.errno, 28)

    def bad_disk(self, role, place, turn_bad, mend, cause, **surroundings):
        """From that place on the disk is bad: the process says so and ends; once it is mended, it goes on."""
        name, node = ROLES[role]
        for each in NODES:
            self.start(each, *((f"{node}:{place}:stop", surroundings) if each == name else ()))
        self.until_suspended(name)
        turn_bad()
        self.goes_on(name)
        self.ends(name, 10)
        self.assertRegex(self.log(name), f"process: error: .*{cause}")
        mend()
        self.start(name)
        self.ends_as_undisturbed("0001")

    def full_disk(self, role, folder, place):
        if not os.environ.get("DASHF_MOUNTS"):
            self.skipTest("no mount namespaces here")
        self.ready(rounds=1)
        filler = self.small_disk(ROLES[role][0], folder)
        self.bad_disk(role, place, lambda: self.fill(filler), filler.unlink, "(No space left|disk is full)")

    def test_the_users_disk_is_full_where_its_adapter_belongs(self):
        self.full_disk("user", "state", "verify")

    @unittest.skipUnless(ALL, "with --all")
    def test_the_users_disk_is_full_where_its_training_ends(self):
        self.full_disk("user", "state", "local_step_2")

    def test_the_servers_disk_is_full_where_a_training_ends(self):
        self.full_disk("server", "spool", "joint_step_2")

    def test_the_coordinators_disk_is_full(self):
        self.full_disk("coordinator", "", "logged_local")

    def test_a_server_without_room_for_an_upload_is_asked_again(self):
        if not os.environ.get("DASHF_MOUNTS"):
            self.skipTest("no mount namespaces here")
        self.ready(rounds=1)
        filler = self.small_disk("server-s0", "spool")
        for each in NODES:
            self.start(each, "user/u1:upload:stop" if each == "user-u1" else "")
        self.until_suspended("user-u1")
        self.fill(filler)
        self.goes_on("user-u1")
        self.until(lambda: self.events("user-u1", "transfer_waits"), self.log("user-u1"))
        filler.unlink()
        self.ends_as_undisturbed("0001")

    # Links.

    def over(self, rounds=("0001",), **line):
        """Every node meets the coordinator, and the users the server, over lines of that kind."""
        self.ready(len(rounds))
        server = json.loads((self.room / "demo/server-s0/node.json").read_text())["server"]
        ends = [json.loads((self.room / "demo/user-u0/node.json").read_text())["coordinator"][0], server["advertise"][0]]
        lines = [slow_line.Line(small_fleet.free_address(), end, **line) for end in ends]
        for each in lines:
            self.addCleanup(each.close)
        for name in NODES:
            if name != "coordinator":
                self.setting(name, coordinator=[lines[0].address])
        self.setting("server-s0", server={**server, "listen": ends[1], "advertise": [lines[1].address]})
        for name in NODES:
            self.start(name)
        self.ends_as_undisturbed(*rounds)
        return lines

    def test_links_that_are_slow_and_break(self):
        lines = self.over(delay_s=0.05, bit_per_s=4e6, bytes_between_resets=100_000)
        self.assertGreater(sum(line.resets for line in lines), 2)

    @unittest.skipUnless(ALL, "with --all")
    def test_links_of_100_kbit_per_s(self):
        self.over(("0001", "0002"), bit_per_s=1e5)

    @unittest.skipUnless(ALL, "with --all")
    def test_links_of_5_s(self):
        self.over(("0001", "0002"), delay_s=5)

    def test_a_server_that_comes_back_at_another_address_is_followed(self):
        self.ready(rounds=1)
        for name in NODES:
            self.start(name, "user/u1:upload:stop" if name == "user-u1" else "")
        self.until_suspended("user-u1")
        self.nodes["server-s0"].kill()
        self.ends("server-s0", -signal.SIGKILL)
        server = json.loads((self.room / "demo/server-s0/node.json").read_text())["server"]
        moved = small_fleet.free_address()
        self.setting("server-s0", server={**server, "listen": moved, "advertise": [moved]})
        self.goes_on("user-u1")
        self.until(lambda: self.events("user-u1", "transfer_waits"), self.log("user-u1"))
        self.start("server-s0")
        self.ends_as_undisturbed("0001")
        self.assertIn("server s0 is at another address", self.log("user-u1"))

    # Devices.

    def failing_disk(self, role, folder, place):
        self.ready(rounds=1)
        at, trigger = self.room / "demo" / ROLES[role][0] / folder, self.room / "fails"
        self.bad_disk(role, place, trigger.touch, trigger.unlink, "(Input/output|disk I/O) error",
                      LD_PRELOAD=f"{PRELOADED}/libdashf_failing_disk.so", DASHF_TEST_DISK=f"{at}/",
                      DASHF_TEST_DISK_FAILS=str(trigger))

    def test_the_users_device_fails(self):
        self.failing_disk("user", "state", "verify")

    def test_the_servers_device_fails(self):
        self.failing_disk("server", "spool", "joint_step_2")

    def test_the_coordinators_device_fails(self):
        self.failing_disk("coordinator", "", "logged_local")

    def test_who_may_not_write_its_folder_says_so_before_any_work(self):
        if not os.environ.get("DASHF_MOUNTS"):
            self.skipTest("no mount namespaces here")
        self.ready(rounds=1)
        for name, folder in (("user-u1", "state"), ("server-s0", "spool"), ("coordinator", "")):
            at = self.room / "demo" / name / folder
            at.mkdir(exist_ok=True)
            subprocess.run(["mount", "--bind", at, at], check=True)
            self.addCleanup(subprocess.run, ["umount", "--lazy", at], stderr=subprocess.DEVNULL)  # If it still is.
            subprocess.run(["mount", "-o", "remount,ro,bind", at], check=True)
            self.start(name)
            self.ends(name, 10, "ead-only file system")
            subprocess.run(["umount", at], check=True)
        for name in NODES:
            self.start(name)
        self.ends_as_undisturbed("0001")

    # One log.

    def test_a_second_coordinator_on_a_log_is_refused_and_told_the_firsts_process(self):
        self.ready(rounds=1)
        self.start("coordinator")
        self.until_said("coordinator", "waiting for 2 users")
        other = self.room / "other"
        shutil.copytree(self.room / "demo/coordinator", other)
        path = other / "node.json"
        node = json.loads(path.read_text())
        kit = node["coordinator_kit"]
        kit["log"] = str(self.room / "demo/coordinator" / kit["log"])
        kit["listen"] = small_fleet.free_address()
        path.write_text(json.dumps(node))
        second = subprocess.run([DASHF, "coordinator", "--config", str(path)], capture_output=True, text=True,
                                timeout=LIMIT_S)
        self.assertEqual(second.returncode, 10, second.stderr)
        self.assertIn(str(self.nodes["coordinator"].pid), second.stderr)
        for name in NODES:
            if name != "coordinator":
                self.start(name)
        self.ends_as_undisturbed("0001")


def every_failpoint():
    for role, places in failpoints().items():
        for place in places:
            for how in ("kill", "term", "stop"):
                def test(self, case=(role, place, how)):
                    self.at(case)
                setattr(Faults, f"test_at_{role}_{place}_{how}", test)


def with_mounts():
    """Goes on in a mount namespace, where a full disk can be made, if there can be one."""
    unshare = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    trial = [*unshare, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if "DASHF_MOUNTS" in os.environ or not shutil.which("unshare") or subprocess.run(trial, capture_output=True).returncode:
        return
    os.environ["DASHF_MOUNTS"] = "1"
    os.execvp("unshare", [*unshare, sys.executable, *sys.argv])


if __name__ == "__main__":
    with_mounts()
    if ALL:
        every_failpoint()
    unittest.main(argv=[sys.argv[0], "-v", *(word for word in sys.argv[4:] if word != "--all")])
