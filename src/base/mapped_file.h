// A file's bytes without reading them: pages come as they are looked at and can be given back.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace dashf {

// Copies share the bytes, which stay as long as one of them. Immutable, so safe from any thread.
class MappedFile {
 public:
  // Maps a plain file. It must not be truncated while it is open (replacing it by a rename is
  // safe). kIo.
  static Expected<MappedFile> Open(const std::string& path);
  // Bytes from memory in its place.
  static MappedFile Of(std::string bytes);

  std::string_view bytes() const { return bytes_; }
  // The kernel may take the memory back that this part of the bytes fills: whoever looks at it
  // again has it read from the file again. Nothing happens to bytes that came from memory.
  void Release(std::string_view part) const;

 private:
  std::shared_ptr<const void> owner_;
  std::string_view bytes_;
  bool mapped_ = false;
};

}  // namespace dashf
