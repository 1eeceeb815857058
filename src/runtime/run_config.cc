#include "runtime/run_config.h"

#include <fmt/format.h>

#include <toml++/toml.h>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "base/file.h"

namespace dashf::runtime {
namespace {

// One table, read key by key; the first broken rule of the whole file is kept.
class Section {
 public:
  Section(std::string file, const toml::table& root, std::string name, std::optional<Error>* error)
      : place_(std::move(file) + ": [" + name + "]"), error_(error) {
    const toml::node* node = root.get(name);
    if (node == nullptr) return;
    table_ = node->as_table();
    if (table_ == nullptr) Reject("", "must be a table", *node);
  }

  void Read(const std::string& key, std::string* value) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const auto text = node->value_exact<std::string>();
    if (!text) return Reject(key, "must be a string", *node);
    *value = *text;
  }

  // Into a bool or an optional one.
  template <class Flag>
  void ReadFlag(const std::string& key, Flag* value) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const auto flag = node->value_exact<bool>();
    if (!flag) return Reject(key, "must be true or false", *node);
    *value = *flag;
  }
  void Read(const std::string& key, bool* value) { ReadFlag(key, value); }
  void Read(const std::string& key, std::optional<bool>* value) { ReadFlag(key, value); }

  template <std::integral Integer>
  void Read(const std::string& key, Integer* value, std::int64_t low, std::int64_t high) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const auto number = node->value_exact<std::int64_t>();
    if (!number || *number < low || *number > high) {
      return Reject(key, fmt::format("must be an integer in [{}, {}]", low, high), *node);
    }
    *value = static_cast<Integer>(*number);
  }

  void ReadPositive(const std::string& key, double* value) {
    ReadNumber(key, "> 0", std::numeric_limits<double>::denorm_min(), value);
  }

  // A table of numbers > 0 by names of the file's own.
  void ReadPositive(const std::string& key, std::map<std::string, double>* values) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const toml::table* table = node->as_table();
    if (table == nullptr) return Reject(key, "must be a table of numbers", *node);
    for (const auto& [name, number] : *table) {
      const auto value = number.value<double>();
      if (!number.is_number() || !(*value > 0.0) || !std::isfinite(*value)) {
        return Reject(fmt::format("{}.{}", key, name.str()), "must be a number > 0", number);
      }
      values->insert_or_assign(std::string(name.str()), *value);
    }
  }

  void ReadNonNegative(const std::string& key, double* value) {
    ReadNumber(key, ">= 0", 0.0, value);
  }

  void Read(const std::string& key, std::vector<std::string>* values) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const toml::array* array = node->as_array();
    if (array == nullptr) return Reject(key, "must be a list of strings", *node);
    values->clear();
    for (const toml::node& item : *array) {
      const auto text = item.value_exact<std::string>();
      if (!text) return Reject(key, "must be a list of strings", *node);
      values->push_back(*text);
    }
  }

  void ReadChoice(const std::string& key,
                  const std::vector<std::string>& choices,
                  std::string* value) {
    std::string read = *value;
    Read(key, &read);
    if (std::find(choices.begin(), choices.end(), read) == choices.end()) {
      return Reject(key, fmt::format("must be one of: {}", fmt::join(choices, ", ")), *Find(key));
    }
    *value = read;
  }

  ~Section() {
    if (table_ == nullptr) return;
    for (const auto& [key, node] : *table_) {
      if (!known_.contains(key.str())) Reject(std::string(key.str()), "is not a known key", node);
    }
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  void ReadNumber(const std::string& key, const char* rule, double low, double* value) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const auto number = node->value<double>();
    if (!node->is_number() || !(*number >= low) || !std::isfinite(*number)) {
      return Reject(key, fmt::format("must be a number {}", rule), *node);
    }
    *value = *number;
  }

  const toml::node* Find(const std::string& key) {
    known_.insert(key);
    return table_ == nullptr ? nullptr : table_->get(key);
  }

  void Reject(const std::string& key, const std::string& rule, const toml::node& node) {
    if (*error_) return;
    std::ostringstream value;
    node.visit([&value](const auto& typed) { value << typed; });
    const std::string where = key.empty() ? place_ : place_ + " " + key;
    *error_ =
        Error{ErrorKind::kBadInput,
              where,
              fmt::format("{}, got {} (line {})", rule, value.str(), node.source().begin.line)};
  }

  std::string place_;
  std::optional<Error>* error_;
  const toml::table* table_ = nullptr;
  std::set<std::string, std::less<>> known_;
};

constexpr std::int64_t kSeedMax = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kCountMax = 1'000'000;

void ReadTraining(Section& adapter, Section& section, TrainingSettings* training) {
  std::string kind = "lora";
  adapter.ReadChoice("type", {"lora", "adaption_prompt"}, &kind);
  training->adapter.kind =
      kind == "lora" ? train::AdapterKind::kLora : train::AdapterKind::kAdaptionPrompt;
  adapter.Read("rank", &training->adapter.lora.rank, 1, 4096);
  adapter.ReadPositive("alpha", &training->adapter.lora.alpha);
  adapter.Read("rank_stabilized", &training->adapter.lora.rank_stabilized);
  adapter.Read("targets", &training->adapter.lora.targets);
  adapter.Read("length", &training->adapter.prompt.length, 1, 4096);
  std::string objective = "early_exit";
  section.ReadChoice("objective", {"early_exit", "full_depth"}, &objective);
  training->objective = objective == "early_exit" ? train::UserObjective::kEarlyExit
                                                  : train::UserObjective::kFullDepth;
  section.Read("epochs_user", &training->epochs_user, 1, kCountMax);
  section.Read("epochs_server", &training->epochs_server, 1, kCountMax);
  section.Read("epochs_joint", &training->epochs_joint, 0, kCountMax);
  section.Read("batch_size", &training->batch_size, 1, kCountMax);
  section.Read("accumulate", &training->accumulate, 1, kCountMax);
  section.ReadPositive("learning_rate", &training->learning_rate);
  std::string schedule = "constant";
  section.ReadChoice("schedule", {"constant", "linear", "cosine"}, &schedule);
  training->schedule.shape = *train::ScheduleShapeNamed(schedule);
  section.ReadNonNegative("warmup", &training->schedule.warmup);
  section.ReadNonNegative("weight_decay", &training->weight_decay);
  section.Read("tokens_max", &training->tokens_max, 3, kCountMax);
  section.ReadChoice("arithmetic", train::kArithmetics, &training->storage.arithmetic);
  section.ReadChoice("weights", train::kWeights, &training->storage.weights);
  section.Read("seed", &training->seed, 0, kSeedMax);
}

void ReadSections(const std::string& name,
                  const toml::table& root,
                  std::optional<Error>* error,
                  RunConfig* config) {
  Section scenario(name, root, "scenario", error);
  scenario.Read("file", &config->scenario.file);
  scenario.Read("users", &config->scenario.users, 1, kCountMax);
  scenario.Read("servers", &config->scenario.servers, 1, kCountMax);
  scenario.Read("seed", &config->scenario.seed, 0, kSeedMax);
  scenario.ReadChoice("delay", {"sum", "makespan"}, &config->scenario.delay);
  scenario.ReadPositive("bandwidth_hz", &config->scenario.bandwidth_hz);
  scenario.ReadPositive("machine_share", &config->scenario.machine_share);
  Section plan(name, root, "plan", error);
  plan.Read("method", &config->plan.method);
  plan.Read("seed", &config->plan.seed, 0, kSeedMax);
  plan.ReadNonNegative("handover_penalty", &config->plan.handover_penalty);
  plan.Read("work_conserving", &config->plan.work_conserving);
  plan.Read("learn", &config->plan.learn);
  Section rounds(name, root, "rounds", error);
  rounds.Read("count", &config->rounds, 1, kCountMax);
  Section emulation(name, root, "emulation", error);
  emulation.ReadPositive("time_scale", &config->time_scale);
  emulation.ReadPositive("slowdown", &config->slowdown);
  Section compare(name, root, "compare", error);
  compare.Read("methods", &config->plan.compare);
  Section model(name, root, "model", error);
  model.Read("path", &config->model);
  Section data(name, root, "data", error);
  data.Read("folder", &config->data.folder);
  data.Read("file", &config->data.file);
  data.Read("sections", &config->data.sections);
  data.Read("train_records", &config->data.train_records, 1, kCountMax);
  data.Read("test_records", &config->data.test_records, 1, kCountMax);
  data.Read("seed", &config->data.seed, 0, kSeedMax);
  Section references(name, root, "references", error);
  references.Read("all_server", &config->references.all_server);
  references.Read("centralised", &config->references.centralised);
  Section adapter(name, root, "adapter", error), training(name, root, "training", error);
  ReadTraining(adapter, training, &config->training);
}

// Users of a generated scenario are u0, u1 and so on.
bool IsGenerated(const std::string& user, int users) {
  for (int n = 0; n < users; ++n) {
    if (user == fmt::format("u{}", n)) return true;
  }
  return false;
}

}  // namespace

Expected<RunConfig> ParseRunConfig(const std::string& name, std::string_view text) {
  toml::table root;
  try {
    root = toml::parse(text);
  } catch (const toml::parse_error& broken) {
    return Fail(ErrorKind::kBadInput,
                fmt::format("{}:{}", name, broken.source().begin.line),
                std::string(broken.description()));
  }
  static constexpr std::string_view kSections[] = {"scenario",
                                                   "plan",
                                                   "rounds",
                                                   "emulation",
                                                   "compare",
                                                   "model",
                                                   "data",
                                                   "references",
                                                   "adapter",
                                                   "training"};
  for (const auto& [key, node] : root) {
    if (std::find(std::begin(kSections), std::end(kSections), key.str()) == std::end(kSections)) {
      return Fail(ErrorKind::kBadInput,
                  name,
                  fmt::format("[{}] is not a known section (line {}); there are: {}",
                              key.str(),
                              node.source().begin.line,
                              fmt::join(kSections, ", ")));
    }
  }
  RunConfig config;
  std::optional<Error> error;
  ReadSections(name, root, &error, &config);
  if (error) return tl::unexpected(*error);
  if (auto sound = config.training.OptionsFor(1).Validate(); !sound) {
    return Fail(ErrorKind::kBadInput, name + ": [training]", sound.error().Text());
  }
  if (auto sound = config.training.storage.Validate(); !sound) {
    return Fail(ErrorKind::kBadInput, name + ": [training]", sound.error().Text());
  }
  if (!config.slowdown.empty() && !(config.time_scale > 0.0)) {
    return Fail(ErrorKind::kBadInput,
                name + ": [emulation] slowdown",
                "is of devices that are emulated: needs time_scale");
  }
  for (const auto& [id, factor] : config.slowdown) {  // Of a file's users, once it is read.
    if (!config.scenario.file.empty() || IsGenerated(id, config.scenario.users)) continue;
    return Fail(ErrorKind::kBadInput,
                name + ": [emulation] slowdown",
                fmt::format("must name users, u0 to u{}, got '{}'", config.scenario.users - 1, id));
  }
  const int sources = (config.data.folder.empty() ? 0 : 1) + (config.data.file.empty() ? 0 : 1) +
                      (config.data.sections ? 1 : 0);
  if (sources > 1) {
    return Fail(ErrorKind::kBadInput,
                name + ": [data]",
                "must have at most one of folder, file and sections = true");
  }
  return config;
}

Expected<RunConfig> ReadRunConfig(const std::string& path) {
  const auto text = ReadFile(path, std::uint64_t{1} << 20);
  if (!text) return tl::unexpected(text.error());
  auto config = ParseRunConfig(path, *text);
  if (!config) return config;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (std::string* value :
       {&config->scenario.file, &config->model, &config->data.folder, &config->data.file}) {
    if (!value->empty() && std::filesystem::path(*value).is_relative()) {
      *value = (folder / *value).string();
    }
  }
  return config;
}

}  // namespace dashf::runtime
