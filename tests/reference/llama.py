"""A Llama's forward pass in double precision and plain Python, for what `dashf score` says of small models: written from
the architecture alone, without the engine's code."""
import array
import json
import math
import pathlib
import struct


def read_tensors(path):
    """name -> rows (of a matrix) or values, of a safetensors file of F32."""
    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, told in json.loads(data[8:8 + length]).items():
        begin, end = (8 + length + at for at in told["data_offsets"])
        values = array.array("f", data[begin:end]).tolist()
        width = told["shape"][-1]
        tensors[name] = values if len(told["shape"]) == 1 else [
            values[at:at + width] for at in range(0, len(values), width)]
    return tensors


def product(matrix, vector):
    return [math.fsum(map(float.__mul__, row, vector)) for row in matrix]


def norm(weight, x, eps):
    scale = 1 / math.sqrt(math.fsum(v * v for v in x) / len(x) + eps)
    return [w * v * scale for w, v in zip(weight, x)]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = math.fsum(powers)
    return [p / total for p in powers]


def rotated(head, position, theta):
    half = len(head) // 2
    turned = [0.0] * len(head)
    for i in range(half):
        angle = position * theta ** (-i / half)
        cos, sin = math.cos(angle), math.sin(angle)
        turned[i] = head[i] * cos - head[i + half] * sin
        turned[i + half] = head[i + half] * cos + head[i] * sin
    return turned


def heads(matrix, x, size):
    flat = product(matrix, x)
    return [flat[at:at + size] for at in range(0, len(flat), size)]


class Llama:
    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.config = json.loads((folder / "config.json").read_text())
        self.tensors = read_tensors(folder / "model.safetensors")

    def attention(self, prefix, states):
        config, tensors = self.config, self.tensors
        queries_per_key = config["num_attention_heads"] // config["num_key_value_heads"]
        size = config["hidden_size"] // config["num_attention_heads"]
        keys, values, outputs = [], [], []
        for position, x in enumerate(states):
            turn = [rotated(head, position, config["rope_theta"])
                    for head in heads(tensors[prefix + "k_proj.weight"], x, size)]
            keys.append(turn)
            values.append(heads(tensors[prefix + "v_proj.weight"], x, size))
            mixed = []
            for h, head in enumerate(heads(tensors[prefix + "q_proj.weight"], x, size)):
                query, shared = rotated(head, position, config["rope_theta"]), h // queries_per_key
                weights = softmax([math.fsum(map(float.__mul__, query, key[shared])) / math.sqrt(size) for key in keys])
                mixed += [math.fsum(w * value[shared][i] for w, value in zip(weights, values)) for i in range(size)]
            outputs.append(product(tensors[prefix + "o_proj.weight"], mixed))
        return outputs

    def states(self, tokens):
        """Above the last norm, per position."""
        config, tensors, eps = self.config, self.tensors, self.config["rms_norm_eps"]
        states = [tensors["model.embed_tokens.weight"][token] for token in tokens]
        for layer in range(config["num_hidden_layers"]):
            prefix = f"model.layers.{layer}."
            normed = [norm(tensors[prefix + "input_layernorm.weight"], x, eps) for x in states]
            states = [[a + b for a, b in zip(x, y)]
                      for x, y in zip(states, self.attention(prefix + "self_attn.", normed))]
            for x in states:
                y = norm(tensors[prefix + "post_attention_layernorm.weight"], x, eps)
                gate, up = (product(tensors[f"{prefix}mlp.{name}_proj.weight"], y) for name in ("gate", "up"))
                inner = [g / (1 + math.exp(-g)) * u for g, u in zip(gate, up)]
                for i, v in enumerate(product(tensors[prefix + "mlp.down_proj.weight"], inner)):
                    x[i] += v
        return [norm(tensors["model.norm.weight"], x, eps) for x in states]

    def losses(self, tokens, answers):
        """Of each token in the spans [begin, end) of `answers`, in nat."""
        states = self.states(tokens)
        head = self.tensors.get("lm_head.weight", self.tensors["model.embed_tokens.weight"])
        losses = []
        for begin, end in answers:
            for at in range(begin, end):
                losses.append(-math.log(softmax(product(head, states[at - 1]))[tokens[at]]))
        return losses
