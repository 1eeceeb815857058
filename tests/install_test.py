#!/usr/bin/env python3
"""install_test.py CMAKE BUILD_DIR CONSUMER_DIR: installs a build elsewhere, plans and generates with
the programs there, and builds a project that finds the libraries there."""
import gzip
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import own_cache

CMAKE, BUILD, CONSUMER = sys.argv[1:4]


def run(*words, expect=0):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = tempfile.TemporaryDirectory()
        cls.prefix = pathlib.Path(cls.room.name) / "prefix"
        run(CMAKE, "--install", BUILD, "--prefix", cls.prefix)
        cls.dashf = cls.prefix / "bin/dashf"
        cls.scenario = pathlib.Path(cls.room.name) / "scenario.json"
        cls.model = cls.prefix / "share/dashf/models/debian-3m"
        run(cls.dashf, "new", "--users", "6", "--servers", "2", "--out", cls.scenario)

    @classmethod
    def tearDownClass(cls):
        cls.room.cleanup()

    def test_the_programs_find_each_other(self):
        said = run(self.dashf, "generate", "--model", self.model, "--prompt", "Package: ",
                   "--max-tokens", "4")
        self.assertTrue(said.stdout.strip())

    def test_every_link_of_the_installed_pages_leads_somewhere(self):
        pages = list(self.prefix.rglob("*.md"))
        self.assertGreater(len(pages), 15)
        for page in pages:
            for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", page.read_text()):
                if "://" not in link:
                    self.assertTrue((page.parent / link).exists(), f"{page.relative_to(self.prefix)}: {link}")

    def test_help_names_the_model_where_it_was_installed(self):
        for verb in ("generate", "score", "profile"):
            self.assertIn(f"--model {self.model.resolve()} ", run(self.dashf, verb, "--help").stdout)
        self.assertIn(f"The model that ships: {self.model.resolve()}", run(self.dashf, "--help").stdout)

    def test_shells_find_their_completions(self):
        for place in ("bash-completion/completions/dashf", "zsh/vendor-completions/_dashf",
                      "fish/vendor_completions.d/dashf.fish"):
            self.assertIn("--complete", (self.prefix / "share" / place).read_text())

    @unittest.skipUnless(shutil.which("help2man"), "help2man is not installed")
    def test_every_verb_has_a_manual_page_that_names_nobodys_folders(self):
        pages = {path.name.removesuffix(".1.gz"): gzip.decompress(path.read_bytes()).decode()
                 for path in (self.prefix / "share/man/man1").iterdir()}
        verbs = [line.split("\t")[0] for line in run(self.dashf, "--complete", "").stdout.splitlines()]
        self.assertGreater(len(verbs), 20)
        self.assertLessEqual({f"dashf-{verb}" for verb in verbs} | {"dashf", "dashf-bench-planner"}, set(pages))
        self.assertIn("handover\\-penalty", pages["dashf-solve"])
        for name, page in pages.items():
            self.assertNotIn(str(pathlib.Path(BUILD).resolve().parent).replace("-", "\\-"), page, name)

    def test_a_project_plans_with_a_method_of_its_own(self):
        build = pathlib.Path(self.room.name) / "consumer"
        run(CMAKE, "-G", "Ninja", "-S", CONSUMER, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            "-DCMAKE_BUILD_TYPE=Debug")
        run(CMAKE, "--build", build, "--parallel", "2")
        rows = dict(line.split() for line in run(build / "plan", self.scenario).stdout.splitlines())
        self.assertEqual(set(rows), {"prices", "dashf", "first-server"})
        self.assertGreater(float(rows["prices"]), 0)
        self.assertGreaterEqual(float(rows["prices"]), float(rows["first-server"]))
        refused = run(build / "plan", CONSUMER + "/plan.cc", expect=3)
        self.assertIn("plan.cc", refused.stderr)

        # The planner brings nothing that it does not use.
        needed = run("ldd", build / "plan").stdout
        for library in ("libtorch", "libgrpc", "libprotobuf", "libmpi", "libpcre2", "libdnnl"):
            self.assertNotIn(library, needed)

        mistakes = run(CMAKE, "--build", build, "--target", "misuse", expect=None)
        self.assertNotEqual(mistakes.returncode, 0)
        lines = (pathlib.Path(CONSUMER) / "misuse.cc").read_text().splitlines()
        wrong = {i for i, line in enumerate(lines, 1) if line.endswith("// error")}
        said = {int(n) for n in re.findall(r"misuse\.cc:(\d+):\d+: error",
                                           mistakes.stdout + mistakes.stderr)}
        self.assertEqual(wrong, said)

        continued = run(build / "train", self.model).stdout
        self.assertTrue(continued.strip())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
