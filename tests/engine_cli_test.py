"""generate, score and merge from outside, on the model that ships. Usage: engine_cli_test.py DASHF_BINARY
[unittest options]"""
import json
import os
import pathlib
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

import own_cache

BINARY = sys.argv[1] if len(sys.argv) > 1 else "build/release/bin/dashf"
MODEL = pathlib.Path(__file__).resolve().parent.parent / "share/models/debian-3m"
PROMPTS = [("Package: bb\nSummary: ASCII art demo", "games"), ("Package: libfoo-dev\nSummary: headers", "libdevel")]


NO_PRODUCTS = "no products of bfloat16"


def dashf(*args, **environment):
    return subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=300, check=False,
                          env={**os.environ, **environment})


def write_adapter(folder, kind):
    """A random adapter of rank 2 on every q_proj, or prompts, as PEFT lays them out."""
    config = json.loads((MODEL / "config.json").read_text())
    width, layers, rng = config["hidden_size"], config["num_hidden_layers"], random.Random(1)
    tensors, stem = {}, "base_model.model.model.layers."
    for layer in range(layers):
        if kind == "LORA":
            tensors[f"{stem}{layer}.self_attn.q_proj.lora_A.weight"] = (2, width)
            tensors[f"{stem}{layer}.self_attn.q_proj.lora_B.weight"] = (width, 2)
        else:
            tensors[f"{stem}{layer}.self_attn.adaption_prompt"] = (1, 3, width)
            tensors[f"{stem}{layer}.self_attn.adaption_gate"] = (1,)
    header, data = {}, b""
    for name, shape in tensors.items():
        count = 1
        for size in shape:
            count *= size
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *(rng.gauss(0, 0.2) for _ in range(count)))
    text = json.dumps(header).encode()
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    options = ({"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]} if kind == "LORA"
               else {"adapter_len": 3, "adapter_layers": layers, "target_modules": "self_attn"})
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": kind, **options}))


class EngineVerbs(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, value):
        path = self.folder / name
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def score(self, *args):
        done = dashf("score", "--json", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_merged_model_scores_as_base_and_adapter(self):
        write_adapter(self.folder / "adapter", "LORA")
        data = self.write("data.json", [{"instruction": a, "output": b} for a, b in PROMPTS])
        labels = self.write("labels.json", ["games", "libdevel", "science"])
        done = dashf("merge", "--model", MODEL, "--adapter", self.folder / "adapter", "--out",
                     self.folder / "merged")
        self.assertEqual(done.returncode, 0, done.stderr)
        options = ["--data", data, "--labels", labels]
        base = self.score("--model", MODEL, *options)
        both = self.score("--model", MODEL, "--adapter", self.folder / "adapter", *options)
        merged = self.score("--model", self.folder / "merged", *options)
        self.assertAlmostEqual(merged["loss_nat_per_token"], both["loss_nat_per_token"], delta=1e-4)
        self.assertGreater(abs(base["loss_nat_per_token"] - both["loss_nat_per_token"]), 1e-2)
        self.assertEqual(merged["choice_accuracy"], both["choice_accuracy"])
        self.assertEqual(both["examples"], 2)

    def test_weights_in_fewer_bits_move_the_loss_a_little(self):
        data = self.write("data.json", [{"instruction": a, "output": b} for a, b in PROMPTS])
        base = self.score("--model", MODEL, "--data", data)
        self.assertEqual(base["weights"], "float32")
        for weights, bound in (("float32", 0), ("bfloat16", 0.02), ("int8", 0.05), ("nf4", 0.5)):
            scored = self.score("--model", MODEL, "--data", data, "--weights", weights)
            self.assertEqual(scored["weights"], weights)
            difference = abs(scored["loss_nat_per_token"] - base["loss_nat_per_token"])
            self.assertLessEqual(difference, bound, weights)
            if weights in ("int8", "nf4"):
                self.assertGreater(difference, 0, weights)

    def test_second_start_takes_the_base_as_the_first_encoded_it(self):
        data = self.write("data.json", [{"instruction": a, "output": b} for a, b in PROMPTS])
        cache = self.folder / "cache"
        verbs = [("generate", "--model", MODEL, "--max-tokens", 3),
                 ("score", "--model", MODEL, "--data", data),
                 ("train", "--model", MODEL, "--data", data, "--steps", 1, "--threads", 1, "--out")]
        for number, verb in enumerate(verbs):
            said = []
            for start in range(3):
                out = [self.folder / f"out{number}{start}"] if verb[-1] == "--out" else []
                option = ["--base-cache", "none"] if start == 2 else []
                done = dashf(*verb, *out, "--weights", "nf4", *option, XDG_CACHE_HOME=str(cache))
                self.assertEqual(done.returncode, 0, done.stderr)
                said.append([line for line in done.stderr.splitlines() if line.startswith("base:")])
                if start > 0 and not out:
                    self.assertEqual(done.stdout, first)
                first = done.stdout
            self.assertRegex(said[0][0], "kept encoded in .* for the next start" if number == 0 else "has it encoded")
            self.assertRegex(said[1][0], f"nf4, as {cache}/dashf/nf4-.* has it encoded")
            self.assertEqual(said[2], [])
        for out in ("out21", "out22"):
            self.assertEqual((self.folder / out / "adapter_model.safetensors").read_bytes(),
                             (self.folder / "out20" / "adapter_model.safetensors").read_bytes())
        done = dashf(*verbs[0], "--weights", "int8", "--base-cache", self.folder / "own")
        self.assertEqual(len(list((self.folder / "own").glob("int8-*.base"))), 1, done.stderr)
        done = dashf(*verbs[0], "--weights", "int8", "--base-cache", "/proc/none")
        self.assertEqual(done.returncode, 0)
        self.assertIn("base: int8, not kept encoded in /proc/none", done.stderr)

    def train(self, out, *args, **environment):
        data = self.write("records.json", [{"instruction": a, "output": b} for a, b in 8 * PROMPTS])
        return dashf("train", "--model", MODEL, "--data", data, "--out", self.folder / out, "--threads", 1, "--steps", 12,
                     "--learning-rate", 0.01, "--json", *args, **environment)

    def test_training_in_bfloat16_ends_near_float32s_loss(self):
        losses = {}
        for arithmetic in ("float32", "bfloat16"):
            done = self.train(arithmetic, "--arithmetic", arithmetic)
            if NO_PRODUCTS in done.stderr:
                self.skipTest("this processor has " + NO_PRODUCTS)
            self.assertEqual(done.returncode, 0, done.stderr)
            data = self.folder / "records.json"
            losses[arithmetic] = self.score("--model", MODEL, "--data", data, "--adapter", self.folder / arithmetic)
        float32, bfloat16 = (losses[a]["loss_nat_per_token"] for a in ("float32", "bfloat16"))
        untrained = self.score("--model", MODEL, "--data", data)["loss_nat_per_token"]
        self.assertLess(float32, 0.5 * untrained)
        self.assertLess(abs(bfloat16 - float32), 0.01 * float32)
        self.assertNotEqual(bfloat16, float32)

    def test_a_processor_without_bfloat16_refuses_it_and_auto_is_float32(self):
        avx2 = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
        done = self.train("bfloat16", "--arithmetic", "bfloat16", **avx2)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("--arithmetic: this processor has " + NO_PRODUCTS, done.stderr)
        self.assertFalse((self.folder / "bfloat16").exists())
        for arithmetic in ("auto", "float32"):
            done = self.train(arithmetic, "--arithmetic", arithmetic, **avx2)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(json.loads(done.stdout)["arithmetic"], "float32")
        for name in ("adapter_config.json", "adapter_model.safetensors"):
            self.assertEqual((self.folder / "auto" / name).read_bytes(), (self.folder / "float32" / name).read_bytes())

    def profile(self, *args):
        data = self.write("records.json", [{"instruction": a, "output": b} for a, b in 8 * PROMPTS])
        out = self.folder / "profile.json"
        done = dashf("profile", "--model", self.folder / "model", "--data", data, "--out", out, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(out.read_text()), done.stderr

    def test_costs_of_many_layers_are_foretold_from_few(self):
        model = self.folder / "model"
        model.mkdir()
        config = json.loads((MODEL / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 40}))
        (model / "tokenizer.model").write_bytes((MODEL / "tokenizer.model").read_bytes())
        profile, said = self.profile("--extrapolate", "yes", "--objective", "full_depth")  # No weights.
        self.assertEqual(len(profile["local_flop_per_token"]), 41)
        self.assertEqual(profile["server_flop_per_token"], sorted(profile["server_flop_per_token"], reverse=True))
        memory = profile["local_memory_bytes"]
        self.assertEqual(memory[0], 0)
        self.assertGreater(memory[1], 4 * 40 * 12 * config["hidden_size"] ** 2 / 2)  # Half of the layers' weights.
        self.assertIn("median error", said)
        fewer, _ = self.profile("--extrapolate", "yes", "--objective", "full_depth", "--weights", "nf4")
        self.assertLess(fewer["local_memory_bytes"][1], memory[1] - 40 * 12 * config["hidden_size"] ** 2)

    def test_a_profile_is_checked_on_the_other_half_of_the_records(self):
        (self.folder / "model").symlink_to(MODEL)
        profile, said = self.profile("--check", "--epochs", "1")
        checks = [line.split() for line in said.splitlines() if line.startswith(("user", "server"))]
        self.assertEqual(len(checks), 2 * profile["layers"])
        for phase, layers, k, foretold_s, measured_s, error in checks:
            self.assertEqual(int(layers), profile["layers"])
            self.assertGreater(float(measured_s), 0)

    def test_too_few_layers_are_measured_not_foretold(self):
        model = self.folder / "model"
        model.mkdir()
        config = json.loads((MODEL / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 4}))
        (model / "tokenizer.model").write_bytes((MODEL / "tokenizer.model").read_bytes())
        data = self.write("records.json", [{"instruction": a, "output": b} for a, b in PROMPTS])
        done = dashf("profile", "--model", model, "--data", data, "--out", self.folder / "p.json",
                     "--extrapolate", "yes")
        self.assertEqual(done.returncode, 3)
        self.assertIn("needs a model of 5 layers at least, got 4", done.stderr)
        self.assertFalse((self.folder / "p.json").exists())

    def test_layers_of_two_costs_are_not_foretold_from_each_other(self):
        model = self.folder / "model"
        model.mkdir()
        config = {**json.loads((MODEL / "config.json").read_text()), "model_type": "qwen2", "num_hidden_layers": 8,
                  "use_sliding_window": True, "sliding_window": 32, "max_window_layers": 4}
        (model / "config.json").write_text(json.dumps(config))
        (model / "tokenizer.model").write_bytes((MODEL / "tokenizer.model").read_bytes())
        data = self.write("records.json", [{"instruction": a, "output": b} for a, b in PROMPTS])
        args = ["profile", "--model", model, "--data", data, "--out", self.folder / "p.json", "--extrapolate", "yes"]
        done = dashf(*args)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("needs layers of one cost, but 4 of 8 see the last 32 tokens alone and 2 examples are longer; "
                      "give --max-tokens 32", done.stderr)
        self.assertEqual(dashf(*args, "--max-tokens", 32).returncode, 0)

    def test_prompts_are_not_merged(self):
        write_adapter(self.folder / "adapter", "ADAPTION_PROMPT")
        done = dashf("merge", "--model", MODEL, "--adapter", self.folder / "adapter", "--out",
                     self.folder / "merged")
        self.assertEqual(done.returncode, 3)
        self.assertIn("ADAPTION_PROMPT cannot be merged", done.stderr)
        self.assertFalse((self.folder / "merged").exists())

    def test_sampled_text_depends_on_the_seed_alone(self):
        def text(seed):
            done = dashf("generate", "--model", MODEL, "--prompt", "Package: ", "--max-tokens", 30, "--temperature", 1,
                         "--top-k", 50, "--top-p", 0.95, "--seed", seed)
            self.assertEqual(done.returncode, 0, done.stderr)
            return done.stdout
        first = text(1)
        self.assertEqual(first, text(1))
        self.assertNotEqual(first, text(2))
        self.assertTrue(first.startswith("Package: "))

    def test_a_conversation_needs_a_form(self):
        messages = self.write("chat.json", {"messages": [{"role": "user", "content": "Hello"}]})
        done = dashf("generate", "--model", MODEL, "--messages", messages, "--max-tokens", 3)
        self.assertEqual(done.returncode, 3)
        self.assertIn("has no chat template", done.stderr)
        done = dashf("generate", "--model", MODEL, "--messages", messages, "--max-tokens", 3, "--template", "llama2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("[INST]", done.stdout)

    def test_conversations_and_text_are_scored(self):
        chat = self.write("chat.json", {"messages": [{"role": "user", "content": "a"},
                                                     {"role": "assistant", "content": "games"}]})
        self.assertEqual(self.score("--model", MODEL, "--data", chat, "--template", "llama2")["examples"], 1)
        text = self.write("text.txt", "Package: a\nSummary: text to be scored\n\n\nPackage: b\n")
        whole = self.score("--model", MODEL, "--data", text)
        cut = self.score("--model", MODEL, "--data", text, "--max-tokens", 8)
        self.assertEqual(whole["answer_tokens"], cut["answer_tokens"])
        self.assertGreater(cut["examples"], whole["examples"])

    def model_with(self, name, **files):
        """The model with other or further files: name -> bytes, text, or what json writes; None takes one out."""
        folder = self.folder / name
        shutil.copytree(MODEL, folder)
        for file, content in files.items():
            file = file.replace("__", ".")
            if content is None:
                (folder / file).unlink()
            else:
                (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))
        return folder

    def test_what_was_taken_of_the_data_is_told(self):
        data = self.write("data.json", [{"instruction": a, "output": b, "id": 7} for a, b in PROMPTS])
        done = dashf("score", "--model", MODEL, "--data", data, "--json")
        self.assertIn(f"{data}: 2 Alpaca records, 0 shortened to 512 tokens, 0 without an answer", done.stderr)
        self.assertIn("keys that are not read: id", done.stderr)
        self.assertEqual(json.loads(done.stdout)["data"],
                         {"format": "alpaca", "samples": 2, "sequences": 2, "tokens_max": 512, "shortened": 0,
                          "unanswered": 0, "keys_not_read": ["id"]})
        self.write("data.json", "id,instruction,output\n1,a,b\n")
        done = dashf("score", "--model", MODEL, "--data", data)
        self.assertEqual(done.returncode, 3)
        self.assertIn("is a table (CSV)", done.stderr)

    def test_a_record_with_nothing_to_learn_is_refused_by_train_as_by_score(self):
        config = {**json.loads((MODEL / "config.json").read_text()), "eos_token_id": None}
        tokenizer = {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "decoder": {"type": "Fuse"}}
        model = self.model_with("endless", config__json=config, tokenizer__json=tokenizer, tokenizer__model=None)
        data = self.write("data.json", [{"instruction": "a", "output": "b"}, {"instruction": "a", "output": ""}])
        for verb in ["score"], ["train", "--out", self.folder / "out"]:
            done = dashf(*verb, "--model", model, "--data", data)
            self.assertEqual(done.returncode, 3, done.stderr)
            self.assertIn("sample 2: has nothing to learn", done.stderr)
        self.write("data.json", [{"instruction": "a", "output": "b"}])
        done = dashf("score", "--model", model, "--data", data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nothing names the token that ends an answer", done.stderr)

    def test_generation_stops_at_whatever_any_file_names(self):
        free = dashf("generate", "--model", MODEL, "--prompt", "Package: ", "--max-tokens", 12)
        self.assertEqual(free.returncode, 0, free.stderr)
        ends = list(range(3, 2048))  # Any token at all but the first.
        model = self.model_with("ends", generation_config__json={"eos_token_id": ends})
        done = dashf("generate", "--model", model, "--prompt", "Package: ", "--max-tokens", 12)
        self.assertEqual(done.stdout, "Package: \n")
        self.assertGreater(len(free.stdout), len(done.stdout))

    def test_a_merged_folder_keeps_what_the_base_says(self):
        write_adapter(self.folder / "adapter", "LORA")
        config = {**json.loads((MODEL / "config.json").read_text()), "pad_token_id": 0, "of_mine": {"b": 1, "a": 2}}
        beside = {"added_tokens.json": "{}", "merges.txt": "#version", "vocab.json": "{}", "chat_template.json": "{}"}
        model = self.model_with("base", config__json=config,
                                **{name.replace(".", "__"): text for name, text in beside.items()})
        done = dashf("merge", "--model", model, "--adapter", self.folder / "adapter", "--out", self.folder / "merged",
                     "--precision", "bfloat16")
        self.assertEqual(done.returncode, 0, done.stderr)
        merged = json.loads((self.folder / "merged/config.json").read_text())
        self.assertEqual(merged, {**config, "torch_dtype": "bfloat16",
                                  "tie_word_embeddings": config["tie_word_embeddings"]})
        for name, text in beside.items():
            self.assertEqual((self.folder / "merged" / name).read_text(), text)

    def test_a_long_prompt_leaves_less_room_for_an_answer(self):
        positions = json.loads((MODEL / "config.json").read_text())["max_position_embeddings"]
        model = self.model_with("short", config__json={**json.loads((MODEL / "config.json").read_text()),
                                                       "max_position_embeddings": 40})
        self.assertGreater(positions, 40)
        prompt = ("--prompt", "Package: bb Summary: games")
        done = dashf("generate", "--model", model, *prompt)
        self.assertEqual(done.returncode, 0, done.stderr)
        said = re.search(r"--max-tokens (\d+): the prompt's (\d+) tokens leave no more of the model's 40 positions",
                         done.stderr)
        self.assertEqual(int(said[1]) + int(said[2]), 40)
        done = dashf("generate", "--model", model, *prompt, "--max-tokens", int(said[1]) + 1)
        self.assertEqual(done.returncode, 3)
        self.assertIn(f"--max-tokens: the prompt's {said[2]} tokens leave room for {said[1]}", done.stderr)
        done = dashf("generate", "--model", model, "--prompt", 50 * "word ")
        self.assertEqual(done.returncode, 3)
        self.assertIn("leave room for 0 of the model's 40 positions", done.stderr)

    def test_a_number_that_is_none_is_a_usage_error(self):
        model, train = ("--model", MODEL), ("train", "--model", MODEL, "--data", "none", "--out", self.folder / "none")
        for verb, flags in (((*train,), ("--alpha", "--learning-rate", "--clip", "--weight-decay", "--warmup",
                                         "--explosion-factor", "--held-out")),
                            (("generate", *model), ("--temperature", "--top-p")),
                            (("profile", *model, "--data", "none", "--out", "none"), ("--core-power-w",))):
            for flag in flags:
                for value in ("nan", "inf", "-inf", "-1", "x"):
                    done = dashf(*verb, f"{flag}={value}")
                    self.assertEqual(done.returncode, 2, f"{flag} {value}: {done.stderr}")
                    self.assertRegex(done.stderr, f"{flag}: must be a .*, got {value}")
        for flag, value in (("--explosion-factor", 1), ("--warmup", 3.5), ("--checkpoint-every", "infs"),
                            ("--checkpoint-every", "nans"), ("--learning-rate", 0)):
            done = dashf(*train, flag, value)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(f"{flag}: must be", done.stderr)

    def test_a_mistyped_flag_is_named_before_what_is_missing(self):
        for verb, said in ((("train", "--modle", "m"), 'there is no flag "--modle", did you mean "--model"?'),
                           (("train", "--modle=m", "--data", "d", "--out", "o"), 'did you mean "--model"?'),
                           (("generate", "--model", MODEL, "--promt", "a"), 'did you mean "--prompt"?'),
                           (("train", "--zzzzzzzzzzzzz"), 'there is no flag "--zzzzzzzzzzzzz"\n')):
            done = dashf(*verb)
            self.assertEqual(done.returncode, 2)
            self.assertIn(said, done.stderr)

    def test_messages_show_a_files_control_bytes_escaped(self):
        data = self.write("data.json", '[{"instruction": "a", "output": "b", "\\u001b[2Jk": 1}]')
        done = dashf("score", "--model", MODEL, "--data", data)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(r"keys that are not read: \x1b[2Jk", done.stderr)
        key = b"\x1b]0;owned\x07"
        header = b"GGUF" + struct.pack("<IQQ", 3, 0, 2)
        twice = (struct.pack("<Q", len(key)) + key + struct.pack("<II", 4, 1)) * 2
        (self.folder / "bad.gguf").write_bytes(header + twice)
        done = dashf("generate", "--model", self.folder / "bad.gguf")
        self.assertEqual(done.returncode, 3)
        self.assertNotIn("\x1b", done.stderr)
        self.assertIn(r"\x1b]0;owned\x07", done.stderr)

    def test_help_names_the_model_that_ships_by_its_place(self):
        self.assertIn("The model that ships: ", dashf("--help").stdout)
        for verb in ("generate", "score", "profile"):
            self.assertIn(f"--model {MODEL} ", dashf(verb, "--help").stdout)

    def test_one_document_is_too_few_to_hold_one_out(self):
        data = self.write("text.txt", "One document.")
        done = dashf("train", "--model", MODEL, "--data", data, "--out", self.folder / "out", "--held-out", 0.1)
        self.assertEqual(done.returncode, 3)
        self.assertIn("1 of its 1 samples are held out by --held-out 0.1", done.stderr)
        self.assertIn("--eval", done.stderr)

    def test_what_is_read_is_not_written_over(self):
        write_adapter(self.folder / "adapter", "LORA")
        base, adapter = self.model_with("base"), self.folder / "adapter"
        data = self.write("data.json", [{"instruction": "a", "output": "b"}])
        (self.folder / "link").symlink_to(base)
        done = dashf("export", adapter, "--model", base, "--gguf", adapter / "there.gguf")  # It may lie there.
        self.assertEqual(done.returncode, 0, done.stderr)
        gguf = adapter / "there.gguf"
        before = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        merge, train = ("merge", "--model", base), ("train", "--model", base, "--data", data, "--steps", 1)
        for verb in ((*merge, "--out", base), (*merge, "--out", f"{base}/"), (*merge, "--out", self.folder / "link"),
                     (*merge, "--out", base / "merged"), (*merge, "--adapter", adapter, "--out", adapter),
                     (*train, "--out", base), (*train, "--out", base / "adapter"),
                     (*train, "--out", self.folder / "none/../base"),
                     ("export", adapter, "--model", base, "--gguf", adapter / "adapter_model.safetensors"),
                     ("export", adapter, "--model", base, "--gguf", base / "model.safetensors"),
                     ("export", adapter, "--model", base, "--peft", adapter),
                     ("export", gguf, "--model", base, "--gguf", gguf),
                     ("export", gguf, "--model", base, "--peft", base),
                     ("profile", "--model", base, "--data", data, "--out", data)):
            done = dashf(*verb)
            self.assertEqual(done.returncode, 2, f"{verb} {done.stderr}")
            self.assertRegex(done.stderr, r"dashf: --(out|gguf|peft): must (be another place than|lie outside of)")
        after = {path: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        self.assertEqual(after, before)

    def test_a_merge_that_fails_leaves_nothing(self):
        out, limit = self.folder / "new/merged", (100_000, 100_000)  # As on a full disk.
        command = [BINARY, "merge", "--model", MODEL, "--out", out]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False,
                              preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(done.returncode, 10, done.stderr)
        self.assertFalse((self.folder / "new").exists())

    def test_folders_that_are_no_model_say_what_to_do(self):
        data = self.write("data.json", [{"instruction": "a", "output": "b"}])
        done = dashf("train", "--model", "meta-llama/Llama-3.2-1B", "--data", data, "--out", self.folder / "out")
        self.assertEqual(done.returncode, 10)
        self.assertIn("hf download meta-llama/Llama-3.2-1B", done.stderr)
        pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
        model = self.model_with("pointer", model__safetensors=pointer)
        done = dashf("score", "--model", model, "--data", data)
        self.assertEqual(done.returncode, 3)
        self.assertIn("model.safetensors: is a Git LFS pointer", done.stderr)

    def test_dropout_of_an_adapter_that_is_gone_on_with_is_told(self):
        write_adapter(self.folder / "adapter", "LORA")
        file = self.folder / "adapter/adapter_config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "lora_dropout": 0.25}))
        data = self.write("data.json", [{"instruction": "a", "output": "b"}])
        done = dashf("train", "--model", MODEL, "--adapter", self.folder / "adapter", "--data", data,
                     "--out", self.folder / "out", "--steps", 1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("its lora_dropout of 0.25 is not applied", done.stderr)
        alpha = json.loads((self.folder / "out/adapter_config.json").read_text())["lora_alpha"]
        self.assertIs(type(alpha), int)

    def test_sampling_options_need_a_temperature(self):
        done = dashf("generate", "--model", MODEL, "--top-k", 5)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--temperature", done.stderr)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
