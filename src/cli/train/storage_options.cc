#include "cli/train/storage_options.h"

#include <fmt/format.h>

namespace dashf::cli {

void AddWeightsOption(Command verb, train::StorageChoice* choice) {
  verb.add_option("--weights",
                  choice->weights,
                  "Hold the base's in 32, 16, 8 or 4 bits; fewer take less memory and are "
                  "rounded; auto: float32, or as --arithmetic needs them")
      .capture_default_str()
      .check(IsMember(train::kWeights));
}

void AddArithmeticOption(Command verb, train::StorageChoice* choice) {
  verb.add_option("--arithmetic",
                  choice->arithmetic,
                  "Of products with the base's weights; bfloat16: faster, in half the memory, and "
                  "rounded; auto: if the processor has it")
      .capture_default_str()
      .check(IsMember(train::kArithmetics));
}

Expected<llama::Storage> ChosenStorage(const train::StorageChoice& choice) {
  auto storage = train::StorageFor(choice);
  if (storage) return storage;
  return Fail(ErrorKind::kUsage, "--" + storage.error().where, storage.error().message);
}

void AddBaseCacheOption(Command verb, std::string* base_cache) {
  verb.add_option(
          "--base-cache",
          *base_cache,
          "Folder that keeps a base's int8 or nf4 weights as they were encoded, for the next "
          "start; auto: $XDG_CACHE_HOME/dashf, or ~/.cache/dashf; none: encode at every start")
      .capture_default_str();
}

Expected<train::Model> LoadBase(const std::string& model_dir,
                                const llama::Storage& storage,
                                const std::string& base_cache) {
  train::BaseCache cache;
  if (base_cache == "auto") {
    cache.folder = train::DefaultBaseCache();
  } else if (base_cache != "none") {
    cache.folder = base_cache;
  }
  auto model = train::LoadModel(model_dir, storage, &cache);
  for (const std::string& note : cache.notes) fmt::print(stderr, "{}\n", note);
  return model;
}

}  // namespace dashf::cli
