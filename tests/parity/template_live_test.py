#!/usr/bin/env python3
"""dashf's templates beside transformers' and Jinja2's: template_live_test.py DASHF_RENDER [FOLDER].
Every *.jinja below FOLDER (for example the models/templates of the source of PyPI's llama-cpp-python) is
rendered for many conversations. Exits 77 (skipped) without the packages of requirements.txt (torch and
peft are not needed); DASHF_HF_PYTHON names a Python that has them, DASHF_CHAT_TEMPLATES a folder."""
import collections
import json
import os
import pathlib
import subprocess
import sys

try:
    import template_reference as reference
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)
import template_constructs as constructs


def ask(program, tasks):
    lines = "\n".join(json.dumps({**task, "now": reference.NOW}) for task in tasks) + "\n"
    answers = subprocess.run([program], input=lines, text=True, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in answers.split("\n")[:-1]]


def verdict(ours, theirs):
    """"equal", "both refuse", "refused" (by us alone) or "WRONG"."""
    if "error" in ours:
        return "both refuse" if theirs[0] == "error" else "refused"
    if theirs[0] == "error" or ours["text"] != theirs[1] or ours["generations"] != theirs[2]:
        return "WRONG"
    return "equal"


def compare(program, tasks):
    """How often which verdict came out; prints what is wrong."""
    counts = collections.Counter()
    for task, ours in zip(tasks, ask(program, tasks), strict=True):
        theirs = reference.render(task["template"], task["variables"])
        found = verdict(ours, theirs)
        counts[found] += 1
        if found in ("WRONG", "refused") and counts[found] <= int(os.environ.get("DASHF_SHOWN", "2")):
            print(f"    {found}: {task.get('name', '')} {ascii(task['template'][:200])}")
            print(f"      ours   {ascii(ours)[-600:]}\n      theirs {ascii(theirs)[-600:]}")
    return counts


def main():
    program = sys.argv[1]
    folder = sys.argv[2] if len(sys.argv) > 2 else os.environ.get("DASHF_CHAT_TEMPLATES")
    wrong = 0
    counts = compare(program, [{"template": template, "variables": constructs.VARIABLES}
                               for template in constructs.all_templates()])
    print(f"constructs: {dict(counts)}")
    wrong += counts["WRONG"] + counts["refused"]
    answers = ask(program, [{"template": template, "variables": constructs.VARIABLES}
                            for template in constructs.REFUSED])
    for answer, said in zip(answers, constructs.REFUSED.values(), strict=True):
        if not answer.get("error", "").endswith(said):
            wrong += 1
            print(f"    not refused: {said}: {answer}")
    print(f"refused by name: {len(answers)}")
    counts = compare(program, [{"template": template, "variables": constructs.VARIABLES}
                               for template in constructs.drawn(1, 4000)])
    print(f"drawn: {dict(counts)}")
    wrong += counts["WRONG"]
    if not folder:
        print("no folder of templates; those of others are not tried")
        return 1 if wrong else 0
    whole = 0
    paths = sorted(pathlib.Path(folder).rglob("*.jinja"))
    for path in paths:
        counts = compare(program, [{"name": path.name, "template": path.read_text(), "variables": tried}
                                   for tried in reference.variables()])
        print(f"{path.name}: {dict(counts)}")
        wrong += counts["WRONG"]
        whole += not counts["WRONG"] and not counts["refused"]
    print(f"{whole} of {len(paths)} templates are carried out as the reference does, for every conversation")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
