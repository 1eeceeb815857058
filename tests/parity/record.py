#!/usr/bin/env python3
"""Writes tests/parity/recorded: per case a model folder and an adapter folder as transformers and
PEFT save them, and numbers.safetensors with what they compute (see reference.py). Run it in an
environment with requirements.txt: record.py [CASE...], all cases by default.
src/autograd/parity_test.cc holds the engine against the files."""
import pathlib
import shutil
import sys

from safetensors.torch import save_file

import reference

KEPT = {"config.json", "adapter_config.json", "model.safetensors.index.json"}


def main():
    root = pathlib.Path(__file__).parent / "recorded"
    for case in sys.argv[1:] or reference.CASES:
        seed = reference.seed_of(case)
        shutil.rmtree(root / case, ignore_errors=True)
        base, model, shard = reference.make_model(case, seed)
        batch = reference.Batch(base.config.vocab_size, seed)
        numbers = reference.record(base, model, batch)
        carried = reference.rounding_carried(model, batch)
        assert carried < 1e-5, f"{case}: ten steps carry rounding to {carried:.1e}; give it another seed"
        base.bfloat16().save_pretrained(root / case / "model", max_shard_size=shard)
        model.save_pretrained(root / case / "adapter")
        save_file(numbers, root / case / "numbers.safetensors")
        print(f"{case}: loss {numbers['loss'].item():.4f}, trained {numbers['losses.all_layers'][-1]:.4f}")
    for path in root.rglob("*"):
        if path.is_file() and path.name not in KEPT and path.suffix != ".safetensors":
            path.unlink()
    print(sum(path.stat().st_size for path in root.rglob("*") if path.is_file()), "bytes")


if __name__ == "__main__":
    sys.exit(main())
