#include "train/lora.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "train/projection.h"

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

}  // namespace dashf::train
