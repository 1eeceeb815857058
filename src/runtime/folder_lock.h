// One folder has one owner at a time: the process that holds its lock, which the kernel gives back
// when that process ends, however it ends.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/error.h"

namespace dashf::runtime {

class FolderLock {
 public:
  // Makes the folder (0700) if it is not there. `owner` is what a second one is told, beside the
  // process's number. kIo, naming the first, if the folder is taken, and naming what may not be
  // written if that is one of `others`, which the owner will want to write in (made likewise;
  // empty: none).
  static Expected<FolderLock> Take(const std::filesystem::path& folder,
                                   const std::string& owner,
                                   const std::vector<std::filesystem::path>& others = {});
  // Whether the process that took it last is still there, as far as its number says.
  static bool OwnerIsThere(const std::filesystem::path& folder);

 private:
  explicit FolderLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace dashf::runtime
