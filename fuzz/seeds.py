#!/usr/bin/env python3
"""Makes the fuzz targets' seeds: small sound files of every kind. Usage: seeds.py DASHF FOLDER"""
import json
import pathlib
import shutil
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
VARIANTS = {"sum": [], "makespan": ["--delay", "makespan"], "sparse": ["--candidates", "1"],
            "all-local": ["--all-local"]}


def scenario(dashf, path, options):
    subprocess.run([dashf, "new", "--users", "3", "--servers", "2", "--out", path, *options],
                   check=True, capture_output=True)
    world = json.loads(path.read_text())
    for profile in world["profiles"].values():  # Three splits say as much as seventeen.
        for column in profile.values():
            column[:] = [column[0], column[5], column[-1]]
    for server in world["servers"]:
        server["slots"] = 3
    path.write_text(json.dumps(world))


def cases(box):
    """Two questions about the first server, and the box's own prices in each of the three cases."""
    prices = {key: column[0] for key, column in box["prices"].items()}
    return [{"server": 0, "nodes": [{"users_max": 1}, {"user": 0, "splits": [0, 1]}, prices, prices,
                                    prices]}]


def plan(dashf, path):
    """A plan with a bound: proven with the sum of delays, else prices of 0 under a vast claim."""
    out = path.with_suffix(".plan")
    world = json.loads(path.read_text())
    makespan = world["objective"]["delay"] == "makespan"
    subprocess.run([dashf, "solve", path, "--out", out, *([] if makespan else ["--certify"])],
                   check=True, capture_output=True)
    found = json.loads(out.read_text())
    out.unlink()
    found["scenario_sha256"] = "0" * 64
    if makespan and not found["bound"]:
        weight = [0.3 * world["objective"]["delay_weight_per_s"]] * len(world["users"])
        none = [0.0] * len(world["servers"])
        box = {"user_phase_s": [0, None], "server_phase_s": [0, None],
               "prices": {"bandwidth_per_hz": none, "power_per_w": none, "clock_per_hz": none,
                          "slot": none},
               "user_phase_weight_per_s": weight, "server_phase_weight_per_s": weight}
        found["bound"] = {"scr_upper": 1e9, "gap": 1.0, "certificate": {"boxes": [box]}}
    if path.name == "all-local":
        box = found["bound"]["certificate"]["boxes"][0]
        box.update({"user_worth": [0.1] * len(world["users"]), "cases": cases(box)})
    return path.read_text() + "\n=\n" + json.dumps(found)


def byte_alphabet():
    """Byte-level BPE's characters for the bytes."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(0x100 + i) for i in range(len(others))]


def tokenizer_json(split, normalizer):
    tokens = byte_alphabet() + ["th", "the", "\u0120the"]
    words = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": not split}
    if split:
        words = {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True}, words | {"use_regex": True}]}
    return json.dumps({
        "version": "1.0", "normalizer": normalizer and {"type": normalizer}, "pre_tokenizer": words,
        "added_tokens": [{"id": len(tokens) + i, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": normal, "special": not normal}
                         for i, (text, normal) in enumerate([("<|end|>", False), ("users", True)])],
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}},
                                                                    {"Sequence": {"id": "A", "type_id": 0}}]},
        "model": {"type": "BPE", "ignore_merges": split, "vocab": {token: i for i, token in enumerate(tokens)},
                  "merges": ["t h", ["th", "e"], "\u0120 the"]}})


def gguf(metadata, tensors):
    """A GGUF file of strings, integers, numbers, flags and lists, and of F32 or Q8_0 tensors {name: (type, shape)}."""
    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    def element(value):
        if isinstance(value, bool):
            return 7, struct.pack("<?", value)
        if isinstance(value, int):
            return 4, struct.pack("<I", value)
        if isinstance(value, float):
            return 6, struct.pack("<f", value)
        return 8, text(value)

    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        if isinstance(value, list):
            kind = element(value[0])[0]
            out += text(key) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(element(x)[1] for x in value)
        else:
            kind, data = element(value)
            out += text(key) + struct.pack("<I", kind) + data
    offset = 0
    for name, (kind, shape) in tensors.items():
        offset += -offset % 32
        out += text(name) + struct.pack("<I", len(shape)) + struct.pack(f"<{len(shape)}Q", *reversed(shape))
        out += struct.pack("<IQ", kind, offset)
        size = 1
        for dimension in shape:
            size *= dimension
        offset += size * 4 if kind == 0 else size // 32 * 34
    out += bytes(-len(out) % 32)
    return out + bytes(offset + -offset % 32)


def gguf_model(tokenizer):
    """One layer of width 32 with every tensor of llama.cpp's, and a tokenizer of either kind."""
    prefix = "tokenizer.ggml."
    tokens = byte_alphabet() + ["th", "the", "<|end|>"] if tokenizer == "gpt2" else ["<unk>", "<s>", "</s>", "<0x00>", "a"]
    metadata = {"general.architecture": "llama", "general.type": "model", "llama.block_count": 1,
                "llama.context_length": 64, "llama.embedding_length": 32, "llama.feed_forward_length": 64,
                "llama.attention.head_count": 4, "llama.attention.head_count_kv": 2, "llama.rope.freq_base": 10000.0,
                "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.rope.dimension_count": 8,
                prefix + "model": tokenizer, prefix + "tokens": tokens, prefix + "eos_token_id": 2,
                "tokenizer.chat_template": "{{ messages }}"}
    if tokenizer == "gpt2":
        metadata |= {prefix + "pre": "llama-bpe", prefix + "merges": ["t h", "th e"], prefix + "add_bos_token": True,
                     prefix + "bos_token_id": len(tokens) - 1,
                     prefix + "token_type": [1] * (len(tokens) - 1) + [3]}
    else:
        metadata |= {prefix + "scores": [-1.0] * 5, prefix + "token_type": [2, 3, 3, 6, 1], prefix + "bos_token_id": 1}
    tensors = {"token_embd.weight": (8, [len(tokens), 32]), "output_norm.weight": (0, [32])}
    if tokenizer == "gpt2":
        tensors["rope_freqs.weight"] = (0, [4])
    for name, shape in {"attn_norm": [32], "ffn_norm": [32], "attn_q": [32, 32], "attn_k": [16, 32],
                        "attn_v": [16, 32], "attn_output": [32, 32], "ffn_gate": [64, 32], "ffn_up": [64, 32],
                        "ffn_down": [32, 64]}.items():
        tensors[f"blk.0.{name}.weight"] = (8 if len(shape) == 2 else 0, shape)
    return gguf(metadata, tensors)


def engine(folder):
    """Of the engine's readers: model folders, adapters' tensors and data."""
    for kind in ("safetensors", "gguf", "tokenizer_model", "tokenizer_json", "samples", "template", "model_config",
                 "adapter_config"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    header = json.dumps({"__metadata__": {"format": "pt"},
                         "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                         "b": {"dtype": "BF16", "shape": [20], "data_offsets": [24, 64]},
                         "none": {"dtype": "I8", "shape": [0, 5], "data_offsets": [64, 64]}}).encode()
    (folder / "safetensors" / "header").write_bytes(header)
    (folder / "safetensors" / "file").write_bytes(len(header).to_bytes(8, "little") + header + bytes(range(64)))
    for tokenizer in ("gpt2", "llama"):
        (folder / "gguf" / tokenizer).write_bytes(gguf_model(tokenizer))
    (folder / "gguf" / "adapter").write_bytes(gguf(
        {"general.type": "adapter", "adapter.type": "lora", "general.architecture": "llama", "adapter.lora.alpha": 16.0},
        {"blk.0.attn_q.weight.lora_a": (0, [2, 32]), "blk.0.attn_q.weight.lora_b": (0, [32, 2])}))
    shutil.copy(ROOT / "src/corpus/testdata/tokenizer.model", folder / "tokenizer_model" / "bpe")
    (folder / "tokenizer_json" / "plain").write_text(tokenizer_json(False, None))
    (folder / "tokenizer_json" / "digits").write_text(tokenizer_json(True, "NFC"))
    messages = [{"role": role, "content": text} for role, text in
                [("system", " s "), ("user", "hi\u00a0"), ("assistant", "ho"), ("user", "[INST]"), ("assistant", "")]]
    for name, text in {
            "alpaca": json.dumps([{"instruction": "add", "input": "1 2", "output": "3"}]),
            "chat": json.dumps({"messages": messages}) + "\n" + json.dumps({"messages": messages[1:3]}),
            "shared": json.dumps({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}),
            "documents": json.dumps({"text": "the user"}), "text": "one\n\n\ntwo\n",
            "form": "{{ '<|im_start|>system\\nBe kind.<|im_end|>\\n' }}"}.items():
        (folder / "samples" / name).write_text(text)
    recorded = json.loads((ROOT / "tests/parity/templates.json").read_text())
    for i, case in enumerate(recorded["cases"][::3]):
        (folder / "template" / f"construct-{i}").write_text(case["template"])
    for form, text in json.loads((ROOT / "tests/parity/tokenizers/chat.json").read_text())["templates"].items():
        (folder / "template" / form).write_text(text)
    for config in (ROOT / "tests/parity/recorded").glob("*/model/config.json"):
        shutil.copy(config, folder / "model_config" / config.parts[-3])
    for config in (ROOT / "tests/parity/recorded").glob("*/adapter/adapter_config.json"):
        shutil.copy(config, folder / "adapter_config" / config.parts[-3])


COMPUTE = {"clock_hz_max": 1e9, "flop_per_cycle": 8.0, "kappa_w_per_hz3": 1e-27, "energy_j_per_flop": 0.0}
PROFILE = {"local_flop": [0.0, 1e9, 2e9], "server_flop": [2e9, 1e9, 0.0], "upload_bit": [1e6, 2e6, 0.0],
           "download_bit": [2e6, 1e6, 0.0], "local_memory_bytes": [0.0, 1e6, 2e6]}


def field(number, value):
    """One of a message's on the wire: bytes, or a whole number."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def fleet(folder):
    """What nodes are told in their files, and what they say."""
    training = {"adapter": "lora", "rank": 4, "alpha": 8.0, "rank_stabilized": False, "targets": ["q_proj"],
                "prompt_length": 4, "arithmetic": "float32", "weights": "float32", "objective": "early_exit", "epochs_user": 1,
                "epochs_server": 1, "epochs_joint": 0, "batch_size": 2, "accumulate": 1, "learning_rate": 0.003,
                "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0, "tokens_max": 64, "seed": 1}
    every = {"schema": "dashf.node/3", "folder": "", "tls": {"ca": "ca.pem", "certificate": "node.pem", "key": "node.key"},
             "telemetry": "t", "telemetry_limits": {"bytes_max": 67108864, "files_max": 4},
             "gate": {"folder": "", "turns": 1}, "model": "m", "checkpoint_interval_s": 60.0,
             "threads": 1}
    own = {"coordinator": {"training": training, "coordinator_kit": {
               "listen": "[::]:7440", "advertise": ["c:7440"], "address_file": "address", "scenario": "s.json",
               "out": "", "method": "price", "seed": 1, "log": "log", "machine_flop_per_s": 1e9,
               "policy": {"rounds_max": 1, "on_request": False, "interval_s": 0.0, "users_min": 1, "servers_min": 1,
                          "gather_s": 60.0, "give_up_s": 0.0, "lease_s": 15.0, "grace_s": 60.0, "late_users": True,
                          "attempts_max": 3, "phase_factor": 0.0, "phase_slack_s": 600.0}}},
           "server/s0": {"server": {
               "compute": COMPUTE, "bandwidth_hz": 2e7, "tx_power_w_max": 1.0, "listen": "127.0.0.1:7443",
               "advertise": [], "spool": {"folder": "spool", "bytes_max": 1000000000}, "work_conserving": True,
               "memory_bytes_max": 1000000000}},
           "user/u0": {"user": {
               "compute": COMPUTE, "tx_power_w_max": 0.1, "memory_bytes_max": 1e9, "profile": PROFILE, "train": "a",
               "test": "b", "labels": ["yes"], "adapter_folder": "adapter", "state_folder": "state"}}}
    (folder / "node_config").mkdir(parents=True, exist_ok=True)
    (folder / "fleet_messages").mkdir(parents=True, exist_ok=True)
    for node, kit in own.items():
        reach = [] if node == "coordinator" else ["c:7440", "[2001:db8::1]:7440"]
        (folder / "node_config" / node.replace("/", "-")).write_text(
            json.dumps({**every, "node": node, "coordinator": reach, **kit}))

    def hello(role, node):
        about = {"node": {"role": "ROLE_" + role.upper(), "id": node}, "incarnation": "7", "process": "process 1 on h"}
        what = {"compute": COMPUTE, "bandwidth_hz": 2e7, "tx_power_w_max": 1.0, "address": ["e:1"]}
        if role == "user":
            what = {"compute": COMPUTE, "tx_power_w_max": 0.1, "memory_bytes_max": 1e9, "profile": PROFILE}
        return {"from": f"{role}/{node}", "hello": {**about, role: what}}

    def report(reporter, user, phase, **more):
        return {"from": reporter, "report": {"round": 1, "user": user, "attempt": 1, "incarnation": "7",
                                             "phase": "PHASE_" + phase.upper(), "elapsed_s": 1.5, **more}}

    here = [hello("server", "s0"), hello("user", "u0"), hello("user", "u1"), hello("server", "s1")]
    quality = {"before": {"loss": 2.0}, "after": {"loss": 1.0, "exact_match": 0.5, "choice_accuracy": 0.5}}
    done = [report("user/u0", "u0", "local", cpu_s=1.0), report("user/u0", "u0", "upload", bytes="9"),
            report("server/s0", "u0", "server", cpu_s=1.0), report("user/u0", "u0", "download", bytes="9"),
            report("user/u0", "u0", "verify", **quality)]
    again = [report("user/u1", "u1", "upload", failure="no room"), {"from": "server/s0", "lost": 1}]
    for name, said in {"round": here + done, "failures": here + again + done, "hello": here}.items():
        (folder / "fleet_messages" / name).write_text(json.dumps(said))
    node = field(1, field(1, 1) + field(2, b"u0"))
    (folder / "fleet_messages" / "wire").write_bytes(field(1, node + field(3, b"p") + field(5, field(2, b"1"))))


def main():
    dashf, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    for kind in ("scenario", "plan", "profile", "round", "config"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for name, options in VARIANTS.items():
        path = folder / "scenario" / name
        scenario(dashf, path, options)
        (folder / "plan" / name).write_text(plan(dashf, path))
    columns = ("local_flop_per_token", "server_flop_per_token", "local_memory_bytes",
               "measured_local_s", "measured_server_s")
    (folder / "profile" / "one").write_text(json.dumps({
        "schema": "dashf.profile/1", "name": "p", "model": "m", "layers": 1,
        "objective": "early_exit", "epochs": 3, "tokens_measured": 10, "data_bit_per_token": 8,
        "adapter_bit_per_layer": [100], **{column: [0, 0] for column in columns},
        "machine": {"clock_hz": 1e9, "flop_per_cycle": 8, "kappa_w_per_hz3": 1e-27,
                    "gemm_flop_per_s": 1e9}}))
    engine(folder)
    fleet(folder)
    for config in (ROOT / "configs").glob("*.toml"):
        shutil.copy(config, folder / "config" / config.stem)


if __name__ == "__main__":
    main()
