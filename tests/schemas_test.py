#!/usr/bin/env python3
"""schemas_test.py DASHF TOKENIZER_MODEL: the JSON Schemas of docs/schemas take what the command line writes, refuse
what its readers refuse, and name the keys that docs/formats.md names. Skipped (77) without Python's jsonschema."""
import copy
import functools
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import unittest

try:
    import jsonschema
except ImportError:
    DEBIANS = "/usr/bin/python3"  # Where python3-jsonschema is, if another Python is first in PATH.
    has_it = subprocess.run([DEBIANS, "-c", "import jsonschema"], capture_output=True, check=False).returncode == 0
    if has_it and pathlib.Path(sys.executable).resolve() != pathlib.Path(DEBIANS).resolve():
        os.execv(DEBIANS, [DEBIANS, *sys.argv])
    print("skipped: Python has no jsonschema (Debian: python3-jsonschema)")
    sys.exit(77)

import own_cache
from tiny_model import CONFIG, SMALL_RUN, write_model, write_records

ROOT = pathlib.Path(__file__).resolve().parent.parent
DASHF, TOKENIZER = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
BAD_INPUT = 3
# Where docs/formats.md says what a schema says.
SECTIONS = {"scenario-1": "dashf.scenario/1", "plan-1": "dashf.plan/1", "profile-1": "dashf.profile/1",
            "node-3": "dashf.node/3", "fleet-1": "dashf.fleet/1", "operator-1": "dashf.operator/1", "ctl-1": "dashf.ctl/1",
            "round-1": "dashf.round/1",
            "comparison": "comparison.json", "evaluation": "`dashf evaluate --json`", "training": "`dashf train --json`",
            "verification": "dashf.plan/1", "study-1": "A study's folder", "sweep-1": "A parameter study's folder",
            "rounds-2": "The folder of a study over rounds",
            "losses-1": "The losses of a study over rounds"}


@functools.cache
def schema(name):
    return json.loads((ROOT / f"docs/schemas/{name}.schema.json").read_text())


@functools.cache
def validator(name):
    jsonschema.Draft202012Validator.check_schema(schema(name))
    return jsonschema.Draft202012Validator(schema(name))


def dashf(*args, code=0):
    done = subprocess.run([DASHF, *map(str, args)], capture_output=True, text=True, timeout=300, check=False)
    if code is not None and done.returncode != code:
        raise AssertionError(f"{args} ended with {done.returncode}: {done.stderr}")
    return done


def properties_of(part):
    """Every key that a schema names, in it and below."""
    if isinstance(part, dict):
        found = set(part["properties"]) if isinstance(part.get("properties"), dict) else set()
        return found.union(*map(properties_of, part.values()))
    return set().union(*map(properties_of, part)) if isinstance(part, list) else set()


def places(value, path=(), seen=None):
    """Paths to one object or number of each kind."""
    seen = set() if seen is None else seen
    kind = (tuple(key for key in path if isinstance(key, str)),
            tuple(sorted(value)) if isinstance(value, dict) else type(value).__name__)
    if kind not in seen:
        seen.add(kind)
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in items:
        yield from places(below, (*path, key), seen)


def wrong_kinds(value):
    if isinstance(value, bool):
        return [3]
    if isinstance(value, (int, float)):
        return [-1000000000, "many"]
    return {str: [7, "no such word"], list: [{}], dict: [[]]}.get(type(value), [])


def mutations(document, free=()):
    """(what was done, document): a key left out, a key added, a value of another kind or below every range. Left as
    they are: what stands below the keys in `free`, and values that `free` names."""
    for path in places(document):
        if set(path[:-1]) & set(free):
            continue
        changed = copy.deepcopy(document)
        parent = functools.reduce(lambda part, key: part[key], path[:-1], changed)
        value = functools.reduce(lambda part, key: part[key], path, changed)
        if path and path[-1] not in free:
            for wrong in wrong_kinds(value):
                parent[path[-1]] = wrong
                yield f"{path} is {wrong!r}", copy.deepcopy(changed)
            parent[path[-1]] = value
        if isinstance(value, dict):
            for key in list(value) if not path or path[-1] not in free else []:
                kept = value.pop(key)
                yield f"{path} without {key}", copy.deepcopy(changed)
                value[key] = kept
            value["bandwidth_mhz"] = 20
            if not path or path[-1] not in free:
                yield f"{path} with bandwidth_mhz", copy.deepcopy(changed)


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.room = pathlib.Path(folder.name)
        for name, options in {"sum": ("--users", 10), "makespan": ("--users", 3, "--delay", "makespan"),
                              "sparse": ("--users", 6, "--servers", 9, "--candidates", 2, "--compute-energy", "per-flop"),
                              "boxes": ("--users", 30, "--servers", 3, "--delay", "makespan"),
                              "slots": ("--users", 20, "--family", "slots-exact")}.items():
            dashf("new", *options, "--seed", 1, "--out", cls.room / f"{name}.json")
            if name != "sparse":
                dashf("solve", cls.room / f"{name}.json", "--certify", "--gap-target", 0.05 if name == "boxes" else 1e-4,
                      "--out", cls.room / f"{name}-plan.json")

    def read(self, name):
        return json.loads((self.room / name).read_text())

    def assert_valid(self, name, document):
        errors = [f"{list(error.path)}: {error.message[:300]}" for error in validator(name).iter_errors(document)]
        self.assertEqual(errors[:5], [], name)

    def assert_agree(self, name, document, is_read, free=(), only_readers=()):
        """The schema takes a mutation if and only if the reader does; what neither schema can say is `only_readers`."""
        self.assert_valid(name, document)
        self.assertTrue(is_read(document), name)
        refused, differ = 0, []
        for what, mutated in mutations(document, free):
            by_schema = not validator(name).is_valid(mutated)
            refused += by_schema
            left_to_reader = not by_schema and any(words in what for words in only_readers)
            if by_schema == is_read(mutated) and not left_to_reader:
                differ.append(f"{what}: refused by {'schema' if by_schema else 'reader'} alone")
        self.assertGreater(refused, 10)
        self.assertEqual(differ, [], "\n".join(differ))

    def reader(self, *command, at):
        """Whether the command line takes a document for the file `at`."""
        def is_read(document):
            (self.room / at).write_text(json.dumps(document))
            return dashf(*command, code=None).returncode != BAD_INPUT
        return is_read

    def test_take_every_scenario_and_refuse_what_the_reader_refuses(self):
        self.assert_valid("scenario-1", self.read("slots.json"))
        for name in ("sum", "sparse"):
            document = self.read(f"{name}.json")
            document["users"][0]["name"] = "Ana"
            # Users go by the names of profiles.
            self.assert_agree("scenario-1", document, self.reader("check", self.room / "mutated.json", at="mutated.json"),
                              free=("profiles", "schema"), only_readers=("'profile') is 'no such",))
        broken = self.read("sum.json")
        broken["profiles"]["p0" if "p0" in broken["profiles"] else next(iter(broken["profiles"]))]["upload_bit"][1] = "much"
        self.assertFalse(validator("scenario-1").is_valid(broken))

    def test_take_every_plan_and_refuse_what_the_reader_refuses(self):
        for name in ("sum", "makespan", "slots", "boxes"):
            document = self.read(f"{name}-plan.json")
            self.assert_valid("plan-1", document)
            box = document["bound"]["certificate"]["boxes"][0]
            self.assertTrue(name != "makespan" or "branches" in box)
            if name in ("slots", "boxes"):
                continue
            command = ("evaluate", self.room / f"{name}.json", self.room / "mutated.json")
            self.assert_agree("plan-1", document, self.reader(*command, at="mutated.json"), free=("schema",),
                              only_readers=("'user') is 'no", "'server') is 'no"))
        self.assertTrue(any("cases" in self.read(f"{name}-plan.json")["bound"]["certificate"]["boxes"][0]
                            for name in ("sum", "slots")))
        bare = {"schema": "dashf.plan/1", "assignments": [
            {key: one[key] for key in ("user", "server", "local_layers", "local_clock_hz", "tx_power_w", "bandwidth_hz",
                                       "server_tx_power_w", "server_clock_hz")}
            for one in self.read("sum-plan.json")["assignments"]]}
        self.assert_valid("plan-1", bare)
        (self.room / "bare.json").write_text(json.dumps(bare))
        dashf("evaluate", self.room / "sum.json", self.room / "bare.json")

    def test_take_what_the_planner_prints(self):
        scenario, plan = self.room / "sum.json", self.room / "sum-plan.json"
        self.assert_valid("evaluation", json.loads(dashf("evaluate", scenario, plan, "--json").stdout))
        self.assert_valid("verification", json.loads(dashf("verify", scenario, plan, "--json").stdout))
        broken = self.read("sum-plan.json")
        broken["assignments"][0]["bandwidth_hz"] = 0
        (self.room / "broken.json").write_text(json.dumps(broken))
        told = json.loads(dashf("evaluate", scenario, self.room / "broken.json", "--json", code=4).stdout)
        self.assert_valid("evaluation", told)
        self.assertIsNone(told["delay_s"])
        comparison = json.loads(dashf("compare", scenario, "--methods", "greedy,all-local", "--json").stdout)
        self.assert_valid("comparison", comparison)
        del comparison["rows"][0]["scr"]
        self.assertFalse(validator("comparison").is_valid(comparison))

    def test_take_each_line_of_a_parameter_study(self):
        dashf("sweep", "--vary", "users=3,4", "--seeds", "1", "--methods", "greedy,all-local", "--out", self.room / "sweep",
              code=7)
        lines = [json.loads(line) for line in (self.room / "sweep/results.jsonl").read_text().splitlines()]
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assert_valid("sweep-1", line)
            for what, mutated in mutations(line, free=("settings", "note", "method")):
                if "without" in what or "with bandwidth" in what:
                    self.assertFalse(validator("sweep-1").is_valid(mutated), what)

    def test_take_each_line_of_a_study_over_rounds(self):
        dashf("study", "rounds", "--users", "3", "--servers", "1", "--rounds", "6", "--seeds", "1", "--fail", "0.5",
              "--repair", "0.5", "--policies", "afresh,never", "--gaps", "--out", self.room / "rounds")
        lines = [json.loads(line) for line in (self.room / "rounds/results.jsonl").read_text().splitlines()]
        self.assertEqual(len(lines), 3)
        self.assertEqual({round["users_planned"] > 0 for round in lines[1]["rounds"]}, {True, False})
        for line in [*lines, {"seed": 1, "policy": "never", "failure": "round 2: no plan"}]:
            self.assert_valid("rounds-2", line)
            for what, mutated in mutations(line, free=("settings", "policy", "failure")):
                if ("without" in what and "gap" not in what) or "with bandwidth" in what:
                    self.assertFalse(validator("rounds-2").is_valid(mutated), what)

    def test_are_of_the_keys_that_the_page_names(self):
        page = (ROOT / "docs/formats.md").read_text()
        sections = dict(zip(re.findall(r"(?m)^## (.*)$", page), re.split(r"(?m)^## .*$", page)[1:]))
        whole = page + (ROOT / "configs/README.md").read_text() + (ROOT / "docs/fleet.md").read_text()
        names = sorted(path.name.removesuffix(".schema.json") for path in (ROOT / "docs/schemas").glob("*.json"))
        self.assertEqual(names, sorted(SECTIONS))
        for name, title in SECTIONS.items():
            keys = properties_of(schema(name))
            elsewhere = {"schema"} | {key for key in keys if name == "node-3" or key.endswith(("_before", "_after"))}
            for key in keys:
                text = whole if key in elsewhere or title not in sections else sections[title]
                word = re.sub("_(before|after)$", "", key)
                self.assertTrue(re.search(rf"\b{re.escape(word)}\b", text), f"docs/formats.md, {title}: {key} of {name}")
            for row in re.findall(r"(?m)^\| (`[^|]*) \|", sections[title]):
                for key in re.findall(r"[`.\]]([a-z][a-z0-9_]*)", row.split("|")[0]):
                    self.assertIn(key, set().union(*(properties_of(schema(n)) for n, t in SECTIONS.items() if t == title)),
                                  f"docs/formats.md, {title}: {row}")


@unittest.skipUnless(" profile " in dashf("--help").stdout, "this build trains nothing")
class EngineSchemas(Schemas):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.room = pathlib.Path(folder.name)
        cls.model, cls.data = cls.room / "model", cls.room / "data.json"
        write_model(cls.model, TOKENIZER, CONFIG | {"eos_token_id": 2})
        write_records(cls.data, 16, 1, answer_words=60)
        (cls.room / "run.toml").write_text(SMALL_RUN)
        dashf("profile", "--model", cls.model, "--data", cls.data, "--out", cls.room / "profile.json", "--epochs", 1)

    # Those of the planner's class are not asked twice.
    test_take_every_scenario_and_refuse_what_the_reader_refuses = None
    test_take_every_plan_and_refuse_what_the_reader_refuses = None
    test_take_what_the_planner_prints = None
    test_take_each_line_of_a_parameter_study = None
    test_take_each_line_of_a_study_over_rounds = None
    test_are_of_the_keys_that_the_page_names = None

    def test_take_a_profile_and_refuse_what_the_reader_refuses(self):
        command = ("new", "--users", 2, "--profile", self.room / "mutated.json", "--out", self.room / "made.json")
        self.assert_agree("profile-1", self.read("profile.json"), self.reader(*command, at="mutated.json"))

    def test_take_what_a_training_prints(self):
        for number, options in enumerate(((), ("--held-out", "0.2", "--memory-limit", "1GB"))):
            done = dashf("train", "--model", self.model, "--data", self.data, "--out", self.room / f"a{number}", "--steps", 1,
                         "--json", *options)
            self.assert_valid("training", json.loads(done.stdout))

    @unittest.skipUnless(" run " in dashf("--help").stdout, "this build carries nothing out")
    def test_take_a_round_and_refuse_what_the_reader_refuses(self):
        run = self.room / "run"
        dashf("run", self.room / "run.toml", "--model", self.model, "--data", self.data, "--out", run)
        self.assert_valid("scenario-1", self.read("run/scenario.json"))
        self.assert_valid("plan-1", self.read("run/plan.json"))
        self.assert_valid("comparison", self.read("run/comparison.json"))
        for node in run.rglob("*.json"):
            if json.loads(node.read_text()).get("schema") == "dashf.node/3":
                self.assert_valid("node-3", json.loads(node.read_text()))
        record = self.read("run/round.json")
        self.assertIsNotNone(record["references"])
        self.assert_agree("round-1", record, self.reader("report", run, at="run/round.json"), free=("schema",),
                          only_readers=("'id') is 'no",))

    @unittest.skipUnless(re.search(r"(?m)^  split ", dashf("study", "--help").stdout), "this build has no studies of splits")
    def test_take_each_line_of_a_study(self):
        dashf("study", "split", self.room / "run.toml", "--model", self.model, "--data", self.data, "--out", self.room / "study",
              "--repetitions", 1, "--splits", 1, "--schedule", "plain", "--objectives", "early_exit")
        lines = [json.loads(line) for line in (self.room / "study/results.jsonl").read_text().splitlines()]
        self.assertGreater(len(lines), 1)
        for line in lines:
            self.assert_valid("study-1", line)
        for what, mutated in mutations(lines[1], free=("training", "data_sha256", "schema")):
            self.assertFalse(validator("study-1").is_valid(mutated), what)

    @unittest.skipUnless(re.search(r"(?m)^  losses ", dashf("study", "--help").stdout), "this build has no studies of losses")
    def test_take_each_line_of_losses_over_rounds(self):
        dashf("study", "rounds", "--users", 2, "--servers", 1, "--rounds", 2, "--seeds", 1, "--leave", 0, "--fail", 0,
              "--policies", "afresh,never", "--out", self.room / "losses")
        dashf("study", "losses", self.room / "losses", "--config", self.room / "run.toml", "--model", self.model, "--data",
              self.data, "--records-per-round", 1)
        lines = [json.loads(line) for line in (self.room / "losses/losses.jsonl").read_text().splitlines()]
        self.assertEqual(len(lines), 3)
        for line in lines:
            self.assert_valid("losses-1", line)
            for what, mutated in mutations(line, free=("settings", "policy", "sha256", "schema")):
                self.assertFalse(validator("losses-1").is_valid(mutated), what)

    @unittest.skipUnless(" kit " in dashf("--help").stdout, "this build has no fleets")
    def test_take_a_fleets_files(self):
        dashf("new", "--users", 1, "--servers", 1, "--profile", self.room / "profile.json", "--out", self.room / "s.json")
        fleet = self.room / "demo"
        dashf("kit", "init", "--name", "demo", "--address", "127.0.0.1:7440", "--profile", self.room / "profile.json",
              "--scenario", self.room / "s.json", "--model", self.model, "--config", self.room / "run.toml", "--out", fleet)
        dashf("kit", "add", "server", "s0", "--address", "127.0.0.1:7443", "--fleet", fleet)
        dashf("kit", "add", "user", "u0", "--fleet", fleet)
        dashf("kit", "add", "operator", "ada", "--fleet", fleet)
        # A file that is read, and one whose certificate is there to be read: no coordinator answers (exit 10).
        self.assert_agree("operator-1", self.read("demo/operator-ada/operator.json"), self.reader(
            "ctl", "status", "--config", fleet / "operator-ada", at="demo/operator-ada/operator.json"), free=("schema",))
        self.assert_agree("fleet-1", self.read("demo/fleet.json"), self.reader("kit", "list", "--fleet", fleet,
                                                                               at="demo/fleet.json"), free=("schema",))
        nodes = sorted(fleet.rglob("node.json"))
        self.assertEqual(len(nodes), 3)
        for node in nodes:
            document = json.loads(node.read_text())
            self.assert_valid("node-3", document)
            for what, mutated in mutations(document, free=("spool", "energy_j_per_flop", "user", "server")):
                # Those may be left out, and so may what says how large telemetry may be, but not in part.
                optional = ("revoked", "handover_penalty", "checkpoint_interval_s", "farewell_s", "learn",
                            "without telemetry_limits")
                if "without" in what and not what.endswith(optional):
                    self.assertFalse(validator("node-3").is_valid(mutated), f"{node}: {what}")

    @unittest.skipUnless(" ctl " in dashf("--help").stdout, "this build has no fleets")
    def test_take_what_an_operator_is_told(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % taken.getsockname()[1]
        dashf("new", "--users", 2, "--servers", 1, "--profile", self.room / "profile.json", "--out", self.room / "two.json")
        fleet = self.room / "told"
        dashf("kit", "init", "--name", "told", "--address", address, "--listen", address, "--profile",
              self.room / "profile.json", "--scenario", self.room / "two.json", "--model", self.model, "--out", fleet)
        dashf("kit", "add", "operator", "ada", "--fleet", fleet)
        path = fleet / "coordinator/node.json"
        node = json.loads(path.read_text())
        node["coordinator_kit"]["policy"]["on_request"] = True
        path.write_text(json.dumps(node))
        coordinator = subprocess.Popen([DASHF, "coordinator", "--config", path], stderr=subprocess.PIPE, text=True)
        self.addCleanup(coordinator.stderr.close)
        self.addCleanup(coordinator.wait)
        self.addCleanup(coordinator.kill)
        while "coordinator on" not in coordinator.stderr.readline():
            self.assertIsNone(coordinator.poll())

        def told(*words):
            document = json.loads(dashf("ctl", *words, "--json", "--config", fleet / "operator-ada").stdout)
            self.assert_valid("ctl-1", document)
            return document

        told("status")
        told("start")
        told("exclude", "user/u1", "--reason", "smokes")
        told("drain", "server/s0")
        documents = {words: told(*words) for words in (("status",), ("nodes",), ("rounds",))}
        self.assertEqual(documents["rounds",]["rounds"][0]["state"], "gathering")
        told("stop", "--now")
        for words, document in {**documents, ("rounds", 1): self.of_an_ended_round()}.items():
            self.assert_valid("ctl-1", document)
            self.assertGreater(len([*mutations(document)]), 3)
            for what, mutated in mutations(document, free=("schema", "fleet", "process", "version", "reason", "said")):
                if "without" in what or "with bandwidth" in what:
                    self.assertFalse(validator("ctl-1").is_valid(mutated), f"{words}: {what}")

    @staticmethod
    def of_an_ended_round():
        return {"schema": "dashf.ctl/1", "fleet": "told", "round": 1, "users": [
            {"user": "u0", "state": "done", "reason": None, "server": "s0", "phase": None, "attempt": 1,
             "predicted_s": 1.5, "measured_s": 2, "measured_at_planned_s": None}]}


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
