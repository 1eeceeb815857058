#include "corpus/sections.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <unordered_set>

#include "base/rng.h"

namespace dashf::corpus {
namespace {

constexpr std::size_t kDescriptionBytesMax = 300;
constexpr std::string_view kInstruction = "Name the Debian archive section of this package.";
constexpr std::string_view kSummaryInstruction = "Write the summary of this Debian package.";
constexpr std::size_t kPackagesPerInstruction = 10;

struct Interest {
  std::string_view name;
  std::vector<std::string_view> sections;
};

// Sections that hold packages of one subject; "metapackages", "oldlibs" and the like hold none.
const std::vector<Interest>& Interests() {
  static const std::vector<Interest> interests = {
      {"science", {"electronics", "gnu-r", "hamradio", "math", "science"}},
      {"network", {"comm", "httpd", "mail", "net", "web"}},
      {"leisure", {"education", "games", "graphics", "sound", "video"}},
      {"languages", {"haskell", "java", "javascript", "lisp", "perl", "python", "ruby"}},
      {"system", {"admin", "embedded", "kernel", "otherosfs", "shells", "utils"}},
      {"desktop", {"fonts", "gnome", "kde", "x11", "xfce"}},
      {"libraries", {"golang", "introspection", "libdevel", "libs", "ocaml", "php", "rust"}},
      {"authoring", {"database", "devel", "doc", "editors", "tex", "text", "vcs"}},
  };
  return interests;
}

std::uint64_t Key(std::string_view source) {
  return Rng(0).Stream(source).Next();
}

// The first `bytes_max` bytes at most, ended at a space so that no word or character is cut.
std::string_view CutAtWord(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  const std::size_t space = text.rfind(' ', bytes_max);
  return space == std::string_view::npos ? std::string_view() : text.substr(0, space);
}

std::string Heading(const Package& package) {
  return fmt::format("Package: {}\nSummary: {}\n", package.name, package.summary);
}

Record RecordOf(const Package& package) {
  std::string description = package.description;
  std::replace(description.begin(), description.end(), '\n', ' ');
  std::string input = Heading(package);
  input += CutAtWord(description, kDescriptionBytesMax);
  if (input.ends_with('\n')) input.pop_back();
  return {std::string(kInstruction), std::move(input), package.section};
}

std::string SummaryInstruction(const Package& package, std::string_view paragraphs) {
  const Record record{std::string(kSummaryInstruction),
                      fmt::format("Package: {}\n{}",
                                  package.name,
                                  paragraphs.substr(0, paragraphs.find_last_not_of('\n') + 1)),
                      package.summary};
  return PromptOf(record) + record.output + "\n";
}

// One package of each source whose section is in `sections`, in random order: train, then test.
struct Pool {
  std::vector<const Package*> train, test;
};

Pool DrawPool(const std::vector<Package>& packages, const Interest& interest, Rng rng) {
  std::map<std::string_view, std::vector<const Package*>> by_source;
  for (const Package& package : packages) {
    if (std::ranges::find(interest.sections, package.section) != interest.sections.end()) {
      by_source[package.source].push_back(&package);
    }
  }
  Pool pool;
  for (const auto& [source, siblings] : by_source) {
    auto& part = IsHeldOut(source) ? pool.test : pool.train;
    part.push_back(siblings[rng.Below(siblings.size())]);
  }
  rng.Shuffle(&pool.train);
  rng.Shuffle(&pool.test);
  return pool;
}

Expected<std::vector<Record>> Take(const std::vector<const Package*>& pool,
                                   int turn,
                                   int count,
                                   std::string_view place,
                                   std::string_view purpose) {
  const std::size_t begin = static_cast<std::size_t>(turn) * static_cast<std::size_t>(count);
  const std::size_t end = begin + static_cast<std::size_t>(count);
  if (end > pool.size()) {
    return Fail(ErrorKind::kBadInput,
                std::string(place),
                fmt::format("{} source packages to {}, needs {}", pool.size(), purpose, end));
  }
  std::vector<Record> records;
  for (std::size_t i = begin; i < end; ++i) records.push_back(RecordOf(*pool[i]));
  return records;
}

Expected<void> Validate(const SectionsOptions& options) {
  for (const auto& [name, value] : {std::pair{"users", options.users},
                                    std::pair{"train_records", options.train_records},
                                    std::pair{"test_records", options.test_records}}) {
    if (value < 1) {
      return Fail(ErrorKind::kUsage, name, fmt::format("must be >= 1, got {}", value));
    }
  }
  return {};
}

}  // namespace

bool IsHeldOut(std::string_view source) {
  return Key(source) % 10 == 0;
}

Expected<SectionsData> MakeSections(const std::vector<Package>& packages,
                                    const SectionsOptions& options) {
  if (auto valid = Validate(options); !valid) return tl::unexpected(valid.error());
  const int interests = static_cast<int>(Interests().size());
  const Rng rng(options.seed);
  std::set<std::string_view> labels;
  SectionsData data;
  data.users.resize(static_cast<std::size_t>(options.users));
  for (int group = 0; group < std::min(interests, options.users); ++group) {
    const Interest& interest = Interests()[static_cast<std::size_t>(group)];
    const Pool pool = DrawPool(packages, interest, rng.Stream(interest.name));
    labels.insert(interest.sections.begin(), interest.sections.end());
    for (int i = group; i < options.users; i += interests) {
      const std::string place = fmt::format("interest \"{}\"", interest.name);
      auto train = Take(pool.train, i / interests, options.train_records, place, "train on");
      if (!train) return tl::unexpected(train.error());
      auto test = Take(pool.test, i / interests, options.test_records, place, "test on");
      if (!test) return tl::unexpected(test.error());
      data.users[static_cast<std::size_t>(i)] = {
          std::string(interest.name),
          std::vector<std::string>(interest.sections.begin(), interest.sections.end()),
          *std::move(train),
          *std::move(test)};
    }
  }
  data.sections.assign(labels.begin(), labels.end());
  return data;
}

std::string PretrainingText(const std::vector<Package>& packages) {
  std::vector<const Package*> kept;
  for (const Package& package : packages) {
    if (!IsHeldOut(package.source)) kept.push_back(&package);
  }
  std::ranges::stable_sort(kept, {}, [](const Package* package) {
    return std::pair{Key(package->source), std::string_view(package->source)};
  });
  std::string text;
  std::string_view source;
  std::unordered_set<std::string_view> told;  // Paragraphs of this source.
  for (std::size_t i = 0; i < kept.size(); ++i) {
    if (kept[i]->source != source) told.clear();
    source = kept[i]->source;
    std::string paragraphs;
    for (std::string_view rest = kept[i]->description; !rest.empty();) {
      const std::string_view paragraph = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(paragraph.size() + 1, rest.size()));
      if (told.insert(paragraph).second) paragraphs.append(paragraph).append("\n");
    }
    text += i % kPackagesPerInstruction == 0 && !paragraphs.empty()
                ? SummaryInstruction(*kept[i], paragraphs)
                : Heading(*kept[i]) + paragraphs;
    text += "\n\n";
  }
  return text;
}

}  // namespace dashf::corpus
