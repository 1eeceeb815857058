#include "train/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "train/llama.h"

namespace dashf::train {
namespace {

Expected<Projection> ProjectionOf(const std::string& target) {
  const auto found = std::find(kProjectionNames.begin(), kProjectionNames.end(), target);
  if (found == kProjectionNames.end()) {
    return Fail(ErrorKind::kBadInput,
                "lora.targets",
                fmt::format("must be q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj or "
                            "down_proj, got \"{}\"",
                            target));
  }
  return static_cast<Projection>(found - kProjectionNames.begin());
}

Expected<void> CheckFactor(const std::string& where,
                           const std::vector<float>& values,
                           std::int64_t rows,
                           std::int64_t columns) {
  if (std::ssize(values) != rows * columns) {
    return Fail(ErrorKind::kBadInput,
                where,
                fmt::format("must hold {} x {} values, got {}", rows, columns, values.size()));
  }
  if (!std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) {
    return Fail(ErrorKind::kBadInput, where, "has a value that is not finite");
  }
  return {};
}

}  // namespace

double LoraConfig::Scale() const {
  return alpha / (rank_stabilized ? std::sqrt(static_cast<double>(rank)) : rank);
}

Expected<void> CheckLora(const LoraConfig& lora) {
  if (lora.rank < 1 || lora.rank > 4096) {
    return Fail(
        ErrorKind::kBadInput, "lora.rank", fmt::format("must be in [1, 4096], got {}", lora.rank));
  }
  if (!(lora.alpha > 0.0 && std::isfinite(lora.alpha))) {
    return Fail(ErrorKind::kBadInput, "lora.alpha", fmt::format("must be > 0, got {}", lora.alpha));
  }
  if (lora.targets.empty()) return Fail(ErrorKind::kBadInput, "lora.targets", "must not be empty");
  for (auto it = lora.targets.begin(); it != lora.targets.end(); ++it) {
    if (auto known = ProjectionOf(*it); !known) return tl::unexpected(known.error());
    if (std::count(lora.targets.begin(), it, *it) > 0) {
      return Fail(ErrorKind::kBadInput, "lora.targets", fmt::format("names {} twice", *it));
    }
  }
  return {};
}

Expected<ProjectionShape> ShapeOf(const ModelConfig& model, const std::string& target) {
  const Expected<Projection> projection = ProjectionOf(target);
  if (!projection) return tl::unexpected(projection.error());
  const auto [out, in] = WeightShape(model, *projection);
  return ProjectionShape{static_cast<int>(in), static_cast<int>(out)};
}

Expected<Adapter> InitialAdapter(const ModelConfig& model,
                                 const LoraConfig& lora,
                                 std::uint64_t seed) {
  if (auto sound = CheckLora(lora); !sound) return tl::unexpected(sound.error());
  Adapter adapter{lora, {}};
  const auto rank = static_cast<std::size_t>(lora.rank);
  for (int layer = 0; layer < model.layers; ++layer) {
    const Rng rng = Rng(seed).Stream("lora").Stream(static_cast<std::uint64_t>(layer));
    std::vector<LoraPair>& pairs = adapter.layers.emplace_back();
    for (const std::string& target : lora.targets) {
      const ProjectionShape shape = *ShapeOf(model, target);
      const double bound = 1.0 / std::sqrt(static_cast<double>(shape.in));
      Rng draw = rng.Stream(target);
      LoraPair& pair = pairs.emplace_back();
      pair.a.resize(rank * static_cast<std::size_t>(shape.in));
      for (float& value : pair.a) value = static_cast<float>(draw.Uniform(-bound, bound));
      pair.b.assign(rank * static_cast<std::size_t>(shape.out), 0.0F);
    }
  }
  return adapter;
}

Expected<void> CheckAdapter(const Adapter& adapter, const ModelConfig& model) {
  const LoraConfig& lora = adapter.config;
  if (auto sound = CheckLora(lora); !sound) return sound;
  if (std::ssize(adapter.layers) != model.layers) {
    return Fail(ErrorKind::kBadInput,
                "adapter",
                fmt::format("must have {} layers, got {}", model.layers, adapter.layers.size()));
  }
  for (std::size_t i = 0; i < adapter.layers.size(); ++i) {
    const std::string layer = fmt::format("adapter.layers[{}]", i);
    if (adapter.layers[i].size() != lora.targets.size()) {
      return Fail(ErrorKind::kBadInput, layer, "must have one pair per target");
    }
    for (std::size_t j = 0; j < lora.targets.size(); ++j) {
      const ProjectionShape shape = *ShapeOf(model, lora.targets[j]);
      const LoraPair& pair = adapter.layers[i][j];
      const std::string where = layer + "." + lora.targets[j];
      if (auto a = CheckFactor(where + ".a", pair.a, lora.rank, shape.in); !a) return a;
      if (auto b = CheckFactor(where + ".b", pair.b, shape.out, lora.rank); !b) return b;
    }
  }
  return {};
}

std::int64_t BytesPerLayer(const ModelConfig& model, const LoraConfig& lora) {
  std::int64_t values = 0;
  for (const std::string& target : lora.targets) {
    const Expected<ProjectionShape> shape = ShapeOf(model, target);
    if (shape) values += std::int64_t{lora.rank} * (shape->in + shape->out);
  }
  return values * std::int64_t{sizeof(float)};
}

}  // namespace dashf::train
