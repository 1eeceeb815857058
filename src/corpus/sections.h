// The demo task "which archive section?": of a Debian package's name, summary and description, say
// the section it is filed under. Made from this machine's own apt lists, so nothing is downloaded
// and no package's text is distributed with this project. Pure functions, safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "corpus/apt_lists.h"
#include "corpus/dataset.h"

namespace dashf::corpus {

struct SectionsOptions {
  int users = 4;            // >= 1.
  int train_records = 200;  // Per user, >= 1.
  int test_records = 50;    // Per user, >= 1.
  std::uint64_t seed = 1;   // Same seed and packages, same data.
};

struct SectionsUser {
  std::string interest;               // "science": user i has interest i, round and round.
  std::vector<std::string> sections;  // What the user's records are filed under.
  std::vector<Record> train, test;
};

struct SectionsData {
  std::vector<std::string> sections;  // Of all users, sorted: the task's labels.
  std::vector<SectionsUser> users;
};

// Is this source package kept for tests? Decided by its name alone (one in ten), so that the text a
// base model is trained on leaves out every test package, whatever the seed of the data.
bool IsHeldOut(std::string_view source);

// Each user's records come from one group of related sections, so users' data differ (non-IID), in
// the archive's proportions. At most one record per source package, whose binary packages share
// their text: no test record has a sibling in any user's training set. kUsage names an option out
// of range; kBadInput names the interest whose packages do not suffice.
Expected<SectionsData> MakeSections(const std::vector<Package>& packages,
                                    const SectionsOptions& options);

// Text to train a base model on, documents as TokenizeText() reads them: each package that is not
// held out, as "Package:", "Summary:" and its paragraphs; sources in random but fixed order. A
// paragraph that binary packages of one source repeat stands once. Every tenth package is put as an
// instruction to write its summary, so that the base knows the form of a prompt; sections are never
// told.
std::string PretrainingText(const std::vector<Package>& packages);

}  // namespace dashf::corpus
