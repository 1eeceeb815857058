#!/usr/bin/env python3
"""Writes tests/parity/tokenizers: per family tokenizer.json, tokenizer_config.json and golden.tsv with
texts (hex), the ids that Hugging Face's tokenizers give, and what they decode to (hex); and chat.json,
conversations as transformers renders and encodes them."""
import pathlib
import shutil

import chat_reference
import tokenizer_reference as reference


def main():
    root = pathlib.Path(__file__).parent / "tokenizers"
    shutil.rmtree(root, ignore_errors=True)
    for seed, (name, (tokenizer, end)) in enumerate(reference.families().items(), start=1):
        reference.save(tokenizer, end, root / name)
        with open(root / name / "golden.tsv", "w") as golden:
            for text in reference.PROSE + reference.ODD + reference.lines(seed, 60):
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                decoded = tokenizer.decode(ids)
                golden.write(f"{text.encode().hex()}\t{' '.join(map(str, ids))}\t{decoded.encode().hex()}\n")
    chat_reference.dump(root / "chat.json")
    print(sum(path.stat().st_size for path in root.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    main()
