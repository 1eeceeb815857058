#!/usr/bin/env python3
"""Records src/gguf/testdata/blocks.json: drawn blocks of each type, decoded by the package gguf (PyPI, 0.19.0)."""
import json
import pathlib

import gguf
import numpy

TYPES = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 30]
random = numpy.random.default_rng(1)


def halves(count):
    return (random.standard_normal(count) * 10.0 ** random.integers(-4, 1, count)).astype(numpy.float16)


def draw(number, blocks):
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(number)]
    if number == 0:
        return random.standard_normal(blocks).astype(numpy.float32).view(numpy.uint8)
    if number == 1:
        return halves(blocks).view(numpy.uint8)
    data = random.integers(0, 256, (blocks, size), dtype=numpy.uint8)
    if number == 30:
        data[:, 1] &= 0xBF  # Magnitudes below 2.
        return data.reshape(-1)
    scales = {2: [0], 3: [0, 2], 6: [0], 7: [0, 2], 8: [0], 12: [0, 2], 13: [0, 2], 14: [208]}[number]
    for at in scales:
        data[:, at:at + 2] = halves(blocks).view(numpy.uint8).reshape(blocks, 2)
    return data.reshape(-1)


recorded = {}
for number in TYPES:
    kind = gguf.GGMLQuantizationType(number)
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = 3 if elements == 256 else 64 // elements
    data = draw(number, blocks)
    values = gguf.quants.dequantize(data.reshape(1, -1), kind).astype(numpy.float32)
    assert numpy.isfinite(values).all()
    recorded[str(number)] = {"bytes": data.tobytes().hex(), "float32": values.tobytes().hex()}
path = pathlib.Path(__file__).with_name("blocks.json")
path.write_text(json.dumps(recorded, indent=1) + "\n")
