#include "train/module_coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "train/lora.h"
#include "train/module_pattern.h"
#include "train/projection.h"

namespace dashf::train {
namespace {

// Does a key's value name this module?
using Names = std::function<bool(const std::string& module)>;

bool IsString(const JsonReader& root, const char* key) {
  return root.HasValue(key) && root.raw()[key].is_string();
}

bool IsEmpty(const JsonReader& root, const char* key) {
  return !root.HasValue(key) || (root.raw()[key].empty() || root.raw()[key] == "");
}

// Nothing names a module twice for a reason; lists without a limit would cost time without one.
void RefuseMoreThan(std::size_t entries_max, const char* key, JsonReader* root) {
  if (!root->HasValue(key) || root->raw()[key].size() <= entries_max) return;
  root->Reject(key, fmt::format("must have at most {} entries", entries_max));
}

Names ByExpression(const char* key, const std::string& expression, JsonReader* root) {
  const auto pattern = ModulePattern::Compile(expression);
  if (!pattern) {
    root->Reject(key, pattern.error());
    return [](const std::string&) { return false; };
  }
  return [key, pattern = *pattern, root](const std::string& module) {
    if (root->failed()) return false;
    const auto matches = pattern.Matches(module);
    if (!matches) root->Reject(key, matches.error());
    return matches && *matches;
  };
}

// "layers_to_transform"; nothing stands for all layers.
std::vector<int> ReadLayers(JsonReader* root, const ModelConfig& model) {
  std::vector<int> layers;
  if (!root->HasValue("layers_to_transform")) return layers;
  if (!root->HasArray("layers_to_transform")) {
    return {static_cast<int>(root->Integer("layers_to_transform", 0, model.layers - 1))};
  }
  root->ForEach("layers_to_transform", [&](const JsonReader& layer) {
    layers.push_back(static_cast<int>(layer.AsInteger(0, model.layers - 1)));
  });
  return layers;  // PEFT takes an empty list for all layers.
}

// The name before the layers' numbers, which is "layers" in every model here.
void CheckLayersPattern(JsonReader* root) {
  constexpr const char* kKey = "layers_pattern";
  if (IsEmpty(*root, kKey)) return;
  if (!root->HasValue("layers_to_transform")) root->Reject(kKey, "needs layers_to_transform");
  bool named = false;
  if (IsString(*root, kKey)) {
    named = root->String(kKey) == "layers";
  } else {
    root->ForEach(kKey, [&](const JsonReader& name) { named |= name.AsString() == "layers"; });
  }
  if (!named) root->Reject(kKey, "must be \"layers\", which holds the layers here");
}

Names ByList(JsonReader* root, const ModelConfig& model, Coverage* coverage) {
  RefuseMoreThan(
      kProjections * (static_cast<std::size_t>(model.layers) + 1), "target_modules", root);
  RefuseMoreThan(
      kProjections * (static_cast<std::size_t>(model.layers) + 1), "layers_to_transform", root);
  root->ForEach("target_modules", [&](const JsonReader& target) {
    coverage->targets.push_back(target.AsString());
    const bool known = std::any_of(
        kProjectionNames.begin(), kProjectionNames.end(), [&](std::string_view projection) {
          return coverage->targets.back().ends_with(projection);
        });
    if (!known) target.Reject("must name a projection of the attention or the feed-forward block");
  });
  CheckLayersPattern(root);
  std::set<std::string> layers;
  for (const int layer : ReadLayers(root, model)) {
    layers.insert(fmt::format("model.layers.{}.", layer));
  }
  return [targets = coverage->targets, layers](const std::string& module) {
    const std::size_t number = std::string_view("model.layers.").size();
    const std::size_t end = module.find('.', number);
    const bool here = layers.empty() || layers.contains(module.substr(0, end + 1));
    return std::ranges::any_of(targets, [&](const std::string& named) {
      return named == module || (here && NamesModule(named, module));
    });
  };
}

Names ReadTargets(JsonReader* root, const ModelConfig& model, Coverage* coverage) {
  if (!IsString(*root, "target_modules")) return ByList(root, model, coverage);
  for (const char* key : {"layers_to_transform", "layers_pattern"}) {
    if (root->HasValue(key)) {
      root->Reject(key, "is not allowed where target_modules is a regular expression");
    }
  }
  const std::string expression = root->String("target_modules");
  std::string lower = expression;
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower != "all-linear") return ByExpression("target_modules", expression, root);
  return [](const std::string& module) {
    return std::ranges::any_of(kProjectionNames,
                               [&](std::string_view name) { return NamesModule(name, module); });
  };
}

Names ReadExcluded(JsonReader* root, const ModelConfig& model) {
  constexpr const char* kKey = "exclude_modules";
  if (IsEmpty(*root, kKey)) return [](const std::string&) { return false; };
  if (IsString(*root, kKey)) return ByExpression(kKey, root->String(kKey), root);
  RefuseMoreThan(16 * (static_cast<std::size_t>(model.layers) + 1), kKey, root);
  std::vector<std::string> named;
  root->ForEach(kKey, [&](const JsonReader& name) { named.push_back(name.AsString()); });
  return [named](const std::string& module) {
    return std::ranges::any_of(named,
                               [&](const std::string& one) { return NamesModule(one, module); });
  };
}

// The modules of the model that LoRA cannot adapt here.
std::vector<std::string> OtherModules(const ModelConfig& model) {
  std::vector<std::string> modules = {"model", "model.embed_tokens", "model.layers"};
  std::vector<std::string> parts = {
      "", ".self_attn", ".mlp", ".mlp.act_fn", ".input_layernorm", ".post_attention_layernorm"};
  if (model.head_norms) parts.insert(parts.end(), {".self_attn.q_norm", ".self_attn.k_norm"});
  if (model.output_norms) {
    parts.insert(parts.end(), {".pre_feedforward_layernorm", ".post_feedforward_layernorm"});
  }
  for (int layer = 0; layer < model.layers; ++layer) {
    for (const std::string& part : parts) {
      modules.push_back(fmt::format("model.layers.{}{}", layer, part));
    }
  }
  modules.insert(modules.end(), {"model.norm", "model.rotary_emb", "lm_head"});
  return modules;
}

}  // namespace

bool Coverage::Covers(int layer, const std::string& target) const {
  return modules.contains(ModuleName(layer, target));
}

Coverage ReadCoverage(JsonReader* root, const ModelConfig& model) {
  Coverage coverage;
  const Names targeted = ReadTargets(root, model, &coverage);
  const Names excluded = ReadExcluded(root, model);
  const auto covers = [&](const std::string& module) {
    return !root->failed() && targeted(module) && !excluded(module);
  };
  for (const std::string& module : OtherModules(model)) {
    if (!covers(module)) continue;
    root->Reject("target_modules", fmt::format("covers {}, which cannot be adapted", module));
  }
  for (int layer = 0; layer < model.layers; ++layer) {
    for (const std::string_view target : kProjectionNames) {
      std::string module = ModuleName(layer, std::string(target));
      if (covers(module)) coverage.modules.insert(std::move(module));
    }
  }
  if (!root->failed() && coverage.modules.empty()) {
    root->Reject("target_modules",
                 IsEmpty(*root, "exclude_modules")
                     ? "covers none of the model's modules"
                     : "covers none of the model's modules that exclude_modules leaves");
  }
  return coverage;
}

}  // namespace dashf::train
