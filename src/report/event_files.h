// What rounds brought each user, as TensorBoard reads it: an event file per user, its values over
// the rounds. A file is a sequence of records, each with its length and masked CRC-32Cs (TFRecord,
// tensorflow/core/lib/io/record_writer.h), of protobuf messages Event
// (tensorflow/core/util/event.proto).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace dashf::report {

// One round of one user: held-out losses and shares before and after, by tag.
struct ScalarEvent {
  double time_s = 0.0;  // Since 1970.
  std::int64_t step = 0;
  std::vector<std::pair<std::string, float>> values;
};
std::string EncodeEventFile(const std::vector<ScalarEvent>& events);

// Of all rounds in `run` (rounds/0001/round.json and so on; without any, round.json) to
// OUT/USER/events.out.tfevents.dashf; the number of files. A file that has the earlier rounds gets
// the further ones at its end, as TensorBoard expects of one that it reads. kIo, or kBadInput with
// file, place and rule.
Expected<std::size_t> WriteEventFiles(const std::filesystem::path& run,
                                      const std::filesystem::path& out);

}  // namespace dashf::report
