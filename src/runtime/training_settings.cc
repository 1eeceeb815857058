#include "runtime/training_settings.h"

#include <fmt/format.h>

#include <limits>

#include "base/printable.h"

namespace dashf::runtime {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kShownBytesMax = 64;  // Of what a peer says.
constexpr std::int64_t kSeedMax = std::numeric_limits<std::int64_t>::max();

}  // namespace

Json ToJson(const TrainingSettings& training) {
  const train::LoraConfig& lora = training.adapter.lora;
  const bool prompt = training.adapter.kind == train::AdapterKind::kAdaptionPrompt;
  return {{"adapter", prompt ? "adaption_prompt" : "lora"},
          {"rank", lora.rank},
          {"alpha", lora.alpha},
          {"rank_stabilized", lora.rank_stabilized},
          {"targets", lora.targets},
          {"prompt_length", training.adapter.prompt.length},
          {"arithmetic", training.storage.arithmetic},
          {"weights", training.storage.weights},
          {"objective",
           training.objective == train::UserObjective::kEarlyExit ? "early_exit" : "full_depth"},
          {"epochs_user", training.epochs_user},
          {"epochs_server", training.epochs_server},
          {"epochs_joint", training.epochs_joint},
          {"batch_size", training.batch_size},
          {"accumulate", training.accumulate},
          {"learning_rate", training.learning_rate},
          {"schedule", train::Name(training.schedule.shape)},
          {"warmup", training.schedule.warmup},
          {"weight_decay", training.weight_decay},
          {"tokens_max", training.tokens_max},
          {"seed", training.seed}};
}

TrainingSettings ReadTrainingSettings(JsonReader reader) {
  TrainingSettings training;
  const auto small = [&](std::string_view key) {
    return static_cast<int>(reader.Integer(key, 1, 1'000'000));
  };
  const std::string adapter = reader.String("adapter");
  if (adapter == "adaption_prompt") {
    training.adapter.kind = train::AdapterKind::kAdaptionPrompt;
  } else if (adapter != "lora") {
    reader.Reject("adapter", "must be lora or adaption_prompt");
  }
  train::LoraConfig& lora = training.adapter.lora;
  lora.targets.clear();
  lora.rank = small("rank");
  lora.alpha = reader.Number("alpha", kPositive);
  lora.rank_stabilized = reader.Boolean("rank_stabilized");
  reader.ForEach("targets",
                 [&lora](const JsonReader& name) { lora.targets.push_back(name.AsString()); });
  training.adapter.prompt.length = small("prompt_length");
  training.storage = {reader.String("arithmetic"), reader.String("weights")};
  const std::string objective = reader.String("objective");
  training.objective = objective == "full_depth" ? train::UserObjective::kFullDepth
                                                 : train::UserObjective::kEarlyExit;
  if (objective != "full_depth" && objective != "early_exit") {
    reader.Reject("objective", "must be early_exit or full_depth");
  }
  training.epochs_user = small("epochs_user");
  training.epochs_server = small("epochs_server");
  training.epochs_joint = static_cast<int>(reader.Integer("epochs_joint", 0, 1'000'000));
  training.batch_size = small("batch_size");
  training.accumulate = small("accumulate");
  training.learning_rate = reader.Number("learning_rate", kPositive);
  const auto shape = train::ScheduleShapeNamed(reader.String("schedule"));
  if (!shape) reader.Reject("schedule", "must be constant, linear or cosine");
  training.schedule = {shape.value_or(train::ScheduleShape::kConstant),
                       reader.Number("warmup", kNonNegative)};
  training.weight_decay = reader.Number("weight_decay", kNonNegative);
  training.tokens_max = small("tokens_max");
  training.seed = static_cast<std::uint64_t>(reader.Integer("seed", 0, kSeedMax));
  reader.RejectUnknownKeys();
  return training;
}

Expected<void> CheckTrainingSettings(const std::string& where, const TrainingSettings& training) {
  auto sound = training.storage.Validate();
  for (const int epochs : {training.epochs_user, training.epochs_server}) {
    if (sound) sound = training.OptionsFor(epochs).Validate();
  }
  if (sound) return {};
  const Error& error = sound.error();
  return Fail(error.kind, where + ": training." + error.where, error.message);
}

std::string WriteTrainingSettings(const TrainingSettings& training) {
  return ToJson(training).dump();
}

Expected<TrainingSettings> ParseTrainingSettings(const std::string& where,
                                                 const std::string& text) {
  // A document of its own, so that errors name the place.
  auto document = JsonDocument::Parse(where, "{\"training\":" + text + "}");
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  const TrainingSettings training = ReadTrainingSettings(root.Object("training"));
  root.RejectUnknownKeys();
  if (document->error()) return tl::unexpected(*document->error());
  if (auto sound = CheckTrainingSettings(where, training); !sound) {
    return tl::unexpected(sound.error());
  }
  return training;
}

std::string WriteAdapterSettings(const TrainingSettings& training) {
  const Json all = ToJson(training);
  Json adapter;
  for (const char* key :
       {"adapter", "rank", "alpha", "rank_stabilized", "targets", "prompt_length"}) {
    adapter[key] = all.at(key);
  }
  return adapter.dump();
}

std::string SettingsDifference(const std::string& ours, const std::string& theirs) {
  if (ours == theirs) return "";
  const Json one = Json::parse(ours, nullptr, false), other = Json::parse(theirs, nullptr, false);
  if (one.is_object() && other.is_object()) {
    for (const auto& [key, value] : one.items()) {
      const Json their_value = other.value(key, Json());
      if (their_value == value) continue;
      const std::string theirs_text =
          their_value.dump(-1, ' ', false, Json::error_handler_t::replace);
      return fmt::format("training.{}: the fleet has {}, this node {}",
                         key,
                         value.dump(),
                         PrintableLine(Clipped(theirs_text, kShownBytesMax)));
    }
  }
  return "training settings differ";
}

bool EpochsDiffer(const std::string& ours, const std::string& theirs) {
  const Json one = Json::parse(ours, nullptr, false), other = Json::parse(theirs, nullptr, false);
  if (!one.is_object() || !other.is_object()) return false;
  for (const char* key : {"epochs_user", "epochs_server", "epochs_joint"}) {
    if (one.value(key, Json()) != other.value(key, Json())) return true;
  }
  return false;
}

}  // namespace dashf::runtime
