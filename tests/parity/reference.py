"""Tiny random models and what Hugging Face transformers and PEFT make of them.

Everything is float32 on one thread of the CPU; base weights are bf16 numbers, so that files are
small and lose nothing."""
import contextlib
import copy

import torch
from peft import AdaptionPromptConfig, LoraConfig, get_peft_model
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

torch.set_num_threads(1)

STEPS = 10
LEARNING_RATE, WEIGHT_DECAY, NORM_MAX = 1e-2, 0.1, 1.0
SPLIT = 1  # k: the user trains this many layers.

SMALL = dict(vocab_size=40, hidden_size=24, intermediate_size=36, num_hidden_layers=3,
             num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=256,
             tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)
LLAMA3_ROPE = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0,
                   high_freq_factor=4.0, original_max_position_embeddings=128)
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def llama(**changes):
    return LlamaForCausalLM(LlamaConfig(**{**SMALL, **changes}))


def qwen2(**changes):
    return Qwen2ForCausalLM(Qwen2Config(**{**SMALL, **changes}))


def qwen3(**changes):
    return Qwen3ForCausalLM(Qwen3Config(**{**SMALL, **changes}))


def mistral(**changes):
    return MistralForCausalLM(MistralConfig(**{**SMALL, **changes}))


def smollm3(**changes):
    return SmolLM3ForCausalLM(SmolLM3Config(**{**SMALL, "pad_token_id": 0, **changes}))


def gemma3(**changes):
    return Gemma3ForCausalLM(Gemma3TextConfig(**{**SMALL, "pad_token_id": 0, **changes}))


def lora(**changes):
    return LoraConfig(**{**dict(r=4, lora_alpha=8, lora_dropout=0.0, task_type="CAUSAL_LM"), **changes})


def prompts(layers):
    return AdaptionPromptConfig(adapter_len=5, adapter_layers=layers, task_type="CAUSAL_LM")


# name: (model, adapter, largest shard)
CASES = {
    "llama_plain": (llama, lora(target_modules=["q_proj", "v_proj"]), "1GB"),
    "llama_grouped_queries_shards": (
        lambda: llama(num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-3),
        lora(target_modules=ALL), "12KB"),
    "llama3_rope_rslora": (
        lambda: llama(num_key_value_heads=1, head_dim=8, rope_parameters=LLAMA3_ROPE),
        lora(target_modules=["k_proj", "o_proj", "down_proj"], use_rslora=True), "1GB"),
    "llama_bias_patterns": (
        lambda: llama(num_key_value_heads=2, head_dim=10, attention_bias=True, mlp_bias=True),
        lora(target_modules=ALL,
             rank_pattern={"model.layers.1.self_attn.q_proj": 7, "q_proj": 2, "mlp.down_proj": 3},
             alpha_pattern={"^model.layers.0.self_attn.v_proj": 3, "v_proj": 24, "up_proj": 5}),
        "1GB"),
    "qwen2_some_layers": (
        lambda: qwen2(num_key_value_heads=2, tie_word_embeddings=True, rms_norm_eps=1e-6),
        lora(target_modules=["self_attn.q_proj", "k_proj", "v_proj", "gate_proj"],
             layers_to_transform=[0, 2]), "1GB"),
    "llama_prompts": (lambda: llama(num_key_value_heads=2), prompts(3), "1GB"),
    "llama_prompts_last_layers": (lambda: llama(tie_word_embeddings=True), prompts(2), "1GB"),
    "qwen3_window": (
        lambda: qwen3(num_key_value_heads=2, head_dim=10, tie_word_embeddings=True,
                      use_sliding_window=True, sliding_window=5, max_window_layers=2),
        lora(target_modules=ALL), "1GB"),
    "mistral_window": (
        lambda: mistral(num_key_value_heads=2, head_dim=8, sliding_window=4),
        lora(target_modules=ALL), "1GB"),
    "mistral_prompts": (
        lambda: mistral(num_key_value_heads=2, sliding_window=4), prompts(3), "1GB"),
    "smollm3_no_rope": (
        lambda: smollm3(num_key_value_heads=2, no_rope_layer_interval=2, use_sliding_window=True,
                        sliding_window=5, tie_word_embeddings=True,
                        rope_parameters=dict(rope_type="default", rope_theta=5000.0)),
        lora(target_modules=ALL), "1GB"),
    "gemma3_local_global": (
        lambda: gemma3(num_key_value_heads=2, head_dim=10, tie_word_embeddings=True,
                       query_pre_attn_scalar=12, sliding_window=4,
                       layer_types=["sliding_attention", "sliding_attention", "full_attention"],
                       rope_parameters=dict(
                           full_attention=dict(rope_type="linear", factor=4.0, rope_theta=10000.0),
                           sliding_attention=dict(rope_type="default", rope_theta=100.0))),
        lora(target_modules=ALL), "1GB"),
}

# Where the place in the table would be a seed for which ten steps of AdamW carry rounding along (see rounding_carried).
SEEDS = {"llama_grouped_queries_shards": 31, "llama3_rope_rslora": 32}


def seed_of(case):
    return SEEDS.get(case, list(CASES).index(case))


def randomise(model, generator):
    """Activations and gradients of order 1 everywhere, biases and norms included."""
    neutral = 0 if model.config.model_type == "gemma3_text" else 1  # Of a norm's weight.
    with torch.no_grad():
        for name, value in model.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            value.copy_(neutral + 0.2 * noise if "norm" in name else 0.25 * noise)
            value.copy_(value.bfloat16().float())


def make_model(case, seed):
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    make, adapter, shard = CASES[case]
    base = make()
    base.set_attn_implementation("eager")
    randomise(base, generator)
    model = get_peft_model(copy.deepcopy(base), copy.deepcopy(adapter))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if ".lora_B." in name or name.endswith("adaption_gate"):
                value.copy_(0.3 * torch.randn(value.shape, generator=generator))
    return base, model, shard


class Batch:
    """Right-padded sequences; the loss counts the tokens from answer_begin on."""

    def __init__(self, vocabulary, seed, rows=4, length=14):
        generator = torch.Generator().manual_seed(seed)
        draw = lambda low, high, shape: torch.randint(low, high, shape, generator=generator)
        self.tokens = draw(3, vocabulary, (rows, length))
        self.lengths = draw(length // 2, length + 1, (rows,))
        self.lengths[0] = length
        self.answer_begin = torch.stack([draw(1, int(n), (1,))[0] for n in self.lengths])
        self.mask = (torch.arange(length)[None] < self.lengths[:, None]).long()
        self.tokens *= self.mask
        counted = torch.arange(length)[None] >= self.answer_begin[:, None]
        self.labels = torch.where((self.mask > 0) & counted, self.tokens, -100)

    def run(self, model):
        return model(input_ids=self.tokens, attention_mask=self.mask, labels=self.labels, use_cache=False)


def adapter_key(name):
    """A parameter's name as its adapter file spells it."""
    return name.replace(".default", "")


def adapter_parameters(model):
    return {name: value for name, value in model.named_parameters()
            if ".lora_" in name or ".adaption_" in name}


def layer_of(name):
    return int(name.split(".layers.")[1].split(".")[0])


@contextlib.contextmanager
def only_layers(model, count):
    """The model cut after its first layers: the final norm and the head follow at once."""
    inner = model.get_base_model().model
    layers, total = inner.layers, inner.config.num_hidden_layers
    inner.layers, inner.config.num_hidden_layers = layers[:count], count
    yield
    inner.layers, inner.config.num_hidden_layers = layers, total


def train(model, batch, layers, exit_after):
    """Losses of AdamW's steps on the adapters of `layers`, the loss taken above `exit_after`."""
    model = copy.deepcopy(model)
    trained = []
    for name, value in adapter_parameters(model).items():
        value.requires_grad_(layer_of(name) in layers)
        if value.requires_grad:
            trained.append(value)
    if not trained:  # No adapter in these layers.
        with torch.no_grad(), only_layers(model, exit_after):
            return batch.run(model).loss.repeat(STEPS)
    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    losses = []
    with only_layers(model, exit_after):
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = batch.run(model).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, NORM_MAX)
            optimizer.step()
            losses.append(loss.item())
    return torch.tensor(losses)


def rounding_carried(model, batch):
    """How far float32's losses are from float64's. A gradient that is zero but for rounding makes steps of AdamW that
    no two implementations share; a case with such gradients says nothing of either. Without the mask of the padding,
    which stands behind everything that counts and which float64's windows turn into NaN."""
    batch = copy.copy(batch)
    batch.mask = None
    layers = model.get_base_model().config.num_hidden_layers
    single, double = (train(of, batch, range(layers), layers) for of in (model, copy.deepcopy(model).double()))
    return ((single - double).abs() / double).max().item()


def record(base, model, batch):
    """All numbers that an implementation must reproduce, by name."""
    layers = base.config.num_hidden_layers
    numbers = {"tokens": batch.tokens, "lengths": batch.lengths, "answer_begin": batch.answer_begin}
    with torch.no_grad():
        numbers["base_logits"] = batch.run(base).logits
    for value in adapter_parameters(model).values():
        value.requires_grad_(True)
    output = batch.run(model)
    output.loss.backward()
    numbers["logits"], numbers["loss"] = output.logits.detach(), output.loss.detach().reshape(1)
    for name, value in adapter_parameters(model).items():
        numbers["gradient." + adapter_key(name)] = value.grad.clone()
    user, server, every = range(SPLIT), range(SPLIT, layers), range(layers)
    numbers["losses.all_layers"] = train(model, batch, every, layers)
    numbers["losses.user_full_depth"] = train(model, batch, user, layers)
    numbers["losses.user_early_exit"] = train(model, batch, user, SPLIT)
    numbers["losses.server"] = train(model, batch, server, layers)
    return {name: value.contiguous() for name, value in numbers.items()}
