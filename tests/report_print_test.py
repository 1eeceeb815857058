#!/usr/bin/env python3
"""The report as it is printed and as it stands on a screen, by Chromium: report_print_test.py DASHF. Exits 77 (skipped)
without Debian's chromium; what is in the PDF is read where poppler-utils are."""
import base64
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import browser

DASHF = sys.argv[1]
USERS = 45
SECTIONS = ["The plan", "What was learnt", "Predicted and measured times", "Energy", "Against other methods", "How prices got there",
            "Where this comes from"]
# In CSS pixels, of which there are 96 in an inch: landscape, and margins of 12 mm.
PAPERS = {"A4": (297 - 24) / 25.4 * 96, "US letter": (11 - 24 / 25.4) * 96}


def write_run(folder):
    """A plan of many users, and a round that went a little otherwise, emulated, with two failures."""
    scenario, plan = folder / "scenario.json", folder / "plan.json"
    for words in (["new", "--users", USERS, "--servers", 3, "--seed", 7, "--out", scenario],
                  ["solve", scenario, "--out", plan]):
        subprocess.run(list(map(str, [DASHF, *words])), check=True, capture_output=True)
    (folder / "comparison.json").write_text(subprocess.run(
        [DASHF, "compare", scenario, "--methods", "prices,greedy,random", "--json"], check=True, capture_output=True,
        text=True).stdout)
    users = []
    for n, planned in enumerate(json.loads(plan.read_text())["assignments"]):
        times = planned["delay_s"]
        later = {phase: value * (1 + 0.01 * (n % 7)) for phase, value in times.items()}
        users.append({"id": planned["user"], "server": planned["server"], "local_layers": planned["local_layers"], "layers": 16,
                      "state": "failed" if n < 2 else "done", "predicted_s": times, "measured_s": later,
                      "measured_at_planned_s": later, "failure": "its server, s0, was switched off" if n < 2 else None,
                      "local_cpu_s": 1.0, "server_cpu_s": 1.0, "upload_bytes": 123456789, "download_bytes": 98765432,
                      **{f"{what}_{when}": 0.1 * (n % 9) + (when == "before")
                         for what in ("loss", "exact_match", "choice_accuracy") for when in ("before", "after")}})
    (folder / "round.json").write_text(json.dumps({
        "schema": "dashf.round/1", "scenario_sha256": hashlib.sha256(scenario.read_bytes()).hexdigest(), "round": 3,
        "model": "/srv/models/base", "seed": 1, "state": "failed", "users": users,
        "servers": [{"id": f"s{m}", "state": "done", "failure": None} for m in range(3)],
        "emulation": {"time_scale": 0.1, "cores_asked": 1.5, "cores": 8, "node_cores_asked": 0.4,
                      "late": [{"user": "u3", "phase": "local", "planned_s": 1.0, "took_s": 1.2}]},
        "references": None, "bound": {"exhaustive_scr": None, "gap": None}, "data": []}))
    subprocess.run([DASHF, "report", folder], check=True, capture_output=True)
    return folder / "report.html"


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        room = tempfile.TemporaryDirectory()
        cls.addClassCleanup(room.cleanup)
        cls.room = pathlib.Path(room.name)
        cls.page = write_run(cls.room)
        cls.eye = browser.Browser(1300, 1000, dark=True)
        cls.addClassCleanup(cls.eye.close)
        cls.eye.go(cls.page.as_uri())
        cls.eye.until("document.readyState === 'complete' && !!document.querySelector('h2')")

    def beyond(self, width):
        """What reaches beyond the page or its own box, with nothing that could be scrolled to."""
        return self.eye.value(f"""[...document.querySelectorAll('main *')].filter((each) => {{
            const box = each.getBoundingClientRect();
            return box.width && (box.right > {width} + 1 || box.left < -1 ||
              ['auto', 'scroll', 'hidden'].includes(getComputedStyle(each).overflowX) && each.scrollWidth > each.clientWidth + 1);
          }}).map((each) => `${{each.tagName}} ${{each.textContent.slice(0, 40)}}`).slice(0, 9)""")

    def test_on_a_screen_of_1300_pixels_nothing_is_wider_than_the_page(self):
        self.eye.shape(1300, 1000)
        self.assertLessEqual(self.eye.value("document.documentElement.scrollWidth"), 1300)
        self.assertEqual(self.beyond(1300), [])

    def test_on_paper_nothing_is_wider_than_the_page_whatever_the_screen_prefers(self):
        for paper, width in PAPERS.items():
            self.eye.shape(int(width), 700, dark=True)
            self.eye.ask("Emulation.setEmulatedMedia", media="print",
                         features=[{"name": "prefers-color-scheme", "value": "dark"}])
            self.assertEqual(self.beyond(int(width)), [], paper)
            self.assertEqual(self.eye.value("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)")
        self.eye.ask("Emulation.setEmulatedMedia", media="", features=[])

    @unittest.skipUnless(shutil.which("pdftotext") and shutil.which("pdftoppm"), "poppler-utils are not installed")
    def test_as_a_pdf_it_has_all_sections_in_order_and_tables_repeat_their_heads(self):
        printed = self.eye.ask("Page.printToPDF", preferCSSPageSize=False, printBackground=False, landscape=True,
                               paperWidth=210 / 25.4, paperHeight=297 / 25.4)
        path = self.room / "report.pdf"
        path.write_bytes(base64.b64decode(printed["data"]))
        text = subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True, text=True).stdout
        found = [text.find(f"\n{section}\n") if f"\n{section}\n" in text else text.find(section) for section in SECTIONS]
        self.assertNotIn(-1, found, text)
        self.assertEqual(found, sorted(found))
        pages = text.split("\f")[:-1]
        self.assertGreater(len(pages), 4)
        for user in range(USERS):  # In the plan, what was learnt, the times, and the energy, at least.
            self.assertGreaterEqual(len(re.findall(rf"(?m)^ *u{user} ", text)), 4, user)
        # A page on which rows of the plan stand has its head, and a title stands on no page without what it is of.
        for page in pages:
            if re.search(r"(?m)^ *u\d+ .*Hz.*Hz.*Hz", page):
                self.assertRegex(page, "(?s)user *server *.*score")
            last = [line.strip() for line in page.splitlines() if line.strip()][-1]
            self.assertNotIn(last, SECTIONS)
        subprocess.run(["pdftoppm", "-r", "20", "-gray", path, self.room / "page"], check=True)
        for image in sorted(self.room.glob("page*.pgm")):
            kind, size, most, pixels = image.read_bytes().split(b"\n", 3)
            self.assertEqual((kind, most), (b"P5", b"255"))
            width, height = map(int, size.split())
            self.assertGreater(width, height)
            self.assertEqual(set(pixels[:width]) | set(pixels[-width:]), {255}, "margins are white")
            self.assertGreater(sum(pixels) / len(pixels), 200, "mostly white")


if __name__ == "__main__":
    if not browser.PROGRAM:
        print("skipped: Chromium is not installed (Debian: chromium)")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
