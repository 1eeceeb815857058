"""Tokenizers of the families that dashf reads, trained small by Hugging Face's tokenizers, and texts that
are hard to cut."""
import json
import random
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + "|" + WORDS % r"\p{N}{1,3}"
QWEN2 = CONTRACTIONS + "|" + WORDS % r"\p{N}"
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
          r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|"
          r"\s*[\r\n]+|\s+(?!\S)|\s+")

PROSE = [
    "The quick brown fox doesn't jump over the lazy dog; they've seen 12345 of them, I'M SURE, and it'll rain.",
    "Fine-tune an LLM's adapters on mobile users' own data, with help from edge servers (k = 3, f = 1.5e9 Hz).",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Dès Noël où un zéphyr haï me vêt.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю. Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "いろはにほへと ちりぬるを 我が輩は猫である。名前はまだ無い。 快速的棕色狐狸跳过了懒狗。 다람쥐 헌 쳇바퀴에 타고파",
    "نص حكيم له سر قاطع وذو شأن عظيم  दिल्ली की सर्दी  ไทยไม่มีช่องว่าง",
    "def f(x):\n    return {'a': [1, 2, 3], \"b\": x ** 2}  # why?\n\n\tif (a != b) { c++; }\r\n",
]
ODD = ["👩‍👩‍👧‍👦", "🇩🇪🇫🇷", "👍🏽", "e\u0301", "o\u0308\u0323", "A\u030a", "\u1100\u1161\u11a8", "가", "ﬁ", "Å", "²³", "Ⅷ", "½", "٣٤٥", "一二三",
       "\u00a0", "\u180e", "\u200b", "\u200d", "\u2028", "\u3000", "\u0085", "\ufeff", "\u00ad", "\x00", "\x01", "\x0b", "\x0c", "\x1b[0m",
       "\x7f", "\r", "\r\n", "\n\n\n", "\t\t", "   ", "'S", "'LL", "'ve", "'ſ", "’s", "don't", "1234567", "0x1F", "<|eot_id|>", "<|endoftext|>",
       "<|im_start|>", "<|begin_of_text|>", "<tool_call>", "<|", "|>", "\u0338", "ÿ", "Ā", "Ġ", "Ċ", "\U0010ffff", "\ufffd", "𝔘𝔫𝔦", "𓀀", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "ǅ", "ʰ", "ªº"]


def is_young_mark(character):
    """The tokenizers' NFC does not know combining marks of the last years' Unicode; dashf's does."""
    return unicodedata.combining(character) and not unicodedata.ucd_3_2_0.combining(character)


def lines(seed, count):
    """Texts of words, odd pieces and random code points, with and without spaces between."""
    rng = random.Random(seed)
    words = [word for text in PROSE for word in text.split(" ")]

    def piece():
        kind = rng.random()
        if kind < 0.55:
            return rng.choice(words)
        if kind < 0.85:
            return rng.choice(ODD)
        low, high = rng.choice([(1, 0x2ff), (0x300, 0x36f), (0x370, 0x1fff), (0x2000, 0xd7ff), (0x1f300, 0x1faff)])
        drawn = [chr(rng.randint(low, high)) for _ in range(rng.randint(1, 4))]
        return "".join(c for c in drawn if not is_young_mark(c))

    return ["".join(piece() + rng.choice(["", " ", " ", "  ", "\n"]) for _ in range(rng.randint(1, 12)))
            for _ in range(count)]


def byte_level(**options):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, **options)


def split(expression):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(expression), "isolated"), byte_level(use_regex=False)])


def train(pre_tokenizer, special, *, normalizer=None, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=640, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(PROSE * 3 + lines(0, 300), trainer)
    tokenizer.add_special_tokens(special)
    return tokenizer


def with_bytes(tokenizer):
    """With tokens for all 256 bytes, which no merge makes."""
    described = json.loads(tokenizer.to_str())
    vocabulary = described["model"]["vocab"]
    for byte in range(256):
        vocabulary.setdefault(f"<0x{byte:02X}>", len(vocabulary))
    return Tokenizer.from_str(json.dumps(described))


def characters(normalizer, pre_tokenizer, decoder, added=()):
    """Over characters with byte fallback."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.decoder = decoders.Sequence(decoder)
    if normalizer:
        tokenizer.normalizer = normalizer
    if pre_tokenizer:
        tokenizer.pre_tokenizer = pre_tokenizer
    # Without a pre-tokenizer the trainer would merge whole texts, so it gets them word by word.
    words = [text if pre_tokenizer else " " + word for text in PROSE * 3 + lines(0, 300)
             for word in ([text] if pre_tokenizer else text.split(" "))]
    trainer = trainers.BpeTrainer(vocab_size=500, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"],
                                  limit_alphabet=120)
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in added])
    return with_bytes(tokenizer)


def without(tokenizer, text):
    """Without the tokens of these bytes, and without what is merged of them."""
    described = json.loads(tokenizer.to_str())
    model = described["model"]
    alphabet = {chr(ord(c) + 256) if ord(c) < 33 else c for c in text}
    model["merges"] = [m for m in model["merges"] if not alphabet & set("".join(m))]
    kept = [token for token in sorted(model["vocab"], key=model["vocab"].get) if not alphabet & set(token)]
    model["vocab"] = {token: i for i, token in enumerate(kept)}
    for i, token in enumerate(described["added_tokens"]):
        token["id"] = len(kept) + i
    return Tokenizer.from_str(json.dumps(described))


def families():
    """Each with the token that ends a text."""
    llama3 = train(split(LLAMA3), ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>",
                                     "<|start_header_id|>", "<|end_header_id|>"], ignore_merges=True)
    llama3.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing(single="<|begin_of_text|> $A",
                                      special_tokens=[("<|begin_of_text|>", llama3.token_to_id("<|begin_of_text|>"))])])
    qwen2 = train(split(QWEN2), ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], normalizer=normalizers.NFC())
    qwen2.add_tokens(["<tool_call>"])
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level(use_regex=True)])
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    back = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    metaspace = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    gemma_split = pre_tokenizers.Split(" ", "merged_with_previous")
    smollm = train(digits, ["<|endoftext|>"])
    return {"gpt2": (train(byte_level(use_regex=True), ["<|endoftext|>"]), "<|endoftext|>"),
            "llama3": (llama3, "<|eot_id|>"),
            "qwen2": (qwen2, "<|im_end|>"),
            "smollm": (smollm, "<|endoftext|>"),
            "smollm2": (without(smollm, "\x01\x04\x1b"), "<|endoftext|>"),
            "tekken": (train(split(TEKKEN), ["<s>", "</s>", "[INST]"]), "</s>"),
            "llama2": (characters(prepend, None, back + [decoders.Strip(" ", 1, 0)]), "</s>"),
            "mistral": (characters(None, metaspace, back + [decoders.Strip(" ", 1, 0)]), "</s>"),
            "gemma": (characters(normalizers.Replace(" ", "▁"), gemma_split, back, ["\n\n", "▁▁", "<b>"]), "</s>")}


def save(tokenizer, end, folder):
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": end}) + "\n")
