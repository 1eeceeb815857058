// The private folder in which a server keeps what is its users': one folder per attempt, and one
// process at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/attempt.h"

namespace dashf::runtime {

struct SpooledJob {
  Attempt attempt;
  int local_layers = 0;          // k, 0..layers - 1.
  int layers = 0;                // L, >= 1.
  double server_clock_hz = 0.0;  // The user's planned share when it was expected; 0: not known.
};

class SpoolFolder {
 public:
  // Makes it if it is not there. Empty: a temporary one that goes with this object. kUsage if
  // another process has it, kBadInput if it holds what is no spool's, kIo.
  static Expected<SpoolFolder> Open(const std::filesystem::path& path);

  // Empties it of what is another fleet's, whose numbers of rounds and attempts are its own. kIo.
  Expected<void> BelongTo(const std::string& fleet) const;
  // Those that an earlier process has left, each user's latest attempt alone; what is earlier or
  // unreadable is removed, the latter with a line in `damaged`.
  Expected<std::vector<SpooledJob>> TakeOver(std::vector<std::string>* damaged) const;
  Expected<void> Keep(const SpooledJob& job) const;  // Down to the disk. kBadInput: no user's id.
  void Remove(const Attempt& attempt) const;
  // Where an attempt's file of that name lies.
  std::filesystem::path PathOf(const Attempt& attempt, std::string_view name) const;
  Expected<std::uint64_t> FreeBytes() const;  // Of the file system.
  const std::filesystem::path& path() const;

 private:
  struct Held;  // The lock; removes a temporary folder.
  explicit SpoolFolder(std::shared_ptr<const Held> held) : held_(std::move(held)) {}

  std::shared_ptr<const Held> held_;
};

}  // namespace dashf::runtime
