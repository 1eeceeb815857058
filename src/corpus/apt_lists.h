// Debian packages as apt's lists on this machine describe them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace dashf::corpus {

struct Package {
  std::string name;
  std::string source;       // The source package that it is built from.
  std::string section;      // Without the archive area: "utils", "python".
  std::string summary;      // One line.
  std::string description;  // What stands below the summary, a paragraph per line; may be empty.

  friend bool operator==(const Package&, const Package&) = default;
};

// Every package of Debian 12's component main that has a section and an English description, by
// name, from `*_dists_bookworm_main_binary-*_Packages*` and `*_main_i18n_Translation-en*` in
// `lists_dir` (apt's own is /var/lib/apt/lists), compressed in whatever way apt knows. kIo, with
// the command that fetches them, where the lists are absent.
Expected<std::vector<Package>> ReadPackages(const std::string& lists_dir);

// The same of the two kinds of list as text. Stanzas that lack a field are skipped; of two packages
// with one name the first stays.
std::vector<Package> JoinPackages(std::string_view packages, std::string_view translations);

}  // namespace dashf::corpus
