"""What ends a search from outside it: other calls, signals, the interpreter."""
import signal
import subprocess
import sys

import pytest

OTHERS_WORK = """
import threading, dashf
large = dashf.Scenario.study(60, 6, seed=3, delay="makespan")
begun, found = threading.Event(), []
def work():
    found.append(dashf.solve(large, gap_target=0.0, time_limit_s=4.0, threads=1, on_iteration=lambda row: begun.set()))
thread = threading.Thread(target=work)
thread.start()
begun.wait()
def own(scenario):
    raise ZeroDivisionError
try:
    dashf.compare(dashf.Scenario.study(5, 2), ["prices", own], jobs=2)
except ZeroDivisionError:
    thread.join()
    print(found[0].interrupted, found[0].elapsed_s > 3.0 or found[0].termination == "converged")
"""
AT_THE_END = """
import os, signal, sys, threading, time, dashf
large = dashf.Scenario.study(60, 6, seed=3, delay="makespan")
begun = threading.Event()
def work():
    while True:
        dashf.solve(large, gap_target=0.0, threads=2, on_iteration=lambda row: begun.set())
threading.Thread(target=work, daemon=True).start()
begun.wait()
print("ends")
"""
TWICE = """
import os, signal, sys, threading, time, dashf
begun = threading.Event()
def interrupt():
    begun.wait()
    for wait in 0.2, {gap}:
        time.sleep(wait)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
def make(seed, users):
    begun.set()
    return dashf.Scenario.study(users, 6, seed=seed, delay="makespan")
dashf.sweep({{"users": [60] * 10}}, seeds=range(1, 9), methods=["dashf"], jobs=2, make=make)
"""


def test_a_call_that_ends_early_leaves_other_threads_searches_alone():
    done = subprocess.run([sys.executable, "-c", OTHERS_WORK], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "False True\n"), done.stderr


def test_a_daemon_that_plans_ends_with_the_program():
    done = subprocess.run([sys.executable, "-c", AT_THE_END], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr


@pytest.mark.parametrize("gap", [0.0, 0.005, 0.03, 0.1])
def test_a_second_ctrl_c_ends_a_study_as_the_first_does(gap):
    done = subprocess.run([sys.executable, "-c", TWICE.format(gap=gap)], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == -signal.SIGINT and "KeyboardInterrupt" in done.stderr, done.stderr


def test_a_fork_amid_a_search_ends_on_its_own():
    code = """
import os, sys, threading, dashf
begun = threading.Event()
large = dashf.Scenario.study(60, 6, seed=3, delay="makespan")
thread = threading.Thread(target=lambda: dashf.solve(large, gap_target=0.0, time_limit_s=3.0,
                                                     on_iteration=lambda row: begun.set()))
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    sys.exit(0 if dashf.solve(dashf.Scenario.study(5, 2)).feasible else 1)
print(os.waitpid(child, 0)[1])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
