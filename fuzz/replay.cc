// Gives every file of the folders named to a fuzz target, once: for compilers without libFuzzer.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::size_t count = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      const auto bytes = dashf::ReadFile(entry.path());
      if (!bytes) {
        std::fprintf(stderr, "%s\n", bytes.error().Text().c_str());
        return 1;
      }
      std::fprintf(stderr, "%s\n", entry.path().c_str());  // The last one named is the culprit.
      LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes->data()), bytes->size());
      ++count;
    }
  }
  std::printf("%zu inputs\n", count);
  return count > 0 ? 0 : 1;
}
