"""Hostile model folders from outside. Usage: model_folders_cli_test.py DASHF_BINARY [unittest options]"""
import json
import math
import struct

from command_line import Case, dashf, main


class ModelFolders(Case):
    """Hostile model folders are refused before anything is allocated."""

    CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
              "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "num_key_value_heads": 2, "vocab_size": 16, "max_position_embeddings": 32,
              "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
              "tie_word_embeddings": True}

    def refused(self, weights, *words):
        (self.folder / "config.json").write_text(json.dumps(self.CONFIG))
        (self.folder / "model.safetensors").write_bytes(weights)
        self.assert_fails(dashf("generate", "--model", self.folder, "--max-tokens", 1), 3, *words)

    @staticmethod
    def safetensors(header, data=b""):
        text = json.dumps(header).encode()
        return struct.pack("<Q", len(text)) + text + data

    def test_missing_folder(self):
        self.assert_fails(dashf("generate", "--model", self.folder / "none", "--max-tokens", 1), 10,
                          "none")

    def test_header_length_of_two_to_the_63(self):
        self.refused(struct.pack("<Q", 1 << 63) + b"{}", "model.safetensors", "header")

    def test_overlapping_offsets(self):
        entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
        self.refused(self.safetensors({"a": entry, "b": entry}, bytes(8)), "model.safetensors",
                     "b.data_offsets", "at 8, got 0")

    def test_wrong_shape(self):
        layer = "model.layers.0."
        shapes = {"model.embed_tokens.weight": [16, 7], "model.norm.weight": [8],
                  layer + "input_layernorm.weight": [8],
                  layer + "post_attention_layernorm.weight": [8],
                  **{f"{layer}self_attn.{name}_proj.weight": [8, 8] for name in "qkvo"},
                  layer + "mlp.gate_proj.weight": [16, 8], layer + "mlp.up_proj.weight": [16, 8],
                  layer + "mlp.down_proj.weight": [8, 16]}
        header, end = {}, 0
        for name, shape in shapes.items():
            begin, end = end, end + 4 * math.prod(shape)
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
        self.refused(self.safetensors(header, bytes(end)), "model.embed_tokens.weight", "[16, 8]",
                     "[16, 7]")


if __name__ == "__main__":
    main()
