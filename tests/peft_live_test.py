#!/usr/bin/env python3
"""Adapters that `dashf` writes, loaded by PEFT, and models that it writes, loaded by transformers: without a warning, with
every field of the type that its reader declares, and with the loss that dashf has. peft_live_test.py DASHF_BINARY
TOKENIZER_MODEL. Exits 77 (skipped) without the packages of parity/requirements.txt; DASHF_HF_PYTHON names a Python that
has them."""
import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
import typing
import unittest
import warnings

try:
    import peft
    import torch
    import transformers
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)

import own_cache
from tiny_model import CONFIG, write_model, write_records

BINARY, TOKENIZER = sys.argv[1:3]
transformers.utils.logging.disable_progress_bar()


class Said(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def silence(test):
    """Fails on whatever the two packages warn of, in either way."""
    said, loggers = Said(), [logging.getLogger(name) for name in ("peft", "transformers")]
    for logger in loggers:
        logger.addHandler(said)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(said)
    told = [*said.lines, *(str(one.message) for one in warned)]
    # What one package says of the other, whatever is loaded.
    test.assertEqual([line for line in told if "is deprecated" not in line], [])


def wanted(hint, value):
    """Whether a value read from JSON is what a declared type says; of unknown types anything is."""
    kinds = typing.get_args(hint) or (hint,)
    if int in kinds and not {float, str, list, dict} & set(kinds):
        return value is None or type(value) is int
    return True


class Files(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.model, cls.data = cls.root / "model", cls.root / "data.json"
        write_model(cls.model, TOKENIZER, CONFIG | {"bos_token_id": 1, "eos_token_id": 2})
        write_records(cls.data, 8, 1)

    def dashf(self, *args):
        done = subprocess.run([BINARY, *map(str, args)], capture_output=True, text=True, timeout=100, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def train(self, name, *args):
        self.dashf("train", "--model", self.model, "--data", self.data, "--out", self.root / name, "--steps", 4,
                   "--learning-rate", 0.01, *args)
        return self.root / name

    def logits(self, model, tokens):
        with torch.no_grad():
            return model(input_ids=tokens, use_cache=False).logits

    def assert_loads(self, adapter, untyped=None):
        """As PEFT loads it: its configuration's types, but for the key `untyped`, and that it changes the base."""
        told = json.loads((adapter / "adapter_config.json").read_text())
        kind = peft.PEFT_TYPE_TO_CONFIG_MAPPING[told["peft_type"]]
        hints = typing.get_type_hints(kind)
        self.assertEqual(set(told) - {field.name for field in dataclasses.fields(kind)}, set())
        for key, value in told.items():
            self.assertTrue(key == untyped or wanted(hints[key], value), f"{key}: {value!r} is no {hints[key]}")
        base = transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
        tokens = torch.arange(3, 40).unsqueeze(0)
        before = self.logits(base, tokens)
        with silence(self):
            peft.PeftConfig.from_pretrained(adapter)
            model = peft.PeftModel.from_pretrained(base, adapter)
        self.assertGreater((self.logits(model, tokens) - before).abs().max().item(), 1e-4)

    def test_lora_of_every_kind(self):
        every = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
        for name, flags in {"default": (), "every": ("--targets", every, "--rank", 3, "--alpha", 6),
                            "rslora": ("--rslora", "--alpha", 4), "fraction": ("--alpha", 2.5),
                            "user": ("--phase", "user", "--split", 1)}.items():
            with self.subTest(name):
                self.assert_loads(self.train(name, *flags), "lora_alpha" if name == "fraction" else None)
        with self.subTest("server"):
            self.assert_loads(self.train("server", "--phase", "server", "--split", 1, "--adapter", self.root / "user"))

    def test_prompts(self):
        self.assert_loads(self.train("prompts", "--kind", "adaption_prompt", "--prompt-length", 3))

    def test_ranks_and_scales_of_modules_of_their_own(self):
        base = transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
        config = peft.LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], rank_pattern={"q_proj": 2},
                                 alpha_pattern={"layers.1.mlp.down_proj": 16}, layers_to_transform=[0, 1],
                                 task_type="CAUSAL_LM")
        peft.get_peft_model(base, config).save_pretrained(self.root / "theirs")
        self.assert_loads(self.train("patterns", "--adapter", self.root / "theirs"))

    def test_what_a_configuration_covers(self):
        """Adapters of every coverage that PEFT can write, merged by dashf, against PEFT's own logits."""
        tokens = torch.arange(3, 40).unsqueeze(0)
        for i, (targets, options) in enumerate([
                (r".*\.[qv]_proj", {}), (r"model\.layers\.[02]\.(self_attn\.(k|o)_proj|mlp\.up_proj)", {}),
                (r"(?i).*layers\.(?!1).*_PROJ", {}), ("all-linear", {}),
                (["q_proj", "down_proj"], {"exclude_modules": ["1.self_attn.q_proj", "0.mlp.down_proj"]}),
                (["q_proj", "down_proj"], {"exclude_modules": r".*layers\.[12].*q_proj"}),
                (r".*_proj|lm_head", {"exclude_modules": "lm_head|.*[^k]_proj"}),
                (["v_proj"], {"layers_to_transform": [0, 2], "layers_pattern": "layers"})]):
            with self.subTest(f"{targets} {options}"):
                base = transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
                model = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM",
                                                                  init_lora_weights=False, **options))
                adapter, out = self.root / f"covers{i}", self.root / f"covered{i}"
                model.save_pretrained(adapter)
                self.dashf("merge", "--model", self.model, "--adapter", adapter, "--out", out)
                merged = transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32)
                torch.testing.assert_close(self.logits(merged, tokens), self.logits(model, tokens), rtol=1e-4, atol=1e-4)

    def test_what_peft_refuses_is_refused(self):
        adapter = self.train("refused")
        file = adapter / "adapter_config.json"
        sound = json.loads(file.read_text())
        for key, value in (("target_modules", "["), ("target_modules", "q_proj"), ("target_modules", ".*self_attn"),
                           ("exclude_modules", ["q_proj", "v_proj"]), ("layers_pattern", "layers"),
                           ("task_type", "TEXT"), ("layers_to_transform", [9])):
            with self.subTest(f"{key} {value}"):
                file.write_text(json.dumps(sound | {key: value}))
                base = transformers.AutoModelForCausalLM.from_pretrained(self.model, dtype=torch.float32)
                with self.assertRaises(Exception):
                    peft.PeftModel.from_pretrained(base, adapter)
                done = subprocess.run([BINARY, "merge", "--model", self.model, "--adapter", adapter, "--out",
                                       self.root / "none"], capture_output=True, text=True, timeout=100, check=False)
                self.assertEqual(done.returncode, 3, done.stderr)
                self.assertIn(f"{file}: ", done.stderr)
                self.assertIn(key, done.stderr)

    def test_one_that_came_through_llama_cpps_file(self):
        adapter, file = self.train("there"), self.root / "there.gguf"
        self.dashf("export", adapter, "--model", self.model, "--gguf", file)
        self.dashf("export", file, "--model", self.model, "--peft", self.root / "back")
        self.assert_loads(self.root / "back")

    def test_a_merged_models_configuration_is_its_bases(self):
        for model in sorted((pathlib.Path(__file__).parent / "parity/recorded").glob("*/model")):
            with self.subTest(model.parent.name):
                out = self.root / model.parent.name
                self.dashf("merge", "--model", model, "--out", out, "--precision", "bfloat16")  # As theirs.
                with silence(self):
                    ours, theirs = (transformers.AutoConfig.from_pretrained(folder).to_dict() for folder in (out, model))
                for config in ours, theirs:
                    config.pop("_name_or_path", None)
                self.assertEqual(ours, theirs)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
