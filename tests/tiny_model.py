"""A Llama of some thousand random weights in a folder, and records for it."""
import array
import json
import math
import random
import shutil
import struct

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 16,
          "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
          "num_key_value_heads": 2, "vocab_size": 2048, "max_position_embeddings": 128,
          "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
          "tie_word_embeddings": True}

# Three passes at most over few records by one user and one server.
SMALL_RUN = """
[scenario]
users = 1
servers = 1
[data]
train_records = 12
test_records = 4
[training]
epochs_user = 1
epochs_server = 1
tokens_max = 200
[plan]
method = "greedy"
"""


def shapes(config):
    d, f, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = d // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", [vocab, d]
    yield "model.norm.weight", [d]
    for i in range(config["num_hidden_layers"]):
        layer = f"model.layers.{i}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}{name}.weight", [d]
        for name in "qkvo":
            yield f"{layer}self_attn.{name}_proj.weight", [kv if name in "kv" else d, d]
        yield layer + "mlp.gate_proj.weight", [f, d]
        yield layer + "mlp.up_proj.weight", [f, d]
        yield layer + "mlp.down_proj.weight", [d, f]
    if not config["tie_word_embeddings"]:
        yield "lm_head.weight", [vocab, d]


def write_model(folder, tokenizer, config=CONFIG, deviation=0.2, halves=False):
    """Random weights, the same each time; `tokenizer`: tokenizer.model or tokenizer.json."""
    folder.mkdir()
    draw, header, data = random.Random(1), {}, b""
    for name, shape in shapes(config):
        values = array.array("f", (1.0 if "norm" in name else draw.gauss(0, deviation)
                                   for _ in range(math.prod(shape)))).tobytes()
        if halves:  # bfloat16: the upper half of each float.
            words = array.array("H", values)
            values = words[1::2].tobytes()
        header[name] = {"dtype": "BF16" if halves else "F32", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (folder / "config.json").write_text(json.dumps(config))
    shutil.copy(tokenizer, folder)


def write_records(path, count, seed, answer_words=1):
    draw = random.Random(seed)
    words = "red green blue one two three north south cat dog".split()
    path.write_text(json.dumps([{"instruction": " ".join(draw.choices(words, k=3)),
                                 "output": " ".join(draw.choices(words, k=answer_words))}
                                for _ in range(count)]))
