#!/usr/bin/env python3
"""The live page over a fleet of real processes, seen by Chromium where it is installed, by sockets and by `dashf watch`:
a round that runs, a server that is killed, a coordinator that is killed and started again, readers by the hundred.
Usage: live_test.py DASHF MODEL"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
import unittest
import urllib.error
import urllib.request

import browser
from pypi import python_with
from small_fleet import LIMIT_S, Processes, free_address

DASHF, MODEL = sys.argv[1:3]
PROMTOOL = shutil.which("promtool")  # Debian: prometheus.
ROOT = pathlib.Path(__file__).resolve().parent.parent
TOKEN = "0123456789abcdef0123456789abcdef"


def families(text):
    """Prometheus' text format, strictly: every sample belongs to a family that was announced before, once, and histograms
    are whole. Returns {name: (type, {sample: {labels: value}})}."""
    if not text.endswith("\n"):
        raise AssertionError("the last line does not end")
    known, now = {}, None
    name, label = r"[a-zA-Z_:][a-zA-Z0-9_:]*", r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"'
    for line in text.splitlines():
        if said := re.fullmatch(rf"# HELP ({name}) (.+)", line):
            now = said[1]
            if now in known:
                raise AssertionError(f"announced twice: {now}")
            known[now] = (None, {})
        elif said := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|histogram)", line):
            if said[1] != now or known[now][0]:
                raise AssertionError(f"a type out of place: {line}")
            known[now] = (said[2], {})
        elif said := re.fullmatch(rf"({name})(?:\{{({label}(?:,{label})*)\}})? (\S+)", line):
            kind, samples = known[now]
            suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
            if said[1] not in [now + suffix for suffix in suffixes]:
                raise AssertionError(f"not of {now}: {line}")
            of = samples.setdefault(said[1], {})
            if said[2] in of:
                raise AssertionError(f"twice: {line}")
            of[said[2]] = float(said[3])
            if kind == "counter" and (not now.endswith("_total") or of[said[2]] < 0):
                raise AssertionError(f"a counter is named _total and never below 0: {line}")
        else:
            raise AssertionError(f"no line of the format: {line!r}")
    for each, (kind, samples) in known.items():
        for labels, count in samples.get(each + "_count", {}).items():
            whole = ",".join(filter(None, [labels, 'le="+Inf"']))
            if samples[each + "_bucket"][whole] != count or labels not in samples[each + "_sum"]:
                raise AssertionError(f"{each}: buckets and count differ")
    return known


def open_metrics(text):
    """OpenMetrics' text format as strictly: units end names, counters' samples have _total, and it has an end. Returns
    {family: {sample: {labels: value}}}."""
    known, now, kind, name = {}, None, None, r"[a-z_]+"
    label = r'[a-z_]+="(?:[^"\\\n]|\\["\\n])*"'
    suffixes = {"counter": {"_total"}, "gauge": {""}, "info": {"_info"}, "histogram": {"_bucket", "_count", "_sum"}}
    *lines, last, nothing = text.split("\n")
    if (last, nothing) != ("# EOF", ""):
        raise AssertionError(f"it ends with {last!r}")
    for line in lines:
        if said := re.fullmatch(rf"# TYPE ({name}) (counter|gauge|info|histogram)", line):
            now, kind = said[1], said[2]
            if known.setdefault(now, {}) or now.endswith(("_total", "_info")):
                raise AssertionError(line)
        elif said := re.fullmatch(rf"# UNIT ({name}) ([a-z]+)", line):
            if said[1] != now or not now.endswith("_" + said[2]) or known[now]:
                raise AssertionError(line)
        elif said := re.fullmatch(rf"# HELP ({name}) (.+)", line):
            if said[1] != now or known[now]:
                raise AssertionError(line)
        else:
            said = re.fullmatch(rf"({now})({name}|)(?:\{{({label}(?:,{label})*)\}})? (\S+)", line)
            if not said or said[2] not in suffixes[kind]:
                raise AssertionError(f"not of {now}: {line!r}")
            samples = known[now].setdefault(now + said[2], {})
            if said[3] in samples or kind == "counter" and float(said[4]) < 0:
                raise AssertionError(line)
            samples[said[3]] = float(said[4])
            for bound in re.findall('(?:^|,)le="([^"]*)"', said[3] or ""):
                if bound != "+Inf" and str(float(bound)) != bound:
                    raise AssertionError(f"a bound in another form: {line}")
    return known


class Live(Processes):
    dashf, model, maker = DASHF, MODEL, DASHF

    def served(self, rounds, **live):
        self.fleet(rounds)
        path = self.room / "demo/coordinator/node.json"
        node = json.loads(path.read_text())
        self.address = free_address()
        node["coordinator_kit"]["live"] = {"listen": self.address, "address_file": "live-address", **live}
        node["coordinator_kit"]["policy"]["lease_s"] = 5.0
        path.write_text(json.dumps(node))
        self.folder = path.parent

    def get(self, path, **headers):
        request = urllib.request.Request(f"http://{self.address}{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def until_answered(self):
        until = time.monotonic() + LIMIT_S
        while True:
            try:
                if self.get("/api/fleet")[0] == 200:
                    return
            except OSError:
                pass
            self.assertLess(time.monotonic(), until, self.log("coordinator"))
            time.sleep(0.05)

    def watching(self, *more):
        watch = subprocess.Popen([DASHF, "watch", str(self.folder), *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True)
        self.addCleanup(watch.stderr.close)
        self.addCleanup(watch.stdout.close)
        self.addCleanup(watch.wait)
        self.addCleanup(watch.kill)
        return watch

    @unittest.skipUnless(browser.PROGRAM, "Chromium is not installed (Debian: chromium)")
    def test_a_browser_sees_a_round_a_killed_server_and_a_coordinator_that_comes_back(self):
        self.served(2)
        path = self.folder / "node.json"  # Time to look around between the rounds.
        path.write_text(path.read_text().replace('"interval_s": 0.0', '"interval_s": 3600.0'))
        self.start("coordinator")
        self.until_answered()
        eye = browser.Browser()
        self.addCleanup(eye.close)
        eye.go(f"http://{self.address}/")
        says = lambda text: eye.until(f"document.body?.innerText.includes({json.dumps(text)})", text)
        says("is gathering")
        self.assertEqual(eye.value("document.querySelectorAll('tbody tr').length"), 3)
        self.start("server-s0", "server/s0:finished")
        self.start("user-u0")
        self.start("user-u1")
        says("Round 1 of 2 is running")
        self.assertEqual(self.exit_code("server-s0"), -signal.SIGKILL, self.log("server-s0"))
        eye.until("[...document.querySelectorAll('tbody tr')].some(row => row.innerText.includes('s0') && "
                  "row.innerText.includes('away'))", "s0 is away")
        eye.until("document.querySelectorAll('.gantt rect.planned').length > 3", "phases as planned")
        self.nodes["coordinator"].kill()
        self.nodes["coordinator"].wait()
        says("the coordinator is away; trying again")
        with self.assertRaises(OSError):
            self.get("/metrics")
        self.start("coordinator")
        eye.until("document.getElementById('link').className === 'live'", "the page goes on")
        families(self.get("/metrics")[1])  # In the midst of its start.
        self.start("server-s0")
        says("Idle after round 1")
        eye.until("document.querySelectorAll('.gantt rect:not(.planned)').length > 3", "phases as measured")
        # By the keyboard: the third link is that to all rounds, and the first round is in its table.
        eye.value("document.body.focus()")
        eye.value("[...document.querySelectorAll('nav a')].find(a => a.pathname === '/rounds').focus()")
        eye.key("Enter", "Enter", 13)
        says("1 has ended")
        eye.value("document.querySelector('[data-key=\"round 1\"]').focus()")
        eye.key("Enter", "Enter", 13)
        says("the plan's report")
        self.assertEqual(eye.value("location.pathname"), "/rounds/1")
        eye.shape(390, 800, dark=True)
        eye.go(f"http://{self.address}/users/u0")
        eye.until("document.querySelector('h1') && document.querySelectorAll('tbody tr').length === 1", "u0's rounds")
        self.assertLessEqual(eye.value("document.documentElement.scrollWidth"), 390)
        self.assertEqual([error for error in eye.errors if "ERR_" not in error and "503" not in error], [])
        eye.process.kill()  # Nobody hears of that.
        self.nodes["coordinator"].terminate()
        self.assertEqual(self.exit_code("coordinator"), 128 + signal.SIGTERM)
        self.assertFalse((self.folder / "live-address").exists())

    def test_readers_without_the_token_and_by_the_hundred_change_nothing(self):
        (self.room / "token").write_text(TOKEN + "\n")
        self.served(1, token_file=str(self.room / "token"))
        self.start("coordinator")
        self.until_said("coordinator", "coordinator on")
        known = {"Authorization": f"Bearer {TOKEN}"}
        for path in ("/", "/api/fleet", "/metrics", "/events", "/page.js", "/?token=" + TOKEN[:-1] + "0"):
            self.assertEqual(self.get(path)[0], 401, path)
        self.assertEqual(self.get("/api/fleet", **known)[0], 200)
        for path in ("/../node.key", "/%2e%2e/node.key", "/rounds/..%2f..%2fnode.key", "//node.key"):
            self.assertEqual(self.get(path, **known)[0], 400, path)
        self.assertEqual(self.get("/node.key", **known), (404, '{"error":"there is no such page"}\n'))
        status, page = self.get("/node.key", Accept="text/html,*/*;q=0.8", **known)
        self.assertEqual(status, 404)
        self.assertIn("<p>there is no such page</p>", page)
        self.assertIn("<svg ", self.get("/favicon.ico", **known)[1])
        host, port = self.address.split(":")

        def say(request):
            with socket.create_connection((host, int(port)), timeout=LIMIT_S) as line:
                line.sendall(request.encode())
                return line.recv(4096).decode()

        for method in ("POST", "PUT", "DELETE"):
            self.assertIn(" 405 ", say(f"{method} /api/fleet HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"))
        ask = f"GET /events HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        readers = [socket.create_connection((host, int(port)), timeout=LIMIT_S) for _ in range(500)]
        for reader in readers:
            self.addCleanup(reader.close)
            reader.sendall(ask)
        for reader in readers:
            self.assertIn(b"text/event-stream", reader.recv(4096))
        watch = self.watching("--token-file", str(self.room / "token"))
        events = self.watching("--token-file", str(self.room / "token"), "--json")
        for name in ("server-s0", "user-u0", "user-u1"):  # With 500 readers, most of whom never read again.
            self.start(name)
        said, complaints = watch.communicate(timeout=LIMIT_S)
        self.assertEqual((watch.returncode, complaints), (0, ""))
        self.assertIn("round 1 of 1 running: ", said)
        self.assertIn(" phase_finished ", said)
        self.assertTrue(said.endswith("over\n"), said[-300:])
        lines = [json.loads(line) for line in events.communicate(timeout=LIMIT_S)[0].splitlines()]
        self.assertEqual(events.returncode, 0)
        self.assertEqual({line["event"] for line in lines} & {"fleet", "changed", "happened"}, {"fleet", "changed", "happened"})
        for reader in readers:
            reader.close()
        self.adapters("0001")

    def test_what_is_wrong_with_the_address_or_the_token_is_said(self):
        self.served(1)
        run = lambda *words: subprocess.run([DASHF, *map(str, words)], capture_output=True, text=True, timeout=LIMIT_S)
        done = run("watch", self.folder)
        self.assertEqual(done.returncode, 10)
        self.assertIn("no coordinator that has a live page runs in this folder", done.stderr)
        self.assertEqual(run("watch", "http://127.0.0.1:1/").returncode, 10)
        self.assertEqual(run("watch", "nonsense").returncode, 3)
        path = self.folder / "node.json"
        node = json.loads(path.read_text())
        node["coordinator_kit"]["live"] = {"listen": "0.0.0.0:0"}
        path.write_text(json.dumps(node))
        done = run("coordinator", "--config", path)
        self.assertEqual(done.returncode, 3)
        self.assertIn("coordinator_kit.live.token_file: is needed where `listen` is reached from other machines", done.stderr)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            node["coordinator_kit"]["live"] = {"listen": f"127.0.0.1:{taken.getsockname()[1]}"}
            path.write_text(json.dumps(node))
            done = run("coordinator", "--config", path)
        self.assertEqual(done.returncode, 10)
        self.assertIn("live page at 127.0.0.1", done.stderr)

    def test_a_terminal_of_any_size_shows_as_much_as_there_is_room_for(self):
        self.served(1)
        watches = {}
        for columns, lines in ((100, 30), (80, 24), (40, 8), (20, 4)):  # Begun before there is a coordinator.
            near, far = pty.openpty()
            fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
            watch = subprocess.Popen([DASHF, "watch", str(self.folder)], stdin=far, stdout=far, stderr=subprocess.DEVNULL)
            os.close(far)
            self.addCleanup(os.close, near)
            self.addCleanup(watch.wait)
            self.addCleanup(watch.kill)
            watches[columns, lines] = near
        self.start("coordinator")
        for (columns, lines), near in watches.items():
            shown, until = "", time.monotonic() + LIMIT_S
            while "\x1b[J" not in shown:  # The end of a screen.
                self.assertLess(time.monotonic(), until, shown)
                shown += os.read(near, 1 << 16).decode() if select.select([near], [], [], 1)[0] else ""
            rows = re.sub(r"\x1b\[[0-9;]*[A-Z]", "", shown.split("\x1b[J")[0]).rstrip("\r\n").splitlines()
            self.assertLessEqual(max(map(len, rows)), columns, rows)
            self.assertLess(len(rows), lines, rows)
            self.assertIn("gathering", rows[0] if columns > 30 else "gathering")
            if lines >= 24:
                self.assertEqual([row.split()[0] for row in rows if "never seen" in row], ["server/s0", "user/u0", "user/u1"])

    def test_every_metric_is_in_the_page_and_the_dashboard_asks_for_none_other(self):
        self.served(1)
        self.start("coordinator")
        self.until_answered()
        told = families(self.get("/metrics")[1])
        documented = set(re.findall(r"`((?:dashf|process)_[a-z_]+)(?:\{[a-z,]+\})?`", (ROOT / "docs/live.md").read_text()))
        self.assertEqual({name for name in told if name.startswith("dashf_")},
                         {name for name in documented if not name.endswith("process_")})
        asks = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"}
        text = self.get("/metrics", **asks)[1]
        again = open_metrics(text)
        values = lambda families: {name: sorted(map(str, labels)) for samples in families for name, labels in samples.items()
                                   if not name.startswith("dashf_live_answers") and not name.endswith("_bucket")}
        self.assertEqual(values(again.values()), values(samples for _, samples in told.values()))
        self.assertIn("# TYPE dashf_transferred_bytes counter\n# UNIT dashf_transferred_bytes bytes\n", text)
        with self.subTest("as prometheus_client reads it"):
            python = python_with(pathlib.Path(DASHF).parent.parent / "prometheus_client", "prometheus_client")
            if python is None:
                self.skipTest("PyPI's prometheus_client cannot be had")
            read = ("import json, sys\nfrom prometheus_client.openmetrics.parser import text_string_to_metric_families\n"
                    "print(json.dumps({each.name: [each.unit, len(each.samples)] for each in "
                    "text_string_to_metric_families(sys.stdin.read())}))")
            done = subprocess.run([str(python), "-c", read], input=text, capture_output=True, text=True, check=True)
            self.assertEqual({name: size for name, (_, size) in json.loads(done.stdout).items()},
                             {name: sum(map(len, samples.values())) for name, samples in again.items()})
        if PROMTOOL:
            done = subprocess.run([PROMTOOL, "check", "metrics"], input=self.get("/metrics")[1], capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        dashboard = json.loads((ROOT / "share/grafana/dashf.json").read_text())
        asked = {name for panel in dashboard["panels"] for target in panel["targets"]
                 for name in re.findall(r"(?:dashf|process)_[a-z_]+", target["expr"])}
        self.assertEqual({re.sub("_bucket$", "", name) for name in asked} - set(told), set())
        self.nodes["coordinator"].terminate()
        self.assertEqual(self.exit_code("coordinator"), 128 + signal.SIGTERM)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[3:])
