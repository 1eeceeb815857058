#!/usr/bin/env python3
"""shown_commands_test.py DASHF: every `dashf ...` that README, the pages and --help show is one that the command line
takes: its verb, its flags, the values of flags that have a choice, and in blocks what must be there. The first block
of README is carried out."""
import functools
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
DASHF = pathlib.Path(sys.argv[1]).resolve()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "configs/README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Before a program that another one starts.
STARTERS = {"mpirun", "srun", "time", "timeout", "nice", "sudo", "exec"}


@functools.cache
def help_of(*verbs):
    done = subprocess.run([DASHF, *verbs, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def section(text, title):
    found = re.search(rf"(?ms)^{title}:\n(.*?)(?=^\S|\Z)", text)
    return found[1] if found else ""


@functools.cache
def verbs_below(*verbs):
    """Names of subcommands."""
    text = help_of(*verbs)
    if not verbs:
        return set(re.findall(r"(?m)^  (\w+) {2,}\S", text.split("\n\n", 1)[1])) - {"help"}
    return set(re.findall(r"(?m)^  (\w+) ", section(text, "Subcommands")))


@functools.cache
def options_of(*verbs):
    """By name: (values it takes: 0, a number or None for any; its choices; whether it must be there)."""
    options = {}
    for names, rest in re.findall(r"(?m)^  ((?:-\w,)?(?:-[-\w]+)(?:,--[-\w]+)*)(.*)$",
                                  section(help_of(*verbs), "Options")):
        spec = re.split(r" {2,}", rest, maxsplit=1)[0] if rest.startswith(" ") and rest[1:2] != " " else ""
        required = "REQUIRED" in spec
        spec = re.split(r" (?:REQUIRED|Needs:|Excludes:|Env:)", " " + spec.strip())[0].strip()
        choices = re.search(r":\{([^}]*)\}", spec)
        count = re.search(r" x (\d+)$", spec)
        takes = 0 if not spec else int(count[1]) if count else None if spec.endswith("...") else 1
        for name in names.split(","):
            options[name] = (takes, set(choices[1].split(",")) if choices else None, required)
    return options


def positionals_of(*verbs):
    """(how many must be there, whether more may be)."""
    lines = re.findall(r"(?m)^  (\S.*)$", section(help_of(*verbs), "Positionals"))
    return sum("REQUIRED" in line for line in lines), len(lines)


def is_placeholder(word):
    return bool(re.search(r"[A-Z$]|\.\.\.", word))


def faults(words, in_block):
    """What the command line would not take of `dashf WORD...`."""
    verbs = []
    while words and words[0] in verbs_below(*verbs):
        verbs.append(words.pop(0))
        if not verbs_below(*verbs):
            break
    if not verbs:
        known = not words or words[0] in ("--help", "--version") or is_placeholder(words[0])
        return [] if known else [f'no verb "{words[0]}"']
    options, found, given, positionals = options_of(*verbs), [], set(), 0
    while words:
        word = words.pop(0)
        name, has_value, value = word.partition("=")
        if not word.startswith("-") or re.fullmatch(r"-[\d.].*", word):
            positionals += 1
        elif name not in options:
            found.append(f'"dashf {" ".join(verbs)}" has no flag {name}')
        else:
            given.add(name)
            takes, choices, _ = options[name]
            values = [value] if has_value else []
            while words and not has_value and (takes is None or len(values) < takes) and not words[0].startswith("--"):
                values.append(words.pop(0))
                if takes is None:
                    break
            if in_block and len(values) < (1 if takes is None else takes):
                found.append(f"{name} without its value")
            for one in ",".join(values).split(",") if choices else []:
                if one not in choices and not is_placeholder(one) and one:
                    found.append(f"{name} {one}: not one of {sorted(choices)}")
    if in_block and "--help" not in given:
        found += [f"{name} is missing" for name, (_, _, required) in options.items()
                  if required and name not in given]
        least, most = positionals_of(*verbs)
        if verbs_below(*verbs):
            found.append(f'"dashf {" ".join(verbs)}" asks for one of {sorted(verbs_below(*verbs))}')
        elif not least <= positionals <= most:
            found.append(f"{positionals} arguments, not {least} to {most}")
    return found


def commands_in(line):
    """Lists of the words after each `dashf` that a shell would start."""
    line = re.sub(r"[<>]&?\s*\S+", " ", re.sub(r"(^|\s)#.*", "", line))
    for piece in re.split(r"&&|\|\||[|;()]|\s&\s", line):
        try:
            words = shlex.split(piece)
        except ValueError:
            continue
        while words and (re.fullmatch(r"\w+=.*", words[0]) or words[0] in STARTERS):
            if words.pop(0) in STARTERS:
                while words and pathlib.Path(words[0]).name != "dashf":
                    words.pop(0)
        if words and pathlib.Path(words[0]).name == "dashf" and not words[0].endswith("/"):
            yield words[1:]


def blocks(text):
    """Text of code blocks, indented or fenced, a command a line."""
    text = re.sub(r"(?ms)^```.*?^```", lambda fenced: re.sub(r"(?m)^", "    ", fenced[0]), text)
    for block in re.findall(r"(?m)(?:^ {4,}\S.*\n|^\n(?= {4,}\S))+", text):
        yield re.sub(r"\\\n\s*", " ", block)


def spans(text):
    """Inline code."""
    text = re.sub(r"(?ms)^```.*?^```", "", text)
    text = re.sub(r"(?m)^ {4,}\S.*$", "", text)
    return [re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", text)]


def examples(help_text):
    """Commands of --help's examples; what stands further in goes on."""
    shown = help_text.split("Examples:\n", 1)[-1] if "Examples:\n" in help_text else ""
    return re.sub(r"\n {4,}", " ", shown)


def every_command():
    """(where, words, whether it stands in a block)."""
    for page in PAGES:
        text = page.read_text()
        for block in blocks(text):
            for line in block.splitlines():
                yield from ((page.name, words, True) for words in commands_in(line))
        for span in spans(text):
            yield from ((page.name, words, False) for words in commands_in(span))
    pending = [(verb,) for verb in sorted(verbs_below())]
    while pending:
        verbs = pending.pop()
        pending += [(*verbs, below) for below in sorted(verbs_below(*verbs))]
        for line in examples(help_of(*verbs)).splitlines():
            yield from ((f"dashf {' '.join(verbs)} --help", words, True) for words in commands_in(line))


class Commands(unittest.TestCase):
    def test_every_one_that_is_shown_is_one_that_the_command_line_takes(self):
        seen, wrong = set(), []
        for where, words, in_block in every_command():
            seen.add((where, in_block))
            wrong += [f"{where}: dashf {' '.join(words)}: {fault}" for fault in faults(list(words), in_block)]
        self.assertGreater(len({where for where, in_block in seen if in_block}), 25)  # Pages and verbs.
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_that_are_wrong_are_found(self):
        for line in ("dashf sovle s.json", "dashf solve s.json", "dashf solve s.json --out p --fast",
                     "dashf new --delay median --out s.json", "dashf verify s.json", "dashf kit add gateway"):
            self.assertTrue([fault for words in commands_in(line) for fault in faults(words, True)], line)
        for line in ("mpirun -n 4 dashf solve s.json --mpi --out p.json", "dashf bench planner --delay sum,makespan",
                     "A=1 build/release/bin/dashf new --seed 1 --out s.json && dashf check s.json # --strict"):
            self.assertEqual([fault for words in commands_in(line) for fault in faults(words, True)], [], line)

    def test_of_the_front_page_run_as_they_stand(self):
        block = next(b for b in blocks((ROOT / "README.md").read_text()) if "dashf new" in b)
        with tempfile.TemporaryDirectory() as room:
            path = f"{DASHF.parent}:{os.environ['PATH']}"
            done = subprocess.run(["bash", "-ec", block], cwd=room, env={**os.environ, "PATH": path},
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, block + done.stderr)
            self.assertIn("exhaustive", done.stdout)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
