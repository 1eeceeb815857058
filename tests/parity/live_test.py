#!/usr/bin/env python3
"""The engine beside transformers and PEFT, live: live_test.py DASHF_PARITY [MODEL_FOLDER...]

On fresh random models and the folders that are there (also stories260K in DASHF_SHARED_DATA): both read the same model and have the same logits;
an adapter that PEFT wrote has PEFT's logits in the engine; an adapter that the engine trained and
wrote loads in PEFT with every tensor in its place, and has the engine's logits there. Exits 77
(skipped) without the packages of requirements.txt; DASHF_HF_PYTHON names a Python that has them."""
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

try:
    import peft
    import torch
    import transformers
    from safetensors.torch import load_file, save_file
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}; tests/parity/requirements.txt has what is needed")
    sys.exit(77)

import reference

TOLERANCE = 1e-5
transformers.utils.logging.disable_progress_bar()
warnings.simplefilter("ignore", FutureWarning)


def difference(ours, theirs):
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def peft_has_prompts(config):
    """PEFT has none but for these, adds the output's bias twice, and expects the heads to fill the state."""
    return (config.model_type in ("llama", "mistral") and not getattr(config, "attention_bias", False)
            and config.head_dim * config.num_attention_heads == config.hidden_size)


def adapter_is_lora(model):
    return model.peft_config["default"].peft_type == "LORA"


class Live:
    def __init__(self, engine, work):
        self.engine, self.work, self.failures = engine, work, 0

    def run(self, *arguments):
        subprocess.run([self.engine, *map(str, arguments)], check=True)

    def logits(self, model, tokens, *adapter):
        self.run("logits", model, tokens, self.work / "logits", *adapter)
        return load_file(self.work / "logits")["logits"]

    def report(self, what, value):
        self.failures += not value <= TOLERANCE
        print(f"{'ok' if value <= TOLERANCE else 'FAILED'}  {what}: {value:.1e}")

    def check_folder(self, name, folder, adapter=None):
        """`adapter`: a folder that PEFT wrote for this model."""
        base = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation="eager")
        generator = torch.Generator().manual_seed(99)
        tokens = torch.randint(3, base.config.vocab_size, (3, 20), generator=generator)
        save_file({"tokens": tokens}, self.work / "tokens")
        with torch.no_grad():
            self.report(f"{name}: logits", difference(
                self.logits(folder, self.work / "tokens"), base(input_ids=tokens).logits))
        if adapter:
            self.check_adapter(f"{name}: PEFT's adapter", base, folder, tokens, adapter)
        for kind in ["lora", "prompt"]:
            if kind == "prompt" and not peft_has_prompts(base.config):
                continue
            trained = self.work / f"{name}_{kind}"
            self.run("train", folder, self.work / "tokens", trained, kind)
            self.check_adapter(f"{name}: the engine's {kind}", base, folder, tokens, trained)

    def check_adapter(self, what, base, folder, tokens, adapter):
        with warnings.catch_warnings():  # PEFT only warns of tensors that it misses.
            warnings.simplefilter("error", UserWarning)
            model = peft.PeftModel.from_pretrained(base, adapter)
        with torch.no_grad():
            theirs = model(input_ids=tokens, use_cache=False).logits
        self.report(what, difference(self.logits(folder, self.work / "tokens", adapter), theirs))
        if adapter_is_lora(model):
            model.unload()
        else:
            model.base_model.disable_adapter_layers()


def main():
    with tempfile.TemporaryDirectory() as work:
        live = Live(sys.argv[1], pathlib.Path(work))
        for seed, case in enumerate(reference.CASES, start=100):
            base, model, shard = reference.make_model(case, seed)
            base.save_pretrained(live.work / case, max_shard_size=shard)
            model.save_pretrained(live.work / f"{case}_adapter")
            live.check_folder(case, live.work / case, live.work / f"{case}_adapter")
        shared = os.environ.get("DASHF_SHARED_DATA", str(pathlib.Path(__file__).parents[3] / "shared/data"))
        for folder in [*sys.argv[2:], os.path.join(shared, "stories260K")]:
            if os.path.isdir(folder):
                live.check_folder(os.path.basename(folder), folder)
    return 1 if live.failures else 0


if __name__ == "__main__":
    sys.exit(main())
