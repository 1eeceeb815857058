#!/usr/bin/env python3
"""dashf's byte-level tokenizers beside Hugging Face's, on fresh texts: tokenizer_live_test.py DASHF_TOKENIZE
[LINES]. Exits 77 (skipped) without the tokenizers package; DASHF_HF_PYTHON names a Python that has it."""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

try:
    import tokenizer_reference as reference
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    failures = 0
    with tempfile.TemporaryDirectory() as work:
        for seed, (name, (tokenizer, end)) in enumerate(reference.families().items(), start=1000):
            folder = pathlib.Path(work) / name
            reference.save(tokenizer, end, folder)
            texts = reference.lines(seed, count)
            expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
            rng = random.Random(seed)  # Cut ids decode to broken characters.
            cuts = [ids[rng.randint(0, 3):] for ids in expected]
            lines = [f"e {text.encode().hex()}" for text in texts]
            lines += ["d " + " ".join(map(str, ids)) for ids in cuts]
            got = subprocess.run([program, folder], input="\n".join(lines) + "\n", text=True, check=True,
                                 stdout=subprocess.PIPE).stdout.split("\n")
            wrong = [text for text, ids, ours in zip(texts, expected, got) if ours != " ".join(map(str, ids))]
            wrong += [ids for ids, ours in zip(cuts, got[count:]) if ours != tokenizer.decode(ids).encode().hex()]
            print(f"{'FAILED' if wrong else 'ok'}  {name}: {count} texts and {count} decodings, {len(wrong)} differ")
            for example in wrong[:5]:
                print("   ", ascii(example))
            failures += bool(wrong)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
