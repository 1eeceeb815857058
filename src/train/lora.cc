#include "train/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
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

// The pattern's value for this module, `otherwise` if no key fits.
template <class T>
T ValueOf(const std::map<std::string, T>& pattern, std::string_view module, T otherwise) {
  for (const auto& [key, value] : pattern) {
    if (key.starts_with('^') ? module == std::string_view(key).substr(1)
                             : NamesModule(key, module)) {
      return value;
    }
  }
  return otherwise;
}

Expected<void> CheckRank(const std::string& where, int rank) {
  if (rank >= 1 && rank <= 4096) return {};
  return Fail(ErrorKind::kBadInput, where, fmt::format("must be in [1, 4096], got {}", rank));
}

Expected<void> CheckAlpha(const std::string& where, double alpha) {
  if (alpha > 0.0 && std::isfinite(alpha)) return {};
  return Fail(ErrorKind::kBadInput, where, fmt::format("must be > 0, got {}", alpha));
}

// A regular expression that is more than a name would need PEFT's own engine to mean the same.
Expected<void> CheckPatternKey(const std::string& where, std::string_view key) {
  const std::string_view name = key.substr(key.starts_with('^') ? 1 : 0);
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '.';
  });
  if (plain && !name.empty()) return {};
  return Fail(ErrorKind::kBadInput,
              where,
              fmt::format("must name modules without regular expressions, got \"{}\"", key));
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

std::string ModuleName(int layer, const std::string& target) {
  const bool attention =
      target == "q_proj" || target == "k_proj" || target == "v_proj" || target == "o_proj";
  return fmt::format("model.layers.{}.{}.{}", layer, attention ? "self_attn" : "mlp", target);
}

bool NamesModule(std::string_view part, std::string_view module) {
  return module == part ||
         (module.ends_with(part) && module[module.size() - part.size() - 1] == '.');
}

int LoraConfig::Rank(int layer, const std::string& target) const {
  return ValueOf(rank_pattern, ModuleName(layer, target), rank);
}

double LoraConfig::Scale(int layer, const std::string& target) const {
  const double r = Rank(layer, target);
  return ValueOf(alpha_pattern, ModuleName(layer, target), alpha) /
         (rank_stabilized ? std::sqrt(r) : r);
}

Expected<void> CheckLora(const LoraConfig& lora) {
  if (auto sound = CheckRank("lora.rank", lora.rank); !sound) return sound;
  if (auto sound = CheckAlpha("lora.alpha", lora.alpha); !sound) return sound;
  for (const auto& [key, rank] : lora.rank_pattern) {
    if (auto sound = CheckPatternKey("lora.rank_pattern", key); !sound) return sound;
    if (auto sound = CheckRank("lora.rank_pattern." + key, rank); !sound) return sound;
  }
  for (const auto& [key, alpha] : lora.alpha_pattern) {
    if (auto sound = CheckPatternKey("lora.alpha_pattern", key); !sound) return sound;
    if (auto sound = CheckAlpha("lora.alpha_pattern." + key, alpha); !sound) return sound;
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
  for (int layer = 0; layer < model.layers; ++layer) {
    const Rng rng = Rng(seed).Stream("lora").Stream(static_cast<std::uint64_t>(layer));
    std::vector<LoraPair>& pairs = adapter.layers.emplace_back();
    for (const std::string& target : lora.targets) {
      const ProjectionShape shape = *ShapeOf(model, target);
      const auto rank = static_cast<std::size_t>(lora.Rank(layer, target));
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
      const int rank = lora.Rank(static_cast<int>(i), lora.targets[j]);
      if (auto a = CheckFactor(where + ".a", pair.a, rank, shape.in); !a) return a;
      if (auto b = CheckFactor(where + ".b", pair.b, shape.out, rank); !b) return b;
    }
  }
  return {};
}

}  // namespace dashf::train
