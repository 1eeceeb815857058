#include "cli/train/storage_options.h"

namespace dashf::cli {

void AddWeightsOption(CLI::App* verb, train::StorageChoice* choice) {
  verb->add_option("--weights",
                   choice->weights,
                   "Hold the base's in 32, 16, 8 or 4 bits; fewer take less memory and are "
                   "rounded; auto: float32, or as --arithmetic needs them")
      ->capture_default_str()
      ->check(CLI::IsMember(train::kWeights));
}

void AddArithmeticOption(CLI::App* verb, train::StorageChoice* choice) {
  verb->add_option("--arithmetic",
                   choice->arithmetic,
                   "Of products with the base's weights; bfloat16: faster, in half the memory, and "
                   "rounded; auto: if the processor has it")
      ->capture_default_str()
      ->check(CLI::IsMember(train::kArithmetics));
}

Expected<llama::Storage> ChosenStorage(const train::StorageChoice& choice) {
  auto storage = train::StorageFor(choice);
  if (storage) return storage;
  return Fail(ErrorKind::kUsage, "--" + storage.error().where, storage.error().message);
}

}  // namespace dashf::cli
