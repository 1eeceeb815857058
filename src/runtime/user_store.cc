#include "runtime/user_store.h"

namespace dashf::runtime {

UserStore::Place* UserStore::Find(const Attempt& attempt) {
  const auto found = places_.find(attempt.user);
  if (found == places_.end() || found->second.job.attempt != attempt) return nullptr;
  return &found->second;
}

const UserStore::Place* UserStore::Find(const Attempt& attempt) const {
  return const_cast<UserStore*>(this)->Find(attempt);
}

void UserStore::Expect(const Attempt& attempt, int local_layers, int layers) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(attempt.user);
  if (found != places_.end() && found->second.job.attempt >= attempt) return;
  TrainingJob& job = (places_[attempt.user] = {}).job;
  job.attempt = attempt;
  job.local_layers = local_layers;
  job.layers = layers;
}

void UserStore::Drop(const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(attempt.user);
  if (found != places_.end() && found->second.job.attempt <= attempt) places_.erase(found);
}

void UserStore::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

UploadVerdict UserStore::BeginUpload(const Attempt& attempt, const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(attempt.user);
  if (found == places_.end() || found->second.job.attempt < attempt) {
    return UploadVerdict::kUnexpected;
  }
  Place& place = found->second;
  if (place.job.attempt > attempt) return UploadVerdict::kStale;
  switch (place.state) {
    case State::kExpected:
      place.state = State::kUploading;
      place.key = key;
      return UploadVerdict::kWelcome;
    case State::kUploading:
      return UploadVerdict::kBusy;
    default:
      return place.key == key ? UploadVerdict::kDuplicate : UploadVerdict::kConflict;
  }
}

int UserStore::local_layers(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  const Place* place = Find(attempt);
  return place == nullptr ? 0 : place->job.local_layers;
}

void UserStore::CommitUpload(const Attempt& attempt, std::string data, std::string adapters) {
  const std::lock_guard lock(mutex_);
  Place* place = Find(attempt);
  if (place == nullptr || place->state != State::kUploading) return;
  place->job.data = std::move(data);
  place->job.adapters = std::move(adapters);
  place->state = State::kUploaded;
  changed_.notify_all();
}

void UserStore::AbandonUpload(const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  Place* place = Find(attempt);
  if (place != nullptr && place->state == State::kUploading) place->state = State::kExpected;
}

std::vector<TrainingJob> UserStore::NextJobs(int count_max) {
  std::unique_lock lock(mutex_);
  std::vector<TrainingJob> jobs;
  while (!closed_) {
    for (auto& [user, place] : places_) {
      if (std::ssize(jobs) == count_max) break;
      if (place.state != State::kUploaded) continue;
      place.state = State::kTraining;
      jobs.push_back({place.job.attempt,
                      place.job.local_layers,
                      place.job.layers,
                      std::move(place.job.data),
                      std::move(place.job.adapters)});
    }
    if (!jobs.empty()) break;
    changed_.wait(lock);
  }
  return jobs;
}

bool UserStore::Expected(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  return !closed_ && Find(attempt) != nullptr;
}

void UserStore::Finish(const Attempt& attempt, std::string adapters) {
  const std::lock_guard lock(mutex_);
  Place* place = Find(attempt);
  if (place == nullptr) return;
  place->state = State::kReady;
  place->result = std::make_shared<const std::string>(std::move(adapters));
}

std::shared_ptr<const std::string> UserStore::Result(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  const Place* place = Find(attempt);
  return place == nullptr ? nullptr : place->result;
}

}  // namespace dashf::runtime
