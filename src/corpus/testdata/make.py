#!/usr/bin/env python3
"""Makes tokenizer.model and golden.tsv with SentencePiece's own programs (Debian: sentencepiece 0.1.97).

golden.tsv: text, ids by spm_encode, text by spm_decode; texts in hexadecimal, one case a line.
"""
import pathlib
import random
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SENTENCES = """A user trains the first layers of the model and an edge server trains the layers that remain.
The server sends the adapter back to the user, and the user keeps it.
Bandwidth is shared between users; power and clock are chosen by each user for itself.
When the channel is bad the user sends less, and the server waits for it until the deadline.
Every layer costs time and energy: 12 layers, 3 servers, 40 users, 128 tokens.
"""
WORDS = ["the", "user", "server", "layer", " ", "  ", "\t", "\r", "\u2581", "<s>", "</s>", "<0x41>", "na\u00efve", "e\u0301",
         "\ud55c\uad6d\uc5b4", "\u6f22\u5b57", "\U0001f642", "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\ufeff", "\u00a0",
         "\u3000", "12345", "3.14", "\x00", "\x01", "\x7f", "\u2028", "\ufb01", "\u0645\u0631\u062d\u0628\u0627", "\ufffd",
         "\U0010ffff", "...", "###", "training"]


def texts():
    rng = random.Random(1)
    for _ in range(120):
        yield "".join(rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(rng.randint(0, 12))).encode()
    for _ in range(40):  # Mostly invalid UTF-8.
        yield bytes(rng.randrange(256) for _ in range(rng.randint(1, 16))).replace(b"\n", b"")
    for broken in (b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x96", b"a\xffb", b"\xf0\x9f\x99"):
        yield broken


def main():
    text = HERE / "sentences.tmp"
    text.write_text(SENTENCES * 20)
    # The model holds the paths as given, so they are relative.
    subprocess.run(["spm_train", "--input=sentences.tmp", "--model_prefix=tokenizer", "--model_type=bpe",
                    "--vocab_size=420", "--byte_fallback=true", "--normalization_rule_name=identity",
                    "--remove_extra_whitespaces=false", "--split_digits=true", "--user_defined_symbols=###",
                    "--num_threads=1", "--minloglevel=2"], check=True, cwd=HERE)
    text.unlink()
    (HERE / "tokenizer.vocab").unlink()
    cases = list(texts())
    model = f"--model={HERE / 'tokenizer.model'}"
    ids = subprocess.run(["spm_encode", model, "--output_format=id"], input=b"\n".join(cases) + b"\n",
                         capture_output=True, check=True).stdout
    decoded = subprocess.run(["spm_decode", model, "--input_format=id"], input=ids, capture_output=True,
                             check=True).stdout
    lines = zip(cases, ids.decode().split("\n"), decoded.split(b"\n"))
    (HERE / "golden.tsv").write_text("".join(f"{c.hex()}\t{i}\t{d.hex()}\n" for c, i, d in lines))


main()
