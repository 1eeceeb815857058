// The demo task "which archive section?": of a Debian package's name, summary and description, say
// the section it is filed under. Made from this machine's own apt lists, so nothing is downloaded
// and no package's text is distributed with this project.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "corpus/dataset.h"

namespace dashf::corpus {

struct Package {
  std::string name;
  std::string source;   // Binary packages of one source share text, so splits go by source.
  std::string section;  // Without the archive area: "utils", "python".
  std::string summary;
  std::string description;  // The paragraphs below the summary, one line each.
};

// Every package of Debian 12 main with an English description, by name. `lists_dir` is apt's folder
// (/var/lib/apt/lists). kIo with the command that fetches the lists where they are absent.
Expected<std::vector<Package>> ReadPackages(const std::string& lists_dir);

struct SectionsOptions {
  int users = 4;            // >= 1.
  int train_records = 200;  // Per user, >= 1.
  int test_records = 50;    // Per user, >= 1.
  std::uint64_t seed = 1;   // Same seed and lists, same data.
};

struct UserData {
  std::vector<std::string> sections;  // The interest group the user's records come from.
  std::vector<Record> train, test;
};

struct SectionsData {
  std::vector<std::string> labels;  // Every section that any user may be asked for.
  std::vector<UserData> users;
};

// Is this source package kept for tests? Depends on the name alone (one in ten), so that a base
// model's corpus leaves out the same packages whatever the seed.
bool IsHeldOut(const std::string& source);

// Users are interest groups of sections, so their data differ (non-IID); no two users share a
// source package. kBadInput where the lists have too few packages for what is asked.
Expected<SectionsData> MakeSections(const std::vector<Package>& packages,
                                    const SectionsOptions& options);

// Text to pre-train a base model on: every package that is not held out, one per paragraph.
std::string PretrainingText(const std::vector<Package>& packages);

}  // namespace dashf::corpus
