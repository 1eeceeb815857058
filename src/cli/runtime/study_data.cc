#include "cli/runtime/study_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "base/digest.h"
#include "base/file.h"
#include "cli/shipped_model.h"
#include "cli/train/start_line.h"
#include "runtime/process.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using runtime::RunConfig;

Expected<std::string> DigestOfModel(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(folder, failed)) {
    const std::string extension = entry.path().extension().string();
    if (extension == ".json" || extension == ".safetensors" || extension == ".model") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  Sha256 digest;
  for (const fs::path& file : files) {
    auto blocks = FileBlocks::Open(file, std::uint64_t{1} << 44);
    if (!blocks) return tl::unexpected(blocks.error());
    digest.Add(file.filename().string());
    while (true) {
      const auto block = blocks->Next();
      if (!block) return tl::unexpected(block.error());
      if (block->empty()) break;
      digest.Add(*block);
    }
  }
  return digest.Hex();
}

// Made once, complete or not at all; a study that goes on uses what it began with, even where apt's
// lists have changed since.
Expected<RunData> DataOf(RunConfig config, std::uint64_t number, const fs::path& out) {
  config.data.seed += number - 1;
  const int users = config.scenario.users;
  const fs::path folder = out / "data" / fmt::to_string(number);
  if (!config.data.folder.empty()) return PrepareData(config, users, folder);
  std::set<std::string> ignored;  // Of the file; what is written from it has no such keys.
  if (!fs::exists(folder)) {
    const fs::path partial = folder.string() + ".partial";
    auto made = PrepareData(config, users, partial);
    if (!made) return made;
    ignored = std::move(made->ignored);
    std::error_code failed;
    fs::rename(partial, folder, failed);
    if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  }
  const int records = config.data.train_records, held_out = config.data.test_records;
  config.data.folder = folder.string();
  auto data = PrepareData(config, users, folder);
  for (std::size_t user = 0; data && user < data->train.size(); ++user) {
    if (std::ssize(data->train[user]) == records && std::ssize(data->test[user]) == held_out) {
      continue;
    }
    return Fail(ErrorKind::kBadInput,
                folder.string(),
                fmt::format("has {} and {} records of u{}, not {} to train and {} held out: remove "
                            "it to have them drawn anew",
                            data->train[user].size(),
                            data->test[user].size(),
                            user,
                            records,
                            held_out));
  }
  if (data) data->ignored.merge(ignored);
  return data;
}

}  // namespace

Expected<RunConfig> Configure(const StudySource& source) {
  auto config = source.config.empty() ? runtime::ParseRunConfig("defaults", "")
                                      : runtime::ReadRunConfig(source.config);
  if (!config) return config;
  if (!source.model.empty()) config->model = source.model;
  if (config->model.empty()) config->model = ShippedModel();
  if (!source.data.empty()) {
    const bool folder = fs::is_directory(source.data);
    config->data.folder = folder ? source.data : "";
    config->data.file = folder ? "" : source.data;
  }
  if (source.train_records > 0) config->data.train_records = source.train_records;
  if (source.test_records > 0) config->data.test_records = source.test_records;
  if (source.users > 0) config->scenario.users = source.users;
  return config;
}

Expected<StudyModel> LoadStudyModel(RunConfig* config) {
  auto storage = runtime::BaseStorage(config->training.storage);
  if (!storage) return tl::unexpected(storage.error());
  SayStart(*storage);
  auto base = runtime::LoadBaseModel(config->model, config->training.storage);
  if (!base) return tl::unexpected(base.error());
  config->training.tokens_max =
      std::min(config->training.tokens_max, base->model.config().max_positions);
  return StudyModel{std::move(*storage), std::move(*base)};
}

std::string DataName(const RunConfig& config) {
  const bool sections = config.data.folder.empty() && config.data.file.empty();
  const fs::path data = config.data.folder.empty() ? config.data.file : config.data.folder;
  return sections ? "sections" : data.filename().string();
}

Expected<study::Repetition> ReadRepetition(RunConfig config,
                                           std::uint64_t number,
                                           const fs::path& out,
                                           const runtime::BaseModel& base,
                                           std::vector<corpus::DataReport>* taken) {
  const auto data = DataOf(config, number, out);
  if (!data) return tl::unexpected(data.error());
  auto tokenized = TokenizeData(*data, base, config.training.tokens_max);
  if (!tokenized) return tl::unexpected(tokenized.error());
  taken->insert(taken->end(), tokenized->reports.begin(), tokenized->reports.end());
  study::Repetition repetition{.seed = config.training.seed + number - 1, .users = {}};
  for (std::size_t user = 0; user < data->train.size(); ++user) {
    const std::size_t bytes = corpus::WriteSamples(data->train[user]).size();
    study::UserData& one = repetition.users.emplace_back();
    one.train = std::move(tokenized->train[user]);
    one.test = std::move(tokenized->test[user]);
    one.data_bytes = static_cast<double>(bytes);
    one.sha256 = study::DigestOf(one);
  }
  return repetition;
}

Expected<nlohmann::ordered_json> SettingsOf(const RunConfig& config,
                                            const llama::Storage& storage) {
  const auto model = DigestOfModel(config.model);
  if (!model) return tl::unexpected(model.error());
  const runtime::TrainingSettings& training = config.training;
  const train::AdapterConfig& adapter = training.adapter;
  const bool lora = adapter.kind == train::AdapterKind::kLora;
  nlohmann::ordered_json settings = {
      {"model_sha256", *model},
      {"data", config.data.folder.empty() ? config.data.file : config.data.folder},
      {"data_seed", config.data.seed},
      {"users", config.scenario.users},
      {"train_records", config.data.train_records},
      {"test_records", config.data.test_records},
      {"adapter", lora ? "lora" : "adaption_prompt"}};
  if (lora) {
    settings["rank"] = adapter.lora.rank;
    settings["alpha"] = adapter.lora.alpha;
    settings["rank_stabilized"] = adapter.lora.rank_stabilized;
    settings["targets"] = adapter.lora.targets;
  } else {
    settings["length"] = adapter.prompt.length;
  }
  settings["arithmetic"] = train::Name(storage.arithmetic);
  settings["weights"] = train::Name(storage.projections);
  settings["batch_size"] = training.batch_size;
  settings["accumulate"] = training.accumulate;
  settings["learning_rate"] = training.learning_rate;
  settings["schedule"] = train::Name(training.schedule.shape);
  settings["warmup"] = training.schedule.warmup;
  settings["weight_decay"] = training.weight_decay;
  settings["tokens_max"] = training.tokens_max;
  settings["passes"] = training.epochs_user + training.epochs_server;
  settings["seed"] = training.seed;
  return settings;
}

std::function<bool()> StopOn(std::optional<int>* signal) {
  return [signals = std::make_shared<runtime::StopSignals>(), signal] {
    if (!*signal) *signal = signals->Wait(0);
    return signal->has_value();
  };
}

}  // namespace dashf::cli
