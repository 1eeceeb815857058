#!/usr/bin/env python3
"""Style as a test: layers, file lengths, banned words, formatting. Usage: lint.py [layers|text|functions|citations|format]

Run from anywhere; looks at the files git tracks (or, outside a checkout, at what lies under src/).
Prints one line per finding, `file:line: rule`, and exits 1 if there is any.
"""
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each module may include besides itself; the same rule stands in src/CMakeLists.txt as links.
LAYERS = {
    "base": set(),
    "scenario": {"base"},
    "plan": {"base", "scenario"},
    "problem": {"base", "scenario", "plan"},
    "certificate": {"base", "scenario", "plan"},
    "opt": {"base"},
    "solvers": {"base", "scenario", "plan", "problem", "opt"},
    "sweep": {"base", "scenario"},
    "replanning": {"base", "scenario", "plan", "problem", "certificate", "solvers", "sweep"},
    "mpi": {"base"},
    "tensorfile": {"base"},
    "gguf": {"base"},
    "jinja": {"base"},
    "corpus": {"base", "gguf", "jinja"},
    "llama": {"base", "tensorfile"},
    "train": {"base", "gguf", "corpus", "tensorfile", "llama"},
    "study": {"base", "corpus", "train"},
    "autograd": {"base", "corpus", "tensorfile", "llama", "train"},
    "kit": {"base", "scenario", "runtime"},
    "round": {"base", "scenario", "plan"},
    "fleet": {"base", "plan", "round"},
    "runtime": {"base", "scenario", "plan", "round", "fleet", "corpus", "train", "proto"},
    "loadtest": {"base", "scenario", "round", "fleet", "runtime", "proto"},
    "report": {"base", "scenario", "plan", "problem", "round"},
    "live": {"base", "scenario", "round", "fleet", "report", "runtime"},
}
# Third-party headers that only the named modules or files may see.
HEADERS = {
    r"(torch|ATen|c10)/": {"autograd"},
    r"(grpcpp?|google/protobuf)/|.*\.pb\.h": {"runtime", "loadtest"},
    # Costs every file that includes it 8 to 18 s: verbs include cli/options.h.
    r"CLI/": {"src/cli/options.cc", "src/cli/command_line.cc", "src/cli/completion.cc"},
    r"sqlite3\.h": {"fleet"},
    r"boost/beast/": {"live"},
    r"prometheus/": {"live"},
    r"mpi\.h": {"mpi"},
}
BANNED_NAMES = re.compile(r"(?i)(manager|helper|util|handler|strategy)s?(\.|_|$)")
BANNED_TEXT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|using namespace (?!std::(string_view_)?literals)")
LINES_MAX = 500
FUNCTION_LINES_MAX = 70


def sources(*folders):
    """Our C++ files in these folders, all by default."""
    folders = folders or ("src", "python/native")
    names = [str(p.relative_to(ROOT)) for folder in folders for p in (ROOT / folder).rglob("*")]
    if shutil.which("git"):
        listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=ROOT,
                                capture_output=True, text=True, check=False)
        names = listed.stdout.split() if listed.returncode == 0 else names
    return [ROOT / n for n in names if n.endswith((".h", ".cc")) and (ROOT / n).exists()]


def layers():
    modules = set(LAYERS) | {"cli"}
    for path in sources("src"):
        name = path.relative_to(ROOT).as_posix()
        module = name.split("/")[1]
        if module not in modules:
            yield path, 1, f"module {module} is not in tools/lint.py's layer table"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = re.match(r'#include [<"]([^>"]+)[>"]', line)
            if not found:
                continue
            target = found[1].split("/")[0]
            if module != "cli" and target in modules and target not in LAYERS[module] | {module}:
                yield path, number, f"{module} must not include {target}"
            for pattern, allowed in HEADERS.items():
                if re.match(pattern, found[1]) and not allowed & {module, name}:
                    yield path, number, f"only {', '.join(sorted(allowed))} may include {found[1]}"


def text():
    for path in sources():
        if BANNED_NAMES.search(path.name):
            yield path, 1, "a room named after nothing: say what it holds"
        lines = path.read_text().splitlines()
        if len(lines) > LINES_MAX:
            yield path, len(lines), f"longer than {LINES_MAX} lines: split it"
        if path.suffix == ".h" and "#pragma once" not in lines:
            yield path, 1, "a header without #pragma once"
        for number, line in enumerate(lines, 1):
            if BANNED_TEXT.search(line):
                yield path, number, f"banned: {BANNED_TEXT.search(line)[0]}"


def functions():
    """Definitions begin at the margin or, in a class, two further in, and end with a brace at the
    same place: clang-format sees to it."""
    for path in sources():
        begun = {}  # By indent: where what may be a function began.
        start, start_indent, start_is_open = 0, 0, False
        for number, line in enumerate(path.read_text().splitlines(), 1):
            indent = len(line) - len(line.lstrip())
            if indent in (0, 2) and line.strip():
                if line.strip().startswith("}"):
                    begin = begun.pop(indent, number)
                    if number - begin + 1 > FUNCTION_LINES_MAX:
                        yield path, begin, (f"a function of {number - begin + 1} lines: at most "
                                            f"{FUNCTION_LINES_MAX}")
                    continue
                start, start_indent = number, indent
                start_is_open = line.count("(") > line.count(")")
            if re.search(r"\)[^;=]*\{$", line) and (start == number or start_is_open):
                begun[start_indent] = start
                start_is_open = False


def slug(heading):
    """The anchor that a heading has on the usual renderers."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def citations():
    """What comments and pages cite is there: pages, their parts, and the model's equations."""
    pages, anchors = {}, {}
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        pages[path] = re.findall(r"(?m)^#+ (.*)$", path.read_text())
        anchors[path] = {slug(heading) for heading in pages[path]}
    equations = set(re.findall(r"\\tag\{(\d+)\}", (ROOT / "docs/model.md").read_text()))
    for path in [*sources(), *pages]:
        whole = re.sub(r"\n(// ?| *)", " ", path.read_text())
        lines = path.read_text().splitlines()

        def line_of(piece):
            return next((i for i, line in enumerate(lines, 1) if piece.split()[0] in line), 1)

        for page, equation in re.findall(r"(model\.md)\)?,? \((\d+)\)", whole):
            if equation not in equations:
                yield path, line_of(page), f"docs/{page} has no equation ({equation})"
        for page, part in re.findall(r'docs/([\w-]+\.md), "([^"]+)"', whole) + re.findall(
                r'\]\(([\w-]+\.md)\), "([^"]+)"', whole):
            if part not in pages.get(ROOT / "docs" / page, []):
                yield path, line_of(page), f'docs/{page} has no part "{part}"'
        for page in re.findall(r"\bdocs/([\w-]+\.md)", whole):
            if ROOT / "docs" / page not in pages:
                yield path, line_of(page), f"there is no docs/{page}"
        if path.suffix == ".md":
            for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
                file, _, anchor = target.partition("#")
                if re.match(r"\w+:", target):
                    continue
                cited = (path.parent / file).resolve() if file else path
                if not cited.exists():
                    yield path, line_of(target), f"links to {file}, which is not there"
                elif anchor and cited in anchors and anchor not in anchors[cited]:
                    yield path, line_of(target), f"links to {target}, which has no such heading"


def formatting():
    program = shutil.which("clang-format-14")
    if program is None:
        sys.exit("clang-format-14 is not installed (./test.sh installs it)")
    done = subprocess.run([program, "--dry-run", "-Werror", *map(str, sources())], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    for line in done.stderr.splitlines():
        found = re.match(r"(.+?):(\d+):\d+: error: (.*)", line)
        if found:
            yield pathlib.Path(found[1]), int(found[2]), found[3]


def main():
    checks = {"layers": layers, "text": text, "functions": functions, "citations": citations,
              "format": formatting}
    chosen = sys.argv[1:] or list(checks)
    findings = 0
    for name in chosen:
        for path, line, rule in checks[name]():
            print(f"{path.relative_to(ROOT)}:{line}: {rule}")
            findings += 1
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
