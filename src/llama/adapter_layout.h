// Where an adapter's tensors lie in one flat vector, layer by layer, so that the parameters of any
// range of layers are one stretch of it; a gradient has the same layout.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "llama/config.h"

namespace dashf::llama {

// LoRA (Hu et al. 2021, arXiv:2106.09685) on one projection: a (rank, in), b (out, rank).
struct LoraPlace {
  int rank = 0;  // 0: none.
  double scale = 1.0;
  std::int64_t a = 0, b = 0;  // Where each begins.
};

// LLaMA-Adapter (Zhang et al. 2023, arXiv:2303.16199): prompt (length, d), gate (1).
struct PromptPlace {
  int length = 0;  // 0: none.
  std::int64_t prompt = 0, gate = 0;
};

struct LayerPlaces {
  std::array<LoraPlace, kProjections> lora;
  PromptPlace prompt;
  std::int64_t begin = 0, end = 0;  // All of the layer's.
};

struct AdapterLayout {
  std::vector<LayerPlaces> layers;
  std::int64_t size = 0;
};

// Rank and scale of every projection of every layer, and the prompts' length; the places follow.
AdapterLayout PlaceAdapter(const ModelConfig& config, std::vector<LayerPlaces> layers);

// One user's adapter in a batch of several: what rows of this slot pass through.
template <class T>
struct Slot {
  const T* parameters = nullptr;  // [layout.size]
  T* gradient = nullptr;          // [layout.size], added to in the trained layers alone.
};

// The rows first..first + count - 1 belong to this slot.
struct SlotRows {
  int slot = 0;
  std::int64_t first = 0, count = 0;
};

}  // namespace dashf::llama
