// dashf sections: the demo task's data, or text to pre-train a base model on, from apt's lists.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/command.h"
#include "cli/numbers.h"
#include "corpus/sections.h"

namespace dashf::cli {
namespace {

struct Flags {
  corpus::SectionsOptions options;
  std::string lists_dir = "/var/lib/apt/lists";
  std::string out_dir;
  std::string corpus_path;
};

constexpr const char* kExamples =
    R"(Writes OUT/u0/train.jsonl, OUT/u0/test.jsonl, OUT/u1/... and OUT/labels.json. Needs apt's lists
with English descriptions: apt-get -o Acquire::Languages=en update

Examples:
  dashf sections --users 4 --train-records 200 --test-records 50 --seed 1 --out sections
  dashf sections --corpus corpus.txt)";

Expected<int> WriteUsers(const std::vector<corpus::Package>& packages, const Flags& flags) {
  const auto data = corpus::MakeSections(packages, flags.options);
  if (!data) return tl::unexpected(data.error());
  nlohmann::ordered_json labels = {{"sections", data->sections},
                                   {"users", nlohmann::ordered_json::array()}};
  for (std::size_t i = 0; i < data->users.size(); ++i) {
    const corpus::SectionsUser& user = data->users[i];
    const std::string folder = fmt::format("{}/u{}", flags.out_dir, i);
    for (const auto& [name, records] : {std::pair{"train", &user.train}, {"test", &user.test}}) {
      const auto written = WriteFileAtomically(fmt::format("{}/{}.jsonl", folder, name),
                                               corpus::WriteRecords(*records));
      if (!written) return tl::unexpected(written.error());
    }
    labels["users"].push_back({{"interest", user.interest}, {"sections", user.sections}});
  }
  // Last, so that a folder with labels.json is whole.
  const auto written = WriteFileAtomically(flags.out_dir + "/labels.json", labels.dump(2) + "\n");
  if (!written) return tl::unexpected(written.error());
  fmt::print(stderr, "{}: {} users\n", flags.out_dir, data->users.size());
  return kExitOk;
}

Expected<int> RunSections(const Flags& flags) {
  const auto packages = corpus::ReadPackages(flags.lists_dir);
  if (!packages) return tl::unexpected(packages.error());
  if (flags.corpus_path.empty()) return WriteUsers(*packages, flags);
  const auto written = WriteFileAtomically(flags.corpus_path, corpus::PretrainingText(*packages));
  if (!written) return tl::unexpected(written.error());
  return kExitOk;
}

}  // namespace

void AddSections(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = app.add_subcommand(
      "sections", "Make the demo data (which archive section?) from this machine's apt lists");
  Option out = verb.add_option("--out", flags->out_dir, "Folder for the users' data");
  Option corpus_path = verb.add_option(
      "--corpus", flags->corpus_path, "Instead, write text to pre-train a base model to this file");
  out.excludes(corpus_path);
  verb.add_option("--users", flags->options.users, "Users").capture_default_str();
  verb.add_option("--train-records", flags->options.train_records, "Training records per user")
      .capture_default_str();
  verb.add_option("--test-records", flags->options.test_records, "Held-out records per user")
      .capture_default_str();
  verb.add_option("--seed", flags->options.seed, "Chooses the packages")
      .check(FiniteNonNegative())
      .capture_default_str();
  verb.add_option("--lists", flags->lists_dir, "apt's folder of lists").capture_default_str();
  verb.footer(kExamples);
  verb.callback([flags, &run] {
    if (flags->out_dir.empty() && flags->corpus_path.empty()) {
      FailAsMissing("--out or --corpus");
    }
    run = [flags] { return RunSections(*flags); };
  });
}

}  // namespace dashf::cli
