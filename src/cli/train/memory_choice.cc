#include "cli/train/memory_choice.h"

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/peak_memory.h"
#include "train/compute.h"

namespace dashf::cli {
namespace {

constexpr double kMegabyte = 1e6;

std::string Settings(const MemoryChoice& choice) {
  return fmt::format("layers {}, {} x {} examples a step, weights in {}",
                     choice.options.recompute ? "computed again" : "kept",
                     choice.options.accumulate,
                     choice.options.batch_size,
                     train::Name(choice.storage.projections));
}

// The batch in so many parts that are accumulated; nullopt: it has no such parts.
std::optional<train::TrainOptions> InParts(const train::TrainOptions& options, int parts) {
  train::TrainOptions divided = options;
  if (options.batch_size % parts != 0) return std::nullopt;
  divided.batch_size /= parts;
  divided.accumulate *= parts;
  if (!divided.Validate()) return std::nullopt;
  return divided;
}

// In the order in which they are tried.
std::vector<train::TrainOptions> Ladder(const train::TrainOptions& options, bool may_recompute) {
  std::vector<train::TrainOptions> ladder;
  for (int parts = 1; parts <= options.batch_size; ++parts) {
    const auto divided = InParts(options, parts);
    if (!divided) continue;
    ladder.push_back(*divided);
    if (!may_recompute || options.recompute) continue;
    ladder.push_back(*divided);
    ladder.back().recompute = true;
  }
  return ladder;
}

}  // namespace

Expected<double> ReadMemorySize(const std::string& text) {
  constexpr std::array<std::pair<const char*, double>, 6> kUnits = {{{"KB", 1e3},
                                                                     {"MB", 1e6},
                                                                     {"GB", 1e9},
                                                                     {"KiB", 1024.0},
                                                                     {"MiB", 1048576.0},
                                                                     {"GiB", 1073741824.0}}};
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  const std::string unit(rest, end);
  for (const auto& [name, bytes] : kUnits) {
    if (error == std::errc() && unit == name && value > 0.0 && std::isfinite(value * bytes)) {
      return value * bytes;
    }
  }
  return Fail(ErrorKind::kUsage,
              "--memory-limit",
              fmt::format("must be a size in KB, MB, GB, KiB, MiB or GiB (400MB), got {}", text));
}

Expected<MemoryChoice> ChooseWithin(const MemoryRules& rules,
                                    const MemorySubject& subject,
                                    const train::TrainOptions& options,
                                    const llama::Storage& storage,
                                    const std::string& model_dir) {
  malloc_trim(0);  // What reading the data has left free.
  const double process_bytes = ResidentMemoryBytes();
  const auto foretell = [&](const train::TrainOptions& chosen, const llama::Storage& kept) {
    return MemoryChoice{chosen,
                        kept,
                        process_bytes,
                        train::ForetellMemory(subject.model,
                                              kept,
                                              subject.examples,
                                              subject.held_out,
                                              subject.first,
                                              subject.last,
                                              subject.objective,
                                              chosen,
                                              subject.adapter)};
  };
  if (!rules.limit_bytes) return foretell(options, storage);
  std::vector<llama::Storage> storages = {storage};
  if (rules.may_halve_weights && storage.projections == llama::Format::kFloat32) {
    const auto halves = train::StoredInBFloat16(model_dir, subject.model);
    if (!halves) return tl::unexpected(halves.error());
    if (*halves) storages.push_back(llama::StorageOf(llama::Format::kBFloat16));
  }
  std::optional<MemoryChoice> least;
  for (const llama::Storage& kept : storages) {
    for (const train::TrainOptions& chosen : Ladder(options, rules.may_recompute)) {
      MemoryChoice choice = foretell(chosen, kept);
      if (choice.Total() <= *rules.limit_bytes) return choice;
      if (!least || choice.Total() < least->Total()) least = std::move(choice);
    }
  }
  // What would fit, the most exact weights first: these the user has to choose.
  std::string way_out = "; no --weights fits";
  for (const llama::Format format :
       {llama::Format::kBFloat16, llama::Format::kInt8, llama::Format::kNf4}) {
    const std::vector<train::TrainOptions> ladder = Ladder(options, rules.may_recompute);
    const auto fits = std::ranges::find_if(ladder, [&](const train::TrainOptions& chosen) {
      return foretell(chosen, llama::StorageOf(format)).Total() <= *rules.limit_bytes;
    });
    if (fits == ladder.end()) continue;
    way_out = fmt::format("; --weights {} would take {:.0f} MB",
                          train::Name(format),
                          std::ceil(foretell(*fits, llama::StorageOf(format)).Total() / kMegabyte));
    break;
  }
  return Fail(ErrorKind::kBadInput,
              "--memory-limit",
              fmt::format("{:.0f} MB are too little: this training takes {:.0f} MB at least, "
                          "with {}{}",
                          *rules.limit_bytes / kMegabyte,
                          std::ceil(least->Total() / kMegabyte),
                          Settings(*least),
                          way_out));
}

std::string Described(const MemoryChoice& choice) {
  const train::MemoryForecast& forecast = choice.forecast;
  return fmt::format(
      "{:.0f} MB foretold (process {:.0f}, libraries {:.0f}, weights {:.0f}, passes {:.0f}, hidden "
      "states {:.0f}, adapter {:.0f}): {}",
      std::ceil(choice.Total() / kMegabyte),
      choice.process_bytes / kMegabyte,
      forecast.libraries / kMegabyte,
      forecast.weights / kMegabyte,
      forecast.passes / kMegabyte,
      forecast.hidden_states / kMegabyte,
      forecast.adapter / kMegabyte,
      Settings(choice));
}

}  // namespace dashf::cli
