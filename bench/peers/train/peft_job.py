#!/usr/bin/env python3
"""PyTorch, transformers and PEFT beside the engine: carries out one job of `dashf bench train`.

  DASHF_HF_PYTHON=venv/bin/python dashf bench train --peer bench/peers/train/peft_job.py

Their settings are what an expert would choose: float32 as asked, scaled dot-product attention where
there is any, no attention mask (batches are padded at their ends, to their longest sequence), the
output head on the answers' positions alone, the fused optimiser where there is one, no gradient
checkpointing. Memory is stated without a CUDA build's own libraries. DASHF_HF_PYTHON names a Python that has the packages of requirements.txt."""
import argparse
import json
import os
import sys
import time
import warnings

try:
    import peft
    import torch
    import transformers
except ImportError as error:
    python = os.environ.get("DASHF_HF_PYTHON")
    if not python or os.path.abspath(python) == sys.executable:
        sys.exit(f"{error}; bench/peers/train/requirements.txt has what is needed, and "
                 "DASHF_HF_PYTHON names a Python that has it")
    os.execv(python, [python, *sys.argv])

warnings.simplefilter("ignore", FutureWarning)
if hasattr(transformers.utils.logging, "disable_progress_bar"):
    transformers.utils.logging.disable_progress_bar()


def memory_bytes(key):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key + ":"))


def cuda_bytes():
    """Resident of the libraries that a CUDA build of torch loads, and a CPU build does not have."""
    total, counts = 0, False
    with open("/proc/self/smaps", encoding="ascii") as maps:
        for line in maps:
            words = line.split()
            if not words[0].endswith(":"):  # A mapping's address and file.
                counts = any(part in words[-1] for part in ("/nvidia/", "_cuda.so", "_nvshmem.so"))
            elif counts and words[0] == "Rss:":
                total += int(words[1]) * 1024
    return total


def say(**fields):
    print(json.dumps(fields), flush=True)


def load(job, precision):
    """The base with the adapter on it, and the attention that it got."""
    attention = "sdpa" if hasattr(torch.nn.functional, "scaled_dot_product_attention") else "eager"
    dtype = "dtype" if int(transformers.__version__.split(".")[0]) >= 5 else "torch_dtype"
    base = transformers.AutoModelForCausalLM.from_pretrained(
        job["model"], attn_implementation=attention, **{dtype: precision})
    base.config.use_cache = False
    return peft.PeftModel.from_pretrained(base, job["adapter"], is_trainable=True), attention


class Batch:
    """Right-padded; `rows` are the positions, row by row, whose next token the loss counts."""

    def __init__(self, examples):
        longest = max(len(example["tokens"]) for example in examples)
        self.tokens = torch.zeros(len(examples), longest, dtype=torch.long)
        rows, targets = [], []
        for row, example in enumerate(examples):
            tokens = example["tokens"]
            self.tokens[row, :len(tokens)] = torch.tensor(tokens)
            for answer in example["answers"]:
                rows += [row * longest + t - 1 for t in range(answer["begin"], answer["end"])]
                targets += tokens[answer["begin"]:answer["end"]]
        self.rows, self.targets = torch.tensor(rows), torch.tensor(targets)


def mean_loss(causal, plain, batch):
    if plain:
        labels = torch.full_like(batch.tokens, -100).flatten()
        labels[batch.rows + 1] = batch.targets
        return causal(input_ids=batch.tokens, labels=labels.view_as(batch.tokens)).loss
    hidden = causal.model(input_ids=batch.tokens).last_hidden_state.flatten(0, 1)
    logits = causal.lm_head(hidden[batch.rows]).float()
    return torch.nn.functional.cross_entropy(logits, batch.targets)


def make_optimizer(parameters, job):
    settings = dict(lr=job["learning_rate"], weight_decay=job["weight_decay"])
    try:
        return torch.optim.AdamW(parameters, fused=True, **settings)
    except (TypeError, RuntimeError):  # torch 1.13 has none; some later ones, none for the CPU.
        return torch.optim.AdamW(parameters, **settings)


def train(phase, loss_of, batch, parameters, job, epochs):
    clock = time.process_time if job["processor_time"] else time.perf_counter
    begin = clock()
    optimizer = make_optimizer(parameters, job)
    for _ in range(epochs):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, job["gradient_norm_max"])
        optimizer.step()
        say(phase=phase, loss=loss.item(), elapsed_s=clock() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--plain", action="store_true",
                        help="the loss that the model computes from labels, with the head on all positions")
    parser.add_argument("--bfloat16", action="store_true", help="with the base in bfloat16")
    parser.add_argument("job", help="a file that `dashf bench train` wrote")
    flags = parser.parse_args()
    with open(flags.job, encoding="utf-8") as file:
        job = json.load(file)
    if job["trains"] != "all_layers":
        sys.exit(f"{flags.job}: trains {job['trains']}, and PEFT knows all layers alone")
    torch.set_num_threads(job["threads"])
    model, attention = load(job, torch.bfloat16 if flags.bfloat16 else torch.float32)
    causal = model.get_base_model()
    causal.train()
    parameters = [value for value in model.parameters() if value.requires_grad]
    batches = [Batch(examples) for examples in job["batches"]]
    loaded_bytes = memory_bytes("VmRSS")

    def loss_of(batch):
        return mean_loss(causal, flags.plain, batch)

    if flags.compile:
        loss_of = torch.compile(loss_of)
    for phase, (batch, epochs) in enumerate((p["batch"], p["epochs"]) for p in job["phases"]):
        train(phase, loss_of, batches[batch], parameters, job, epochs)
    cuda = cuda_bytes()
    say(program=f"PyTorch {torch.__version__.split('+')[0]}" + ", compiled" * flags.compile +
        ", plain" * flags.plain + " bfloat16" * flags.bfloat16,
        settings=f"transformers {transformers.__version__}, PEFT {peft.__version__}, {attention} attention",
        loaded_bytes=loaded_bytes - cuda, peak_bytes=memory_bytes("VmHWM") - cuda)


if __name__ == "__main__":
    main()
