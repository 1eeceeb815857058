// Reads a GGUF file's metadata key by key; keeps the first broken rule, after which every read
// gives a harmless default. Internal to this module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gguf/file.h"

namespace dashf::gguf {

class MetadataReader {
 public:
  explicit MetadataReader(const File& file) : file_(file) {}

  bool Has(const std::string& key) const { return file_.metadata().contains(key); }
  std::int64_t Integer(const std::string& key, std::int64_t low, std::int64_t high);
  double Number(const std::string& key);
  bool Flag(const std::string& key);  // False where it is absent.
  std::string Text(const std::string& key) { return Get<std::string>(key, "a string"); }
  std::vector<std::string> Texts(const std::string& key) {
    return Get<std::vector<std::string>>(key, "a list of strings");
  }
  std::vector<std::int64_t> Integers(const std::string& key) {
    return Get<std::vector<std::int64_t>>(key, "a list of integers");
  }
  std::vector<double> Numbers(const std::string& key) {
    return Get<std::vector<double>>(key, "a list of numbers");
  }

  void Refuse(const std::string& key, std::string rule) {
    if (!error_) error_ = Error{ErrorKind::kBadInput, file_.name() + ": " + key, std::move(rule)};
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  template <class T>
  T Get(const std::string& key, const char* kind) {
    const auto found = file_.metadata().find(key);
    if (found == file_.metadata().end()) {
      Refuse(key, "is missing");
      return T();
    }
    if (const T* value = std::get_if<T>(&found->second)) return *value;
    Refuse(key, std::string("must be ") + kind);
    return T();
  }

  const File& file_;
  std::optional<Error> error_;
};

}  // namespace dashf::gguf
