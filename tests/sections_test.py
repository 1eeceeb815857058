"""The verb `sections` as a user meets it, on a folder of made-up apt lists. Usage: sections_test.py DASHF"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

DASHF = sys.argv.pop()
LIST = "deb.example.org_debian_dists_bookworm_main_{}"
SECTIONS = ["science", "math", "net", "web", "games", "sound"]


def write_lists(folder):
    packages, translations = [], []
    for i in range(1200):
        text = f"Does the thing number {i}\n In some detail."
        digest = hashlib.md5(text.encode()).hexdigest()
        packages.append(f"Package: p{i}\nSource: s{i}\nSection: {SECTIONS[i % 6]}\nDescription-md5: {digest}\n")
        translations.append(f"Package: p{i}\nDescription-md5: {digest}\nDescription-en: {text}\n")
    (folder / LIST.format("binary-amd64_Packages")).write_text("\n".join(packages))
    (folder / LIST.format("i18n_Translation-en")).write_text("\n".join(translations))


class Sections(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.addCleanup(self.scratch.cleanup)
        self.root = pathlib.Path(self.scratch.name)
        self.lists = self.root / "lists"
        self.lists.mkdir()

    def run_verb(self, *flags):
        return subprocess.run([DASHF, "sections", f"--lists={self.lists}", *map(str, flags)],
                              capture_output=True, text=True, check=False)

    def files(self, folder):
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

    def test_writes_the_same_users_for_the_same_seed(self):
        write_lists(self.lists)
        flags = ["--users", 3, "--train-records", 40, "--test-records", 6, "--seed", 5]
        for name in ("a", "b"):
            done = self.run_verb(*flags, "--out", self.root / name)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.files(self.root / "a"), self.files(self.root / "b"))
        self.assertEqual(sorted(self.files(self.root / "a")),
                         ["labels.json"] + [f"u{i}/{part}.jsonl" for i in range(3) for part in ("test", "train")])
        labels = json.loads((self.root / "a/labels.json").read_text())
        for i, user in enumerate(labels["users"]):
            for part, count in (("train", 40), ("test", 6)):
                lines = (self.root / f"a/u{i}/{part}.jsonl").read_text().splitlines()
                answers = [json.loads(line)["output"] for line in lines]
                self.assertEqual(len(answers), count)
                self.assertLessEqual(set(answers), set(user["sections"]))
                self.assertLessEqual(set(answers), set(labels["sections"]))

    def test_corpus_holds_no_test_package(self):
        write_lists(self.lists)
        self.assertEqual(self.run_verb("--users", 3, "--train-records", 40, "--test-records", 6, "--out",
                                       self.root / "data").returncode, 0)
        self.assertEqual(self.run_verb("--corpus", self.root / "corpus.txt").returncode, 0)
        corpus = (self.root / "corpus.txt").read_text().splitlines()
        for part, told in (("test", False), ("train", True)):
            for path in (self.root / "data").glob(f"u*/{part}.jsonl"):
                for line in path.read_text().splitlines():
                    self.assertEqual(json.loads(line)["input"].splitlines()[0] in corpus, told)

    def test_absent_lists_give_the_command_that_fetches_them(self):
        done = self.run_verb("--out", self.root / "data")
        self.assertEqual(done.returncode, 10)
        self.assertIn("apt-get -o Acquire::Languages=en update", done.stderr)

    def test_too_few_packages_leave_nothing_half_written(self):
        write_lists(self.lists)
        done = self.run_verb("--users", 3, "--train-records", 4000, "--out", self.root / "data")
        self.assertEqual(done.returncode, 3)
        self.assertIn("source packages to train on, needs 4000", done.stderr)
        self.assertFalse((self.root / "data").exists())

    def test_bad_flags_are_usage_errors(self):
        self.assertEqual(self.run_verb().returncode, 2)
        self.assertEqual(self.run_verb("--out", "x", "--corpus", "y").returncode, 2)
        self.assertEqual(self.run_verb("--seed", -1, "--out", "x").returncode, 2)
        write_lists(self.lists)
        self.assertEqual(self.run_verb("--users", 0, "--out", self.root / "data").returncode, 2)


unittest.main()
