// A base's weights as they were encoded, in a file, so that the next start need not encode them
// again. Internal.
//
// The file: 24 bytes "dashf encoded base 1" filled up with spaces; 64 digits of what it was made of
// (IdentityOf in kept_base.cc); '1' if the head is the embedding, else '0'; the numbers as
// llama::Parts() has them; 64 digits of the SHA-256 of all before. What differs from that in one
// bit, or in length, or is another user's, is not taken: the base is encoded again.
#pragma once

#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "llama/weights.h"

namespace dashf::train {

// Whether weights kept so are encoded, and keeping them spares more than reading them again.
bool IsEncoded(const llama::Storage& storage);

// One model's place in a cache folder.
class KeptBase {
 public:
  // Of the model at `model`, all of whose files are `files`, kept as `storage` says. A model has
  // one file there for each way to keep it: once changed, it replaces what was.
  KeptBase(const std::filesystem::path& folder,
           const std::filesystem::path& model,
           std::vector<std::filesystem::path> files,
           const llama::Storage& storage);

  // What was kept of these files as they are. `config` is theirs, but for a tied head, which the
  // kept base knows. Nothing: there is none, or a note says what is wrong with it.
  std::optional<llama::Weights> Read(const llama::ModelConfig& config,
                                     std::vector<std::string>* notes) const;
  // Keeps weights that were read since this object was made, unless a file has changed since. What
  // prevents it is a note, not an error.
  void Keep(const llama::Weights& weights, std::vector<std::string>* notes) const;

 private:
  std::vector<std::filesystem::path> files_;
  llama::Storage storage_;
  std::filesystem::path path_;
  std::string identity_;                                    // Empty: a file cannot be looked at.
  double age_s_ = std::numeric_limits<double>::infinity();  // Of the youngest file.
};

}  // namespace dashf::train
