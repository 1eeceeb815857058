"""Parameter studies."""
import json
import subprocess
import sys

import pytest

import dashf

pandas = pytest.importorskip("pandas")


def test_a_sweep_agrees_with_the_command_line(command_line, tmp_path):
    out = tmp_path / "out"
    done = subprocess.run([command_line, "sweep", "--vary", "users=4,6", "--vary", "bandwidth-hz=1e7,2e7", "--seeds",
                           "1..3", "--methods", "prices,greedy", "--out", out, "--json"], capture_output=True, text=True,
                          check=True)
    stated = json.loads(done.stdout)["rows"]
    frame = dashf.sweep({"users": [4, 6], "bandwidth_hz": [1e7, 2e7]}, seeds=range(1, 4), methods=["prices", "greedy"])
    assert len(frame) == 2 * 2 * 3 * 2 and not frame.isna().any().any()
    means = dashf.summarise(frame)
    assert len(means) == len(stated)
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()[1:]]
    scrs = {(tuple(line["point"]), line["seed"], row["method"]): row["scr"] for line in lines for row in line["methods"]} \
        if "point" in lines[0] and "methods" in lines[0] else None
    if scrs:
        for row in frame.itertuples():
            assert scrs[(row.users, row.bandwidth_hz), row.seed, row.method] == row.scr
    for mean, row in zip(means.itertuples(), stated):
        assert mean.method == row["method"]
        assert json.dumps(row).find(repr(mean.scr)) >= 0, (mean, row)


def test_what_a_scenario_has_may_be_varied_and_methods_may_be_ones_own():
    def at_home(scenario):
        return scenario.gain.argmax(axis=1), scenario.profiles[0].layers - 1

    heard = []
    frame = dashf.sweep({"score_gain": [0.5, 2.0], "server_clock_hz_max": [1e9]}, seeds=[1, 2], users=4,
                        methods={"home": at_home, "greedy": "greedy"}, jobs=2, on_done=lambda *done: heard.append(done))
    assert sorted(heard) == [(i, 4) for i in range(1, 5)]
    assert set(frame["method"]) == {"home", "greedy"} and frame["scr"].notna().any()
    greedy = frame[frame.method == "greedy"].groupby("score_gain").scr.mean()
    assert greedy[0.5] < greedy[2.0]


def test_a_scenario_that_cannot_be_is_every_methods_failure():
    frame = dashf.sweep({"server_slots": [1, 10]}, seeds=[1], methods=["greedy", "random"], users=4)
    failed = frame[frame.server_slots == 1]
    assert failed.scr.isna().all() and failed.note.str.contains("slots").all()
    means = dashf.summarise(frame)
    assert list(means.failed) == [1, 1, 0, 0] and means.scr_plus_minus.iloc[-1] == float("inf")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_ones_own_method_raises_is_its_note_and_leaves_the_others_rows(jobs):
    def picky(scenario):
        if scenario.users == 5:
            raise ValueError("five are too many")
        return scenario.gain.argmax(axis=1), 0

    with pytest.warns(RuntimeWarning, match=r"^picky raised ValueError: five are too many \(study_test.py, line") as heard:
        frame = dashf.sweep({"users": [4, 5]}, seeds=[1, 2], methods=["greedy", picky], jobs=jobs)
    assert len(heard) == 1 and len(frame) == 8
    failed = frame[frame.scr.isna()]
    assert set(failed.method) == {"picky"} and list(failed.users) == [5, 5]
    assert failed.note.str.startswith("picky: raised ValueError: five are too many").all()


def test_a_scenario_that_ones_own_function_cannot_make_is_every_methods_failure():
    def make(seed, users):
        return dashf.Scenario.study(users, seed=1 // (seed - 1))

    with pytest.warns(RuntimeWarning, match="make raised ZeroDivisionError"):
        frame = dashf.sweep({"users": [3, 0]}, seeds=[1, 2], methods=["greedy", "random"], make=make)
    made = frame[frame.scr.notna()]
    assert len(frame) == 8 and set(zip(made.users, made.seed)) == {(3, 2)} and len(made) == 2
    assert frame[(frame.users == 0) & (frame.seed == 2)].note.str.startswith("users: must be").all()


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_ends_a_study_and_what_it_is_at(jobs):
    code = f"""
import os, signal, threading, time, dashf
threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    dashf.sweep({{"users": [60] * 40}}, servers=6, delay="makespan", seeds=range(1, 9), methods=["dashf"], jobs={jobs})
except KeyboardInterrupt:
    print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "ended\n", done.stderr


@pytest.mark.parametrize(("vary", "more", "place"), [
    ({}, {}, "vary"), ({"user": [1]}, {}, "user"), ({"users": "1,2"}, {}, "vary['users']"), ({"users": [0]}, {}, "users"),
    ({"users": [3]}, {"users": 4}, "users"), ({"users": [3]}, {"methods": ["best"]}, "methods"),
    ({"users": [3]}, {"seeds": [-1]}, "seeds"),
])
def test_studies_that_cannot_be_are_refused(vary, more, place):
    with pytest.raises(dashf.UsageError) as caught:
        dashf.sweep(vary, **more)
    assert caught.value.where == place


def test_what_is_varied_may_be_none_or_a_list_and_keeps_its_rows():
    frame = dashf.sweep({"candidates": [None, 1]}, seeds=[1, 2], methods=["greedy"], users=4, servers=2, jobs=1)
    means = dashf.summarise(frame)
    assert len(means) == 2 and means.candidates.isna().sum() == 1
    for row, rows in zip(means.itertuples(), (frame[frame.candidates.isna()], frame[frame.candidates == 1])):
        assert len(rows) == 2 and row.scr == pytest.approx(rows.scr.mean())
    frame = dashf.sweep({"user_tx_power_w_max": [[0.1] * 4, [0.2] * 4]}, seeds=[1, 2], methods=["greedy"], users=4,
                        servers=2, jobs=1)
    assert dashf.summarise(frame).user_tx_power_w_max.to_list() == [[0.1] * 4, [0.2] * 4]


@pytest.mark.parametrize("jobs", [1, 2])
def test_methods_of_one_name_are_refused_or_named(study, jobs):
    def prices(scenario):
        return dashf.solve(scenario, "greedy")

    for methods in ["prices", prices], [lambda s: None, lambda s: None], ["greedy", "greedy"]:
        for call in (lambda: dashf.compare(study, methods, jobs=jobs),
                     lambda: dashf.sweep({"users": [4]}, seeds=[1], methods=methods, jobs=jobs)):
            with pytest.raises(dashf.UsageError, match="methods: must have different names: give a dict") as caught:
                call()
            assert caught.value.value.endswith(" twice")
    named = {"prices": "prices", "own": prices}
    found = dashf.compare(study, named, jobs=jobs)
    assert [row.method for row in found] == ["prices", "own"] and found["own"].scr < found["prices"].scr
    assert len(dashf.sweep({"users": [4]}, seeds=[1], methods=named, jobs=jobs)) == 2
