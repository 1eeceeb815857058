"""The command line from outside: exit codes, messages that name place, rule and value, and nothing
half-written. Usage: cli_test.py DASHF_BINARY [unittest options]"""
import copy
import json
import pathlib
import subprocess
import tempfile

from command_line import BINARY, Case, VERBS, dashf, main


class ScenarioFiles(Case):
    """Every bad scenario is refused by `solve` with the place, the rule and the value."""

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "s.json"
            done = dashf("new", "--users", 4, "--servers", 2, "--seed", 3, "--out", path)
            assert done.returncode == 0, done.stderr
            cls.good = json.loads(path.read_text())

    def refused(self, text, code, *words):
        path = self.folder / "scenario.json"
        path.write_text(text)
        out = self.folder / "plan.json"
        self.assert_fails(dashf("solve", path, "--method", "greedy", "--out", out), code, *words)
        self.assertFalse(out.exists())

    def changed(self, change):
        scenario = copy.deepcopy(self.good)
        change(scenario)
        return json.dumps(scenario)

    def test_unknown_key(self):
        self.refused(self.changed(lambda s: s["users"][1].update(colour="red")), 3,
                     "scenario.json", "users[1].colour", "unknown key")

    def test_not_a_number(self):
        self.refused(self.changed(lambda s: s["users"][0].update(tx_power_w_max=float("nan"))), 3,
                     "scenario.json")

    def test_negative_bandwidth(self):
        self.refused(self.changed(lambda s: s["servers"][1].update(bandwidth_hz=-2e7)), 3,
                     "servers[1].bandwidth_hz", "> 0", "-2")

    def test_duplicate_id(self):
        self.refused(self.changed(lambda s: s["users"][2].update(id=s["users"][0]["id"])), 3,
                     "users[2]", self.good["users"][0]["id"])

    def test_user_without_reachable_server(self):
        def cut_off(scenario):
            scenario["gain"]["dense"][3] = [0.0] * len(scenario["servers"])
        self.refused(self.changed(cut_off), 4, self.good["users"][3]["id"])

    def test_too_few_slots(self):
        def tighten(scenario):
            for server in scenario["servers"]:
                server["slots"] = 1
        self.refused(self.changed(tighten), 4, "slot")

    def test_memory_limit_that_forbids_every_split(self):
        def starve(scenario):
            scenario["users"][2]["memory_bytes_max"] = 1.0
            for table in scenario["profiles"].values():
                table["local_memory_bytes"] = [m + 2.0 for m in table["local_memory_bytes"]]
        self.refused(self.changed(starve), 4, self.good["users"][2]["id"], "memory")

    def test_wrong_schema(self):
        self.refused(self.changed(lambda s: s.update(schema="dashf.scenario/9")), 3, "schema",
                     "dashf.scenario/9")

    def test_truncated_file(self):
        self.refused(json.dumps(self.good)[:-20], 3, "scenario.json")

    def test_missing_file(self):
        self.assert_fails(dashf("solve", self.folder / "none.json", "--out", self.folder / "p.json"),
                          10, "none.json")


class Plans(Case):
    def setUp(self):
        super().setUp()
        self.scenario = self.folder / "s.json"
        self.plan = self.folder / "p.json"
        done = dashf("new", "--users", 5, "--servers", 2, "--seed", 1, "--out", self.scenario)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_dashf_plans_evaluate_to_what_the_plan_file_says(self):
        self.assertEqual(dashf("solve", self.scenario, "--out", self.plan).returncode, 0)
        done = dashf("evaluate", self.scenario, self.plan, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        verdict, plan = json.loads(done.stdout), json.loads(self.plan.read_text())
        self.assertTrue(verdict["feasible"])
        for key in ("scr", "score", "cost", "delay_s", "energy_j"):
            self.assertEqual(verdict[key], plan[key])

    def test_same_seed_same_plan(self):
        plans = []
        for name in ("a.json", "b.json"):
            out = self.folder / name
            self.assertEqual(dashf("solve", self.scenario, "--seed", 5, "--out", out).returncode, 0)
            plans.append(json.loads(out.read_text())["assignments"])
        self.assertEqual(*plans)

    def test_plan_that_breaks_a_limit_is_infeasible(self):
        dashf("solve", self.scenario, "--method", "greedy", "--out", self.plan)
        plan = json.loads(self.plan.read_text())
        plan["assignments"][0]["bandwidth_hz"] *= 50
        self.plan.write_text(json.dumps(plan))
        done = dashf("evaluate", self.scenario, self.plan, "--json")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertFalse(json.loads(done.stdout)["feasible"])
        self.assertTrue(json.loads(done.stdout)["violations"])

    def test_plan_of_another_scenario_is_refused(self):
        dashf("solve", self.scenario, "--method", "greedy", "--out", self.plan)
        other = self.folder / "other.json"
        dashf("new", "--users", 5, "--servers", 2, "--seed", 2, "--out", other)
        self.assert_fails(dashf("evaluate", other, self.plan), 3, "scenario_sha256")

    def with_bound(self, change=lambda plan: None):
        """A plan with a coarse but true bound: nothing is priced, so it is some way above."""
        dashf("solve", self.scenario, "--method", "greedy", "--out", self.plan)
        plan = json.loads(self.plan.read_text())
        box = {"user_phase_s": [0, None], "server_phase_s": [0, None],
               "prices": {key: [0.0, 0.0] for key in
                          ("bandwidth_per_hz", "power_per_w", "clock_per_hz", "slot")},
               "user_phase_weight_per_s": [], "server_phase_weight_per_s": []}
        plan["bound"] = {"scr_upper": 100 * plan["scr"], "gap": 0.0,
                         "certificate": {"boxes": [box]}}
        change(plan)
        self.plan.write_text(json.dumps(plan))
        return dashf("verify", self.scenario, self.plan, "--json")

    def test_verify_proves_a_true_bound_and_computes_its_gap_anew(self):
        done = self.with_bound()
        self.assertEqual(done.returncode, 0, done.stderr)
        verdict = json.loads(done.stdout)
        self.assertTrue(verdict["proven"])
        self.assertAlmostEqual(verdict["gap"], 0.99)
        self.assertEqual(len(verdict["boxes"]), 1)

    def test_verify_refuses_what_is_false_or_malformed(self):
        def bound(plan):
            return plan["bound"]

        def box(plan):
            return plan["bound"]["certificate"]["boxes"][0]
        for change, words in (
                (lambda p: bound(p).update(scr_upper=p["scr"] / 2), ("boxes[0]", "scr_upper")),
                (lambda p: bound(p).update(scr_upper=0), ("bound.scr_upper", "> 0")),
                (lambda p: bound(p)["certificate"].update(boxes=[]), ("boxes", "empty")),
                (lambda p: box(p)["prices"]["power_per_w"].__setitem__(1, -1.0), ("power_per_w[1]",)),
                (lambda p: box(p)["prices"]["clock_per_hz"].pop(), ("clock_per_hz", "2 entries")),
                (lambda p: box(p).update(user_phase_s=[1, None]), ("cover",)),
                (lambda p: p.update(bound=None), ("states no bound",)),
                (lambda p: p.update(scenario_sha256="0" * 64), ("scenario_sha256",))):
            self.assert_fails(self.with_bound(change), 3, "p.json", *words)

    def test_verify_of_a_plan_that_breaks_a_limit_is_infeasible(self):
        done = self.with_bound(lambda p: p["assignments"][0].update(tx_power_w=1e3))
        self.assert_fails(done, 4, "tx_power_w exceeds")

    def test_bound_proves_how_far_any_methods_plan_is_from_the_best(self):
        dashf("solve", self.scenario, "--method", "greedy", "--out", self.plan)
        certified = self.folder / "certified.json"
        done = dashf("bound", self.scenario, self.plan, "--out", certified, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        bound = json.loads(done.stdout)
        best = json.loads(dashf("solve", self.scenario, "--out", self.plan, "--json").stdout)
        self.assertGreaterEqual(bound["scr_upper"], best["scr"])
        self.assertLess(bound["scr_upper"], best["scr"] * 1.01)
        self.assertEqual(dashf("verify", self.scenario, certified).returncode, 0)
        self.assertEqual(json.loads(certified.read_text())["method"], "greedy")

    def test_bound_keeps_the_plans_own_bound_where_that_is_lower(self):
        dashf("solve", self.scenario, "--certify", "--out", self.plan)
        stated = json.loads(self.plan.read_text())["bound"]["scr_upper"]
        certified = self.folder / "certified.json"
        for gap in (0.0, 0.5):
            done = dashf("bound", self.scenario, self.plan, "--gap-target", gap, "--out", certified,
                         "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertLessEqual(json.loads(done.stdout)["scr_upper"], stated)
            self.assertEqual(dashf("verify", self.scenario, certified).returncode, 0)
        self.with_bound(lambda plan: plan["bound"].update(scr_upper=plan["scr"] / 2))
        done = dashf("bound", self.scenario, self.plan, "--out", certified)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is left out", done.stderr)

    def test_no_time_is_exit_5_and_never_a_wrong_or_a_lost_plan(self):
        out = self.folder / "out.json"
        for solve in (["solve", self.scenario, "--certify"], ["bound", self.scenario, self.plan]):
            self.with_bound()
            done = dashf(*solve, "--time-limit-s", 1e-9, "--out", out)
            self.assertEqual(done.returncode, 5, done.stderr)
            written = json.loads(out.read_text())
            self.assertIsNone(written["bound"])
            self.assertGreater(written["scr"], 0)
        self.with_bound()
        done = dashf("verify", self.scenario, self.plan, "--time-limit-s", 1e-9)
        self.assert_fails(done, 5, "neither proven nor refused")
        done = dashf("verify", self.scenario, self.plan, "--time-limit-s", 1000)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_goes_on_from_a_standing_plan_without_needless_handovers(self):
        dashf("solve", self.scenario, "--method", "prices", "--out", self.plan)
        after = self.folder / "next.json"
        done = dashf("solve", self.scenario, "--from", self.plan, "--out", after, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["from"]["users_new"], 0)
        self.assertEqual(result["from"]["handovers"], 0)
        self.assertEqual(result["primal"], "feasible_point")
        stranger = json.loads(self.plan.read_text())
        for row in stranger["assignments"]:
            row["user"] = "x" + row["user"]
        self.plan.write_text(json.dumps(stranger))
        done = dashf("solve", self.scenario, "--from", self.plan, "--out", after)
        self.assert_fails(done, 3, "none in common")

    def test_compare_prints_every_method_once(self):
        done = dashf("compare", self.scenario, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["method"]: row for row in json.loads(done.stdout)["rows"]}
        for method in ("dashf", "random", "greedy", "association-only", "resource-only",
                       "all-local", "all-server", "exhaustive"):
            self.assertIn(method, rows)
        self.assertLessEqual(rows["dashf"]["scr"], rows["exhaustive"]["scr"] * (1 + 1e-6))

    def test_compare_finds_the_same_plans_however_many_methods_are_planned_at_once(self):
        def plans(jobs):
            done = dashf("compare", self.scenario, "--json", "--jobs", jobs)
            self.assertEqual(done.returncode, 0, done.stderr)
            return [{key: value for key, value in row.items() if key != "elapsed_s"}
                    for row in json.loads(done.stdout)["rows"]]

        self.assertEqual(plans(1), plans(3))

    def test_explain_names_limits_and_every_users_next_best_choice(self):
        self.assertEqual(dashf("solve", self.scenario, "--out", self.plan).returncode, 0)
        done = dashf("explain", self.scenario, self.plan, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        said = json.loads(done.stdout)
        self.assertLess(abs(said["unused_scr"]), 1e-6)  # Step B has run.
        self.assertEqual(len(said["users"]), len(json.loads(self.scenario.read_text())["users"]))
        for user in said["users"]:
            self.assertNotEqual(user["other_server"]["server"], user["server"])
        self.assert_fails(dashf("explain", self.scenario, self.plan, "--user", "nobody"), 2, "nobody")

    def test_full_disk_leaves_nothing(self):
        done = dashf("solve", self.scenario, "--method", "greedy", "--out", "/dev/full/plan.json")
        self.assert_fails(done, 10, "/dev/full")

    def test_unknown_method_is_a_usage_error_that_lists_the_methods(self):
        self.assert_fails(dashf("solve", self.scenario, "--method", "magic", "--out", self.plan), 2,
                          "magic", "dashf", "greedy")


class Usage(Case):
    def test_no_verb(self):
        self.assertEqual(dashf().returncode, 2)

    def test_unknown_flag(self):
        self.assertEqual(dashf("new", "--colour", "red").returncode, 2)

    def test_what_stdout_does_not_take_is_not_lost_without_a_word(self):
        scenario = self.folder / "s.json"
        dashf("new", "--users", "3", "--out", scenario)
        with open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([BINARY, "check", scenario, "--json"], stdout=full,
                                  stderr=subprocess.PIPE, text=True, check=False)
        self.assertEqual(done.returncode, 10, done.stderr)
        self.assertIn("stdout", done.stderr)

    def test_an_unknown_verb_is_answered_with_the_nearest_one_in_a_line(self):
        done = dashf("slove")
        self.assertEqual(done.returncode, 2)
        self.assertEqual(done.stderr, 'dashf: there is no verb "slove", did you mean "solve"?; '
                                      '"dashf --help" lists them\n')
        self.assertNotIn("mean", dashf("xyzzyxyzzy").stderr)

    def test_a_mistyped_flag_is_answered_with_the_nearest_one(self):
        done = dashf("new", "--uot", self.folder / "s.json")
        self.assertEqual(done.returncode, 2)
        self.assertIn('there is no flag "--uot", did you mean "--out"?', done.stderr)

    def test_a_number_that_is_none_is_a_usage_error(self):
        scenario, out = self.folder / "s.json", self.folder / "out"
        dashf("new", "--users", "3", "--out", scenario)
        for verb, flags in ((("solve", scenario, "--from", "none", "--out", out),
                             ("--handover-penalty", "--time-limit-s", "--gap-target")),
                            (("compare", scenario), ("--time-limit-s",)),
                            (("sweep", "--out", out), ("--time-limit-s", "--bandwidth-hz", "--area-side-m")),
                            (("bound", scenario, "none", "--out", out), ("--time-limit-s", "--gap-target")),
                            (("bench", "planner"), ("--time-limit-s", "--gap-target")),
                            (("new", "--out", out), ("--user-tx-power-w", "--server-tx-power-w"))):
            for flag in flags:
                for value in ("nan", "inf", "-inf", "-1"):
                    done = dashf(*verb, f"{flag}={value}")
                    self.assertEqual(done.returncode, 2, f"{verb[0]} {flag} {value}: {done.stderr}")
                    self.assertRegex(done.stderr, f"{flag}: must be a .*, got {value}")
        said = dashf("solve", scenario, "--out", out, "--time-limit-s", "inf").stderr
        self.assertIn("without the flag there is no limit", said)

    def test_a_wrong_word_is_answered_without_the_whole_help(self):
        done = dashf("new", "--out", self.folder / "s.json", "--colour", "red")
        self.assertIn("--colour", done.stderr)
        self.assertIn('"dashf new --help"', done.stderr)
        self.assertLess(len(done.stderr.splitlines()), 4)

    def test_messages_that_cannot_be_written_cost_no_work(self):
        scenario, plan = self.folder / "s.json", self.folder / "p.json"
        for number, stderr in enumerate(("2>/dev/full", "2>&-", "<&- 2>&-")):
            for verb, out in ((f"new --users 3 --servers 1 --out {scenario}", scenario),
                              (f"solve {scenario} --method greedy --out {plan}", plan)):
                done = subprocess.run(f"{BINARY} {verb} {stderr}", shell=True, stdout=subprocess.DEVNULL, timeout=60,
                                      check=False)
                self.assertEqual(done.returncode, 0, f"{number} {verb}")
                self.assertTrue(json.loads(out.read_text()))
                if out == plan:
                    out.unlink()
            done = subprocess.run(f"{BINARY} solve {self.folder}/none.json --out {plan} {stderr}", shell=True, timeout=60,
                                  check=False)
            self.assertEqual(done.returncode, 10)

    def test_results_that_cannot_be_written_are_a_failure(self):
        scenario = self.folder / "s.json"
        self.assertEqual(dashf("new", "--users", 200, "--servers", 2, "--out", scenario).returncode, 0)
        plan = self.folder / "p.json"
        self.assertEqual(dashf("solve", scenario, "--method", "greedy", "--out", plan).returncode, 0)
        for stdout in (">/dev/full", ">&-"):  # Of more than a buffer, and of less.
            for verb in (f"evaluate {scenario} {plan} --json", f"evaluate {scenario} {plan}"):
                done = subprocess.run(f"{BINARY} {verb} {stdout}", shell=True, stderr=subprocess.PIPE, text=True, timeout=60,
                                      check=False)
                self.assertEqual(done.returncode, 10, f"{verb} {stdout}: {done.stderr}")
                self.assertIn("stdout", done.stderr)

    def test_every_verb_has_help_with_examples(self):
        self.assertIn("solve", VERBS)
        for verb in VERBS:
            done = dashf(verb, "--help")
            self.assertEqual(done.returncode, 0, verb)
            self.assertIn("xample", done.stdout, verb)


if __name__ == "__main__":
    main()
