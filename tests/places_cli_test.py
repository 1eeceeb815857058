"""Places, channels and gains from outside, what `check` says of a scenario, and where results may go.
Usage: places_cli_test.py DASHF_BINARY [unittest options]"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/dashf"

SITES = "id;name;lat;lon;slots\nnorth; North St ;-37.81;+144.96;9\nsouth;;-37.82;144.96;9\n"
USERS = "latitude,longitude\n-37.811,144.961\n-37.812,144.962\n-37.819,144.963\n"


def dashf(*args, **options):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=300,
                          check=False, **options)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.out = self.folder / "out.json"

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def succeeds(self, *args, **options):
        done = dashf(*args, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fails(self, code, word, *args):
        done = dashf(*args)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(word, done.stderr)


class Places(Case):
    def setUp(self):
        super().setUp()
        self.sites = self.write("sites.csv", SITES)
        self.users = self.write("users.csv", USERS)

    def test_ids_and_names_go_from_the_file_into_tables(self):
        self.succeeds("new", "--sites", self.sites, "--users", self.users, "--out", self.out)
        plan = self.folder / "plan.json"
        self.succeeds("solve", self.out, "--method", "greedy", "--out", plan)
        table = self.succeeds("evaluate", self.out, plan).stdout
        self.assertIn("north (North St)", table)
        self.assertIn("south", table)

    def test_eua_is_the_same_reader(self):
        self.succeeds("new", "--sites", self.sites, "--users", self.users, "--out", self.out)
        other = self.folder / "other.json"
        self.succeeds("new", "--eua", self.sites, self.users, "--out", other)
        self.assertEqual(self.out.read_text(), other.read_text())

    def test_errors_name_the_place_and_leave_nothing(self):
        self.write("users.csv", USERS + "-37.8,200\n")
        self.fails(3, "users.csv:5:7: must be in [-180, 180]", "new", "--sites", self.sites,
                   "--users", self.users, "--out", self.out)
        self.assertFalse(self.out.exists())
        self.fails(2, "beside --sites", "new", "--users", self.users, "--out", self.out)

    def test_channels_by_name_and_their_range(self):
        gains = []
        for channel in ("3gpp-36.814", "3gpp-38.901-uma", "3gpp-38.901-umi", "free-space"):
            self.succeeds("new", "--sites", self.sites, "--users", self.users, "--channel", channel,
                          "--no-fading", "--out", self.out)
            gains.append(json.loads(self.out.read_text())["gain"]["dense"][0][0])
        self.assertEqual(len(set(gains)), 4)
        self.assertEqual(max(gains), gains[3])
        self.fails(2, "carrier_hz: TR 38.901 holds", "new", "--channel", "3gpp-38.901-uma",
                   "--carrier-hz", "3.5", "--out", self.out)

    def test_the_study_fades_and_tr_38901_shadows_unless_told_otherwise(self):
        def new(*options):
            self.succeeds("new", "--users", 3, "--out", self.out, *options)
            return json.loads(self.out.read_text())["gain"]

        self.assertEqual(new(), new("--fading"))
        self.assertNotEqual(new(), new("--no-fading"))
        uma = ("--channel", "3gpp-38.901-uma")
        self.assertEqual(new(*uma), new(*uma, "--shadowing", "--no-fading"))
        self.assertNotEqual(new(*uma), new(*uma, "--no-shadowing"))
        self.assertNotEqual(new(*uma), new(*uma, "--fading"))

    def test_gains_from_a_file(self):
        gains = self.write("g.csv", "-80,-90\n-85,-inf\n-70,-95\n")
        self.succeeds("new", "--users", 3, "--servers", 2, "--gains", gains, "--gains-db", "--out",
                      self.out)
        dense = json.loads(self.out.read_text())["gain"]["dense"]
        self.assertAlmostEqual(dense[0][1], 1e-9)
        self.assertEqual(dense[1][1], 0)
        self.fails(3, "must be 4 users x 2 servers", "new", "--users", 4, "--servers", 2, "--gains",
                   gains, "--gains-db", "--out", self.out)
        self.fails(3, "g.csv:1:1: must be a power gain", "new", "--users", 3, "--servers", 2,
                   "--gains", gains, "--out", self.out)

    def test_a_plan_of_decisions_alone_is_evaluated_and_bounded(self):
        self.succeeds("new", "--sites", self.sites, "--users", self.users, "--out", self.out)
        plan = self.folder / "plan.json"
        self.succeeds("solve", self.out, "--method", "greedy", "--out", plan)
        whole = json.loads(plan.read_text())
        for row in whole["assignments"]:
            for key in ("delay_s", "energy_j", "score"):
                del row[key]
        least = self.write("least.json", json.dumps(
            {"schema": "dashf.plan/1", "assignments": whole["assignments"]}))
        said = json.loads(self.succeeds("evaluate", self.out, least, "--json").stdout)
        self.assertEqual(said["scr"], whole["scr"])
        bounded = self.folder / "bounded.json"
        self.succeeds("bound", self.out, least, "--out", bounded)
        self.succeeds("verify", self.out, bounded)


class Check(Case):
    def test_units_are_doubted_in_words_json_and_exit_codes(self):
        self.succeeds("new", "--out", self.out)
        self.assertIn("nothing looks wrong", self.succeeds("check", self.out, "--strict").stdout)
        scenario = json.loads(self.out.read_text())
        for user in scenario["users"]:
            user["tx_power_w_max"] = 23
        scenario["servers"][1]["bandwidth_hz"] = 20
        wrong = self.write("wrong.json", json.dumps(scenario))
        said = json.loads(self.succeeds("check", wrong, "--json").stdout)
        self.assertTrue(said["feasible"])
        self.assertEqual([(w["kind"], w["count"], w["where"]) for w in said["warnings"]],
                         [("power_like_dbm", 10, "users[0].tx_power_w_max"),
                          ("bandwidth_like_mhz", 1, "servers[1].bandwidth_hz")])
        self.assertEqual(dashf("check", wrong, "--strict").returncode, 3)
        for server in scenario["servers"]:
            server["slots"] = 0
        self.assertEqual(dashf("check", self.write("none.json", json.dumps(scenario))).returncode, 4)


class Out(Case):
    def test_standard_output_and_pipes_are_written_into(self):
        self.succeeds("new", "--out", self.out)
        text = self.out.read_text()
        self.assertEqual(self.succeeds("new", "--out", "/dev/stdout").stdout, text)
        pipe = self.folder / "pipe"
        os.mkfifo(pipe)
        got = []
        reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
        reader.start()
        self.succeeds("new", "--out", pipe)
        reader.join()
        self.assertEqual(got, [text])
        self.assertTrue(pipe.is_fifo())
        self.succeeds("new", "--out", "/dev/null")

    def test_links_are_followed_and_inputs_kept(self):
        self.succeeds("new", "--out", self.out)
        text = self.out.read_text()
        link = self.folder / "link.json"
        link.symlink_to(self.out)
        self.fails(2, "must be another file than", "solve", self.out, "--method", "greedy", "--out",
                   link)
        self.assertEqual(self.out.read_text(), text)
        self.succeeds("new", "--seed", 2, "--out", link)
        self.assertTrue(link.is_symlink())
        self.assertNotEqual(self.out.read_text(), text)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
