#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "base/digest.h"
#include "base/file.h"
#include "tensorfile/safetensors.h"
#include "train/compute.h"
#include "train/peft_io.h"

namespace dashf::train {
namespace {

namespace fs = std::filesystem;
using tensorfile::DType;
using tensorfile::SafetensorsFile;
using tensorfile::TensorView;

constexpr const char* kSchema = "dashf.checkpoint/1";
constexpr const char* kDigest = "sha256";
constexpr std::string_view kIdentityPrefix = "training.";

template <class T>
constexpr DType kTypeOf = std::is_same_v<T, float> ? DType::kF32 : DType::kF64;

template <class T>
TensorView ViewOf(const std::vector<T>& values) {
  const std::span<const T> numbers(values);
  return {kTypeOf<T>,
          {std::ssize(values)},
          {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()}};
}

std::string DigestOf(const std::vector<corpus::Example>& examples) {
  Sha256 digest;
  const auto add = [&](const std::vector<int>& numbers) {
    const auto count = static_cast<int>(numbers.size());
    digest.Add({reinterpret_cast<const char*>(&count), sizeof(count)});
    digest.Add({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(int)});
  };
  for (const corpus::Example& example : examples) {
    std::vector<int> bounds;
    for (const auto& [begin, end] : example.answers) bounds.insert(bounds.end(), {begin, end});
    add(example.tokens);
    add(bounds);
  }
  return digest.Hex();
}

// Of what is trained, so that a bit that the disk has turned is noticed.
std::string DigestOf(const TrainingState& state) {
  Sha256 digest;
  for (const auto* values :
       {&state.parameters, &state.optimizer.mean, &state.optimizer.square, &state.best}) {
    digest.Add(ViewOf(*values).bytes);
  }
  digest.Add(ViewOf(state.losses).bytes);
  digest.Add(fmt::format("{} {}", state.tokens, state.best_steps));
  return digest.Hex();
}

// Takes a checkpoint apart; the first broken rule is kept.
class Reader {
 public:
  Reader(std::string where, const SafetensorsFile& file) : where_(std::move(where)), file_(file) {}

  template <class T>
  std::vector<T> Values(const std::string& name, std::size_t count, double low) {
    ++tensors_read_;
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end()) return Reject<T>(name, "is missing");
    const TensorView& view = found->second;
    const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(count)};
    if (view.dtype != kTypeOf<T> || view.shape != shape) {
      return Reject<T>(name, fmt::format("must be {} [{}]", tensorfile::Name(kTypeOf<T>), count));
    }
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), view.bytes.data(), view.bytes.size());
    const bool sound = std::all_of(
        values.begin(), values.end(), [&](T x) { return std::isfinite(x) && x >= low; });
    return sound ? values : Reject<T>(name, "has a value that is not finite or out of range");
  }

  std::int64_t Integer(const std::string& key, std::int64_t high) {
    const auto found = file_.metadata().find(key);
    std::int64_t value = -1;
    if (found != file_.metadata().end()) {
      const std::string& text = found->second;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
      if (error != std::errc() || end != text.data() + text.size()) value = -1;
    }
    if (value < 0 || value > high) {
      Reject<int>(key, fmt::format("must be an integer in [0, {}]", high));
      return 0;
    }
    return value;
  }

  double Number(const std::string& key) {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end()) return 0.0;
    const std::string& text = found->second;
    double value = -1.0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size() && value >= 0.0 &&
        std::isfinite(value)) {
      return value;
    }
    Reject<int>(key, "must be a number >= 0");
    return 0.0;
  }

  void CheckDigest(const TrainingState& state) {
    const auto found = file_.metadata().find(kDigest);
    if (!error_ && found != file_.metadata().end() && found->second != DigestOf(state)) {
      Reject<int>(kDigest, "is not what was written: the file is damaged");
    }
  }

  std::size_t Length(const std::string& name) const {
    const auto found = file_.tensors().find(name);
    if (found == file_.tensors().end() || found->second.shape.size() != 1) return 0;
    return static_cast<std::size_t>(found->second.shape[0]);
  }

  void RejectOtherTensors() {
    if (file_.tensors().size() != tensors_read_) Reject<int>("", "has tensors of another format");
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  template <class T>
  std::vector<T> Reject(const std::string& name, const std::string& rule) {
    const std::string place = name.empty() ? where_ : where_ + ": " + name;
    if (!error_) error_ = Error{ErrorKind::kBadInput, place, rule};
    return {};
  }

  const std::string where_;
  const SafetensorsFile& file_;
  std::size_t tensors_read_ = 0;
  std::optional<Error> error_;
};

Expected<void> CheckIdentity(const std::string& where,
                             const tensorfile::Metadata& metadata,
                             const TrainingIdentity& identity) {
  const auto schema = metadata.find("schema");
  if (schema == metadata.end() || schema->second != kSchema) {
    return Fail(ErrorKind::kBadInput, where, fmt::format("schema must be {}", kSchema));
  }
  for (const auto& [name, value] : identity) {
    const auto found = metadata.find(fmt::format("{}{}", kIdentityPrefix, name));
    const std::string theirs = found == metadata.end() ? "none" : found->second;
    if (theirs == value) continue;
    return Fail(
        ErrorKind::kBadInput,
        where,
        fmt::format("is of another training: its {} is {}, this one's is {}", name, theirs, value));
  }
  return {};
}

}  // namespace

TrainingIdentity IdentityOf(const std::string& model_digest,
                            const std::vector<corpus::Example>& examples,
                            int first,
                            int last,
                            UserObjective objective,
                            const TrainOptions& options,
                            const Adapter& initial) {
  const auto layers = std::max(std::ssize(initial.layers), std::ssize(initial.prompts));
  return {
      {"model", model_digest},
      {"data", DigestOf(examples)},
      {"initial adapter", Sha256Hex(EncodeLayers(initial, 1, static_cast<int>(layers)))},
      {"layers", fmt::format("{}..{}", first, last)},
      {"objective", objective == UserObjective::kEarlyExit ? "early_exit" : "full_depth"},
      {"epochs", fmt::to_string(options.epochs)},
      {"steps_max", fmt::to_string(options.steps_max)},
      {"batch_size", fmt::to_string(options.batch_size)},
      {"accumulate", fmt::to_string(options.accumulate)},
      {"learning_rate", fmt::to_string(options.learning_rate)},
      {"schedule", std::string(Name(options.schedule.shape))},
      {"warmup", fmt::to_string(options.schedule.warmup)},
      {"weight_decay", fmt::to_string(options.weight_decay)},
      {"gradient_norm_max", fmt::to_string(options.gradient_norm_max)},
      {"explosion_factor", fmt::to_string(options.explosion_factor)},
      {"seed", fmt::to_string(options.seed)},
      {"threads", fmt::to_string(Threads())},
  };
}

Expected<std::string> ModelDigest(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code failed;
  if (fs::is_regular_file(folder, failed)) {
    files = {folder};
  } else {
    files = {folder / "config.json"};
    for (const auto& entry : fs::directory_iterator(folder, failed)) {
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    }
    if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  }
  std::sort(files.begin() + 1, files.end());
  Sha256 digest;
  for (const fs::path& file : files) {
    auto blocks = FileBlocks::Open(file, std::numeric_limits<std::uint64_t>::max());
    if (!blocks) return tl::unexpected(blocks.error());
    for (;;) {
      const auto block = blocks->Next();
      if (!block) return tl::unexpected(block.error());
      if (block->empty()) break;
      digest.Add(*block);
    }
  }
  return digest.Hex();
}

Expected<void> WriteCheckpoint(const fs::path& path,
                               const TrainingState& state,
                               const TrainingIdentity& identity) {
  const tensorfile::TensorMap tensors = {{"parameters", ViewOf(state.parameters)},
                                         {"gradient_mean", ViewOf(state.optimizer.mean)},
                                         {"gradient_square", ViewOf(state.optimizer.square)},
                                         {"best_parameters", ViewOf(state.best)},
                                         {"losses", ViewOf(state.losses)}};
  tensorfile::Metadata metadata = {{"schema", kSchema},
                                   {"tokens", fmt::to_string(state.tokens)},
                                   {"best_steps", fmt::to_string(state.best_steps)},
                                   {"elapsed_s", fmt::to_string(state.elapsed_s)},
                                   {"cpu_s", fmt::to_string(state.cpu_s)},
                                   {kDigest, DigestOf(state)}};
  for (const auto& [name, value] : identity) {
    metadata.emplace(fmt::format("{}{}", kIdentityPrefix, name), value);
  }
  return WriteFileAtomically(path, tensorfile::WriteSafetensors(tensors, metadata));
}

Expected<TrainingState> ReadCheckpoint(const fs::path& path, const TrainingIdentity& identity) {
  const auto file = SafetensorsFile::Open(path.string());
  if (!file) return tl::unexpected(file.error());
  if (auto same = CheckIdentity(path.string(), file->metadata(), identity); !same) {
    return tl::unexpected(same.error());
  }
  constexpr double kAny = std::numeric_limits<double>::lowest();
  Reader reader(path.string(), *file);
  const std::size_t parameters = reader.Length("parameters"), steps = reader.Length("losses");
  TrainingState state;
  state.parameters = reader.Values<float>("parameters", parameters, kAny);
  state.optimizer.mean = reader.Values<float>("gradient_mean", parameters, kAny);
  state.optimizer.square = reader.Values<float>("gradient_square", parameters, 0.0);
  state.best = reader.Values<float>("best_parameters", parameters, kAny);
  state.losses = reader.Values<double>("losses", steps, kAny);
  state.optimizer.steps = static_cast<int>(steps);
  state.tokens = reader.Integer("tokens", std::numeric_limits<std::int64_t>::max());
  state.best_steps = static_cast<int>(reader.Integer("best_steps", std::ssize(state.losses)));
  state.elapsed_s = reader.Number("elapsed_s");
  state.cpu_s = reader.Number("cpu_s");
  reader.RejectOtherTensors();
  reader.CheckDigest(state);
  if (reader.error()) return tl::unexpected(*reader.error());
  return state;
}

}  // namespace dashf::train
