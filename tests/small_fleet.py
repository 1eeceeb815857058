"""A fleet of one server and two users as a test's ground: data, profile and scenario are made once per class, the
folders by `dashf kit`, a room of its own for each test."""
import hashlib
import json
import os
import pathlib
import random
import signal
import socket
import subprocess
import tempfile
import time
import unittest

NODES = {"coordinator": "coordinator", "server-s0": "server", "user-u0": "user", "user-u1": "user"}  # And their verbs.
LIMIT_S = 400


def free_address():
    """Below the ports that connections get as their own end, so that nobody takes it meanwhile."""
    for port in random.SystemRandom().sample(range(10000, 32000), 100):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return f"127.0.0.1:{port}"
    raise OSError("no free port")


class SmallFleet(unittest.TestCase):
    dashf = model = maker = ""  # Set by the test program; `maker` measures the profile.
    training = "epochs_user = 1\nepochs_server = 1\n"
    farewell_s = 0.0

    @classmethod
    def setUpClass(cls):
        room = tempfile.TemporaryDirectory()
        cls.addClassCleanup(room.cleanup)
        cls.made = pathlib.Path(room.name)
        for user in ("u0", "u1"):
            folder = cls.made / "data" / user
            folder.mkdir(parents=True)
            for name, count in (("train", 6), ("test", 2)):
                records = [{"instruction": f"Name section {i}.", "input": "", "output": f"{user} likes libs"}
                           for i in range(count)]
                (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in records))
        for command in (["profile", "--model", cls.model, "--data", "data/u0/train.jsonl", "--out", "profile.json"],
                        ["new", "--users", "2", "--servers", "1", "--profile", "profile.json", "--out", "s.json"]):
            subprocess.run([cls.maker, *command], cwd=cls.made, check=True, capture_output=True, timeout=LIMIT_S)
        # Plans that counted on what these rounds took would split one run's otherwise than another's.
        (cls.made / "run.toml").write_text("[plan]\nlearn = false\n[training]\n" + cls.training)

    def setUp(self):
        room = tempfile.TemporaryDirectory()
        self.addCleanup(room.cleanup)
        self.room = pathlib.Path(room.name)

    def kit(self, *arguments, code=0):
        done = subprocess.run([self.dashf, "kit", *map(str, arguments)], cwd=self.room, capture_output=True, text=True,
                              timeout=LIMIT_S)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stdout if code == 0 else done.stderr

    def fleet(self, rounds, *addresses):
        """Coordinator, one server, two users; the scenario is the coordinator's. ADDRESSES are told before its own."""
        address = free_address()
        told = [word for each in (*addresses, address) for word in ("--address", each)]
        self.kit("init", "--name", "demo", "--rounds", rounds, *told, "--listen", address,
                 "--profile", self.made / "profile.json", "--scenario", self.made / "s.json", "--model", self.model,
                 "--config", self.made / "run.toml")
        node = self.room / "demo/coordinator/node.json"  # Whose end tests wait for.
        node.write_text(node.read_text().replace('"farewell_s": 3600.0', f'"farewell_s": {self.farewell_s}'))
        self.kit("add", "server", "s0", "--address", free_address(), "--fleet", "demo")
        for user in ("u0", "u1"):
            self.kit("add", "user", user, "--data", self.made / "data" / user, "--fleet", "demo")


class Processes(SmallFleet):
    """Its nodes where they were made, and how they end."""

    def setUp(self):
        super().setUp()
        self.nodes = {}

    def start(self, name, failpoint="", more={}, options=()):
        folder = self.room / "demo" / name
        log = open(f"{folder}.log", "a")
        self.addCleanup(log.close)
        environment = {**os.environ, **({"DASHF_FAILPOINT": failpoint} if failpoint else {}), **more}
        node = subprocess.Popen([self.dashf, NODES[name], "--config", str(folder / "node.json"), *options], cwd="/",
                                stderr=log, stdout=log, env=environment)
        self.addCleanup(node.wait)
        self.addCleanup(node.kill)
        self.nodes[name] = node

    def log(self, name):
        return (self.room / "demo" / f"{name}.log").read_text()

    def exit_code(self, name):
        try:
            return self.nodes[name].wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            told = lambda node: (self.room / "demo" / node / "telemetry.jsonl").read_text().splitlines()[-8:]
            self.fail(f"{name} goes on for ever\n" + "\n".join(
                "\n".join([node + ":", self.log(node), *told(node)]) for node in self.nodes))

    def killed_and_started_again(self, name, failpoint=""):
        self.assertEqual(self.exit_code(name), -signal.SIGKILL, self.log(name))
        self.start(name, failpoint)

    def until_said(self, name, text, times=1):
        until = time.monotonic() + LIMIT_S
        while self.log(name).count(text) < times:
            self.assertLess(time.monotonic(), until, self.log(name))
            time.sleep(0.05)

    def events(self, name, event):
        path = self.room / "demo" / name / "telemetry.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [told for told in map(json.loads, lines) if told["event"] == event]

    def adapters(self, *rounds):
        for name in self.nodes:
            self.assertEqual(self.exit_code(name), 0, self.log(name))
        coordinator = self.room / "demo/coordinator"
        for number in rounds:
            record = json.loads((coordinator / "rounds" / number / "round.json").read_text())
            self.assertEqual(record["round"], int(number))
            self.assertEqual([user["state"] for user in record["users"]], ["done", "done"])
        files = [self.room / "demo" / user / "state/rounds" / number / "adapter_model.safetensors"
                 for user in ("user-u0", "user-u1") for number in rounds]
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]  # Of which a difference is soon told.

    def setting(self, name, **settings):
        path = self.room / "demo" / name / "node.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
