#include "cli/runtime/run_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/rng.h"
#include "cli/train/data_options.h"
#include "corpus/sections.h"

namespace dashf::cli {
namespace {

constexpr char kAptLists[] = "/var/lib/apt/lists";

Expected<void> Write(const std::filesystem::path& folder, RunData* data) {
  for (std::size_t n = 0; n < data->train.size(); ++n) {
    const std::filesystem::path user = folder / fmt::format("u{}", n);
    const runtime::UserFiles files{(user / "train.jsonl").string(), (user / "test.jsonl").string()};
    auto written = WriteFileAtomically(files.train, corpus::WriteSamples(data->train[n]));
    if (!written) return written;
    written = WriteFileAtomically(files.test, corpus::WriteSamples(data->test[n]));
    if (!written) return written;
    data->files.push_back(files);
  }
  return {};
}

Expected<RunData> FromSections(const runtime::RunConfig& config, int users) {
  const auto packages = corpus::ReadPackages(kAptLists);
  if (!packages) return tl::unexpected(packages.error());
  auto made = corpus::MakeSections(*packages,
                                   {.users = users,
                                    .train_records = config.data.train_records,
                                    .test_records = config.data.test_records,
                                    .seed = config.data.seed});
  if (!made) return tl::unexpected(made.error());
  RunData data;
  data.labels = std::move(made->sections);
  data.source = "which archive section? (apt's lists)";
  for (corpus::SectionsUser& user : made->users) {
    data.train.emplace_back(user.train.begin(), user.train.end());
    data.test.emplace_back(user.test.begin(), user.test.end());
  }
  return data;
}

// Shuffled once, then each user takes its training and its held-out records from the deck.
Expected<RunData> FromFile(const runtime::RunConfig& config, int users) {
  corpus::DataReport report;
  auto samples = corpus::ReadSamples(config.data.file, std::nullopt, &report);
  if (!samples) return tl::unexpected(samples.error());
  const auto train = static_cast<std::size_t>(config.data.train_records);
  const auto test = static_cast<std::size_t>(config.data.test_records);
  const std::size_t wanted = static_cast<std::size_t>(users) * (train + test);
  if (samples->size() < wanted) {
    return Fail(ErrorKind::kBadInput,
                config.data.file,
                fmt::format("must have {} records for {} users with {} + {} each, has {}",
                            wanted,
                            users,
                            train,
                            test,
                            samples->size()));
  }
  Rng(config.data.seed).Stream("records").Shuffle(&*samples);
  RunData data;
  data.source = config.data.file;
  data.ignored = std::move(report.ignored);
  auto next = samples->begin();
  for (int n = 0; n < users; ++n) {
    data.train.emplace_back(next, next + static_cast<std::ptrdiff_t>(train));
    next += static_cast<std::ptrdiff_t>(train);
    data.test.emplace_back(next, next + static_cast<std::ptrdiff_t>(test));
    next += static_cast<std::ptrdiff_t>(test);
  }
  return data;
}

Expected<RunData> FromFolder(const std::filesystem::path& folder, int users) {
  RunData data;
  data.source = folder.string();
  corpus::DataReport report;
  for (int n = 0; n < users; ++n) {
    const std::filesystem::path user = folder / fmt::format("u{}", n);
    const runtime::UserFiles files{(user / "train.jsonl").string(), (user / "test.jsonl").string()};
    auto train = corpus::ReadSamples(files.train, std::nullopt, &report);
    if (!train) return tl::unexpected(train.error());
    auto test = corpus::ReadSamples(files.test, std::nullopt, &report);
    if (!test) return tl::unexpected(test.error());
    data.files.push_back(files);
    data.train.push_back(std::move(*train));
    data.test.push_back(std::move(*test));
  }
  data.ignored = std::move(report.ignored);
  if (!std::filesystem::exists(folder / "labels.json")) return data;
  auto labels = ReadLabels((folder / "labels.json").string());
  if (!labels) return tl::unexpected(labels.error());
  data.labels = std::move(*labels);
  return data;
}

// Of the samples' kind, among `reports` or new there.
corpus::DataReport* ReportOf(const std::vector<corpus::Sample>& samples,
                             std::vector<corpus::DataReport>* reports) {
  const corpus::DataFormat format = corpus::FormatOf(samples.front());
  auto found = std::ranges::find(*reports, format, &corpus::DataReport::format);
  if (found == reports->end()) {
    found = reports->insert(found, corpus::DataReport());
    found->format = format;
  }
  found->samples += samples.size();
  return &*found;
}

}  // namespace

Expected<RunData> PrepareData(const runtime::RunConfig& config,
                              int users,
                              const std::filesystem::path& folder) {
  if (!config.data.folder.empty()) return FromFolder(config.data.folder, users);
  auto data = config.data.file.empty() ? FromSections(config, users) : FromFile(config, users);
  if (!data) return data;
  if (auto written = Write(folder, &*data); !written) return tl::unexpected(written.error());
  return data;
}

Expected<TokenizedData> TokenizeData(const RunData& data,
                                     const runtime::BaseModel& base,
                                     int tokens_max) {
  TokenizedData all;
  const auto tokenize = [&](const std::vector<corpus::Sample>& samples) {
    return corpus::TokenizeSamples(
        samples, base.tokenizer, base.chat, tokens_max, ReportOf(samples, &all.reports));
  };
  for (std::size_t user = 0; user < data.train.size(); ++user) {
    const runtime::UserFiles& files = data.files[user];
    auto train = tokenize(data.train[user]);
    if (!train) return Fail(train.error().kind, files.train, train.error().Text());
    auto test = tokenize(data.test[user]);
    if (!test) return Fail(test.error().kind, files.test, test.error().Text());
    all.train.push_back(std::move(*train));
    all.test.push_back(std::move(*test));
  }
  all.reports.front().ignored = data.ignored;
  for (const corpus::DataReport& report : all.reports) TellData(data.source, report);
  return all;
}

DataRecord ToRecord(const corpus::DataReport& report) {
  return {.format = std::string(corpus::Name(report.format)),
          .samples = report.samples,
          .sequences = report.sequences,
          .shortened = report.shortened,
          .unanswered = report.unanswered,
          .tokens_max = report.tokens_max,
          .keys_not_read = {report.ignored.begin(), report.ignored.end()}};
}

nlohmann::ordered_json ToJson(const std::vector<corpus::DataReport>& reports) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const corpus::DataReport& report : reports) rows.push_back(ToJson(report));
  return rows;
}

}  // namespace dashf::cli
