// What an edge server holds of its users: who is expected, what they sent, what came out of it. On
// disk, in a folder of its own, so that a server that starts again finds it; gone as soon as the
// user is dropped.
//
//   SPOOL/lock                        one process's at a time
//   SPOOL/USER/ROUND-ATTEMPT/job      k and the number of layers
//                           /upload   the user's artefacts (artefact_file.h), until trained on
//                           /checkpoint   of the training (docs/formats.md), while it lasts
//                           /result   the adapters that go back, and what they cost
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/artefact_file.h"
#include "runtime/attempt.h"
#include "runtime/spool_folder.h"

namespace dashf::runtime {

// One user's upload, ready to be trained on.
struct TrainingJob {
  Attempt attempt;
  int local_layers = 0;
  int layers = 0;
  std::string data;              // Samples as JSON lines.
  std::string adapters;          // Of layers 1..k; empty if k = 0.
  double server_clock_hz = 0.0;  // As SpooledJob's.
  Expected<void> intact = {};    // Why not, if the disk did not keep the upload.
};

struct FinishedJob {
  Attempt attempt;
  Spent spent;
};

inline constexpr std::uint64_t kSpareBytes = std::uint64_t{16} << 20;  // The disk's last, for
                                                                       // results.

enum class Refusal {
  kNotYet,     // Ask again: it is not expected yet, not trained yet, or there is no room just now.
  kOver,       // A later attempt is going on, or this one was dropped.
  kConflict,   // Another upload of this attempt is there already.
  kTooLarge,   // It would never fit.
  kMalformed,  // It breaks a rule of the protocol.
  kBroken,     // Bytes were altered on the way, or the stream was: send again.
};
struct Refused {
  Refusal refusal = Refusal::kNotYet;
  std::string reason;
};
template <class T>
using OrRefused = tl::expected<T, Refused>;

// Thread-safe.
class UserStore {
 public:
  // Takes over what an earlier process has left in the folder. kUsage if another process has it,
  // kBadInput if it holds what is not a store's. `bytes_max` is for all users together. What
  // another fleet's than `fleet` has left is removed; empty: whatever fleet it is.
  static Expected<std::unique_ptr<UserStore>> Open(const std::filesystem::path& folder,
                                                   std::uint64_t bytes_max,
                                                   const std::string& fleet = {});

  // A later attempt takes the place of an earlier one; an earlier one, the same one or one that was
  // dropped changes nothing. kIo if it cannot be kept.
  Expected<void> Expect(const Attempt& attempt,
                        int local_layers,
                        int layers,
                        double server_clock_hz = 0.0);
  void Drop(const Attempt& attempt);  // And earlier ones of the user.
  void Close();                       // NextJob() returns none from now on.
  bool Closed() const;

  // One stream's hold on an attempt's upload, until another begins.
  struct Turn {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;  // That are here, of all artefacts in their order.
    bool complete = false;    // The upload is here, checked and kept.
  };
  // The data set comes first, the adapters of layers 1..k second unless k = 0.
  OrRefused<Turn> BeginUpload(const Attempt& attempt, std::vector<Announced> announced);
  OrRefused<void> AddChunk(const Attempt& attempt, std::uint64_t turn, const ChunkView& chunk);
  // When it returns, the upload is on the disk. Once more changes nothing.
  OrRefused<void> CommitUpload(const Attempt& attempt, std::uint64_t turn);

  // An upload to train on, if one comes within `patience`; none once closed.
  std::optional<TrainingJob> NextJob(std::chrono::milliseconds patience);
  bool Wanted(const Attempt& attempt) const;     // Still?
  bool Committed(const Attempt& attempt) const;  // Its upload is here, whatever became of it.
  // What has been trained. kIo if it cannot be kept; the upload then still is.
  Expected<void> Finish(const Attempt& attempt, std::string_view adapters, const Spent& spent);
  // For what keeps the attempt's training on its way; gone with Finish() and Drop().
  std::filesystem::path CheckpointPath(const Attempt& attempt) const;
  void Sweep(const Attempt& attempt);  // What was written there after it was dropped.
  // Those that have been trained, also by an earlier process, and what it cost.
  std::vector<FinishedJob> Finished() const;
  // The trained adapters; kNotYet until there are some.
  OrRefused<ArtefactFile> Result(const Attempt& attempt) const;
  // What an earlier process has left and cannot be used, one line each.
  const std::vector<std::string>& damaged() const { return damaged_; }

 private:
  enum class State { kExpected, kUploaded, kTraining, kReady };
  struct Incoming {
    std::mutex mutex;  // Taken before the store's, if both are.
    std::optional<IncomingFile> file;
    std::uint64_t turn = 0;
    std::atomic<std::uint64_t> bytes = 0;  // On the disk.
  };
  struct Place {
    SpooledJob job;
    State state = State::kExpected;
    std::vector<Announced> announced;  // By the user; empty before.
    std::uint64_t bytes = 0;           // On the disk, or promised to what is coming.
    std::shared_ptr<Incoming> incoming = std::make_shared<Incoming>();
    Spent spent = {};  // Of a finished job.
  };

  UserStore(SpoolFolder folder, std::uint64_t bytes_max)
      : folder_(std::move(folder)), bytes_max_(bytes_max) {}
  Place TakeOver(const SpooledJob& job);
  // Null: not expected, or a later attempt is.
  Place* Find(const Attempt& attempt);
  const Place* Find(const Attempt& attempt) const;
  Refused WhyNone(const Attempt& attempt) const;  // Find() gives none.
  // Promises room for what the user announces.
  OrRefused<void> Reserve(Place& place,
                          const std::vector<Announced>& announced,
                          std::uint64_t free_bytes) const;
  OrRefused<std::shared_ptr<Incoming>> IncomingOf(const Attempt& attempt) const;
  TrainingJob Load(const SpooledJob& job) const;

  const SpoolFolder folder_;
  const std::uint64_t bytes_max_;
  mutable std::mutex mutex_;  // Never held during work on the disk.
  std::condition_variable changed_;
  std::map<std::string, Place> places_;     // By user.
  std::map<std::string, Attempt> dropped_;  // The last one of each user.
  bool closed_ = false;
  std::vector<std::string> damaged_;
};

}  // namespace dashf::runtime
