// What an edge server holds of its users: who is expected, what they sent, what came out. In memory
// alone, and gone as soon as the user is dropped. Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/attempt.h"

namespace dashf::runtime {

// One user's upload, ready to be trained on.
struct TrainingJob {
  Attempt attempt;
  int local_layers = 0;
  int layers = 0;
  std::string data;      // Samples as JSON lines.
  std::string adapters;  // Of layers 1..k; empty if k = 0.
};

enum class UploadVerdict { kWelcome, kDuplicate, kConflict, kBusy, kUnexpected, kStale };

class UserStore {
 public:
  // A later attempt takes the place of an earlier one; an earlier or the same one changes nothing.
  void Expect(const Attempt& attempt, int local_layers, int layers);
  void Drop(const Attempt& attempt);  // And earlier ones of the user.
  void Close();                       // NextJobs() returns none from now on.

  // May this user upload? kWelcome reserves the user's place until CommitUpload or AbandonUpload.
  // The key tells a repeated upload (kDuplicate) from another one (kConflict). kStale: a later
  // attempt is expected.
  UploadVerdict BeginUpload(const Attempt& attempt, const std::string& key);
  int local_layers(const Attempt& attempt) const;  // Of an expected attempt, else 0.
  void CommitUpload(const Attempt& attempt, std::string data, std::string adapters);
  void AbandonUpload(const Attempt& attempt);

  // Uploads to train on: waits for one and takes those that are there by then, at most `count_max`
  // >= 1 of them; none once closed.
  std::vector<TrainingJob> NextJobs(int count_max);
  bool Expected(const Attempt& attempt) const;  // Still wanted?
  void Finish(const Attempt& attempt, std::string adapters);
  // Adapters of layers k+1..L; null until they are trained.
  std::shared_ptr<const std::string> Result(const Attempt& attempt) const;

 private:
  enum class State { kExpected, kUploading, kUploaded, kTraining, kReady };
  struct Place {
    State state = State::kExpected;
    std::string key;
    TrainingJob job;
    std::shared_ptr<const std::string> result;
  };

  // Null: not expected, or a later attempt is.
  Place* Find(const Attempt& attempt);
  const Place* Find(const Attempt& attempt) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Place> places_;  // By user.
  bool closed_ = false;
};

}  // namespace dashf::runtime
