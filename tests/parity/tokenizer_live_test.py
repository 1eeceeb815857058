#!/usr/bin/env python3
"""dashf's tokenizers and chat forms beside Hugging Face's and SentencePiece's, on fresh texts:
tokenizer_live_test.py DASHF_TOKENIZE [LINES]. Exits 77 (skipped) without the packages of requirements.txt
(torch and peft are not needed); DASHF_HF_PYTHON names a Python that has them."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

try:
    import sentencepiece

    import chat_reference
    import tokenizer_reference as reference
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)

SENTENCEPIECE = pathlib.Path(__file__).resolve().parents[2] / "src/corpus/testdata/tokenizer.model"


class Live:
    def __init__(self, program, work):
        self.program, self.work, self.failures = program, pathlib.Path(work), 0

    def ask(self, folder, lines):
        return subprocess.run([self.program, folder], input="\n".join(lines) + "\n", text=True, check=True,
                              stdout=subprocess.PIPE).stdout.split("\n")[:-1]

    def report(self, what, cases, ours, theirs):
        wrong = [(case, a, b) for case, a, b in zip(cases, ours, theirs, strict=True) if a != b]
        print(f"{'FAILED' if wrong else 'ok'}  {what}: {len(cases)}, of which {len(wrong)} differ")
        for case in wrong[:5]:
            print("   ", ascii(case))
        self.failures += bool(wrong)


def spelled(ids):
    return " ".join(map(str, ids))


def broken(text, rng):
    """The text's bytes with some thrown in that make it invalid UTF-8, in control characters' company."""
    data = bytearray(text.encode())
    for _ in range(rng.randint(1, 6)):
        data.insert(rng.randint(0, len(data)), rng.choice([0xff, 0xc0, 0xed, 0xe2, 0x80, 0xf4, 0x00, 0x1f, 0x7f]))
    return bytes(data)


def readable(data):
    """Each byte that is no part of valid UTF-8 as U+FFFD."""
    text, at = "", 0
    while at < len(data):
        for size in (1, 2, 3, 4):
            try:
                text += data[at:at + size].decode()
                break
            except UnicodeDecodeError:
                size = 0
        if size == 0:
            text += "\ufffd"
        at += max(size, 1)
    return text


def byte_level(live, name, tokenizer, end, seed, count):
    folder = live.work / name
    reference.save(tokenizer, end, folder)
    rng = random.Random(seed)
    texts = reference.lines(seed, count)
    data = [text.encode() if i % 4 else broken(text, rng) for i, text in enumerate(texts)]
    texts = [readable(text) for text in data]
    expected = [tokenizer.encode(text, add_special_tokens=False).ids for text in texts]
    cuts = [ids[rng.randint(0, 3):] for ids in expected]  # Cut ids decode to broken characters.
    live.report(f"{name}: texts, each fourth with invalid UTF-8", texts,
                live.ask(folder, [f"e {text.hex()}" for text in data]), [spelled(ids) for ids in expected])
    live.report(f"{name}: decodings", cuts, live.ask(folder, [f"d {spelled(ids)}" for ids in cuts]),
                [tokenizer.decode(ids).encode().hex() for ids in cuts])
    tokenizer.encode_special_tokens = True
    live.report(f"{name}: texts without special tokens", texts,
                live.ask(folder, [f"t {text.hex()}" for text in data]),
                [spelled(tokenizer.encode(text, add_special_tokens=False).ids) for text in texts])
    tokenizer.encode_special_tokens = False


def sentence_piece(live, seed, count):
    folder = live.work / "sentencepiece"
    folder.mkdir()
    shutil.copy(SENTENCEPIECE, folder)
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(SENTENCEPIECE))
    rng = random.Random(seed)
    texts = [text.encode() if i % 4 else broken(text, rng) for i, text in enumerate(reference.lines(seed, count))]
    live.report("SentencePiece: texts, each fourth with invalid UTF-8", texts,
                live.ask(folder, [f"e {text.hex()}" for text in texts]),
                [spelled(tokenizer.EncodeAsIds(text)) for text in texts])


def conversations(seed, count):
    """Without the marks that a form may refuse, the tokens that Hugging Face would find in a message, and answers
    that begin with white space, which it would cut together with the line end before them."""
    rng, lines = random.Random(seed), iter(reference.lines(seed, 10 * count))
    for _ in range(count):
        contents = [next(lines).replace("<|", "<").replace("<tool_call>", "") for _ in range(rng.choice([2, 4, 6]))]
        contents[1::2] = [answer.lstrip() for answer in contents[1::2]]
        yield chat_reference.conversation(*contents, system=next(lines).replace("<|", "<") if rng.random() < 0.5 else None)


def chat(live, seed, count):
    known = chat_reference.tokenizers()
    for form, (template, family) in chat_reference.FORMS.items():
        folder = live.work / (family or "sentencepiece")
        config = folder / "tokenizer_config.json"
        kept = json.loads(config.read_text()) if config.exists() else {}
        config.write_text(json.dumps({**kept, "chat_template": template}))
        cases = list(conversations(seed, count))
        expected = []
        for messages in cases:
            text = known[family].apply_chat_template(messages, tokenize=False, chat_template=template)
            prompt = known[family].apply_chat_template(messages[:-1], tokenize=False, chat_template=template,
                                                       add_generation_prompt=True)
            ids = known[family].encode(prompt, add_special_tokens=False) if family else []
            expected.append(" ".join([text.encode().hex(), *map(str, ids)]))
        got = live.ask(folder, ["c " + json.dumps({"messages": messages}) for messages in cases])
        if not family:  # The ids of Llama 2's form are SentencePiece's of each part: chat_test.cc.
            got = [line.split(" ")[0] for line in got]
        live.report(f"chat, {form}", cases, got, expected)


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    with tempfile.TemporaryDirectory() as work:
        live = Live(program, work)
        for seed, (name, (tokenizer, end)) in enumerate(reference.families().items(), start=1000):
            byte_level(live, name, tokenizer, end, seed, count)
        sentence_piece(live, 2000, count)
        chat(live, 3000, count // 20)
    return 1 if live.failures else 0


if __name__ == "__main__":
    sys.exit(main())
