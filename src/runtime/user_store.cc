#include "runtime/user_store.h"

namespace dashf::runtime {

void UserStore::Expect(const std::string& user, int local_layers, int layers) {
  const std::lock_guard lock(mutex_);
  Place& place = places_[user];
  place.job.user = user;
  place.job.local_layers = local_layers;
  place.job.layers = layers;
}

void UserStore::Drop(const std::string& user) {
  const std::lock_guard lock(mutex_);
  places_.erase(user);
}

void UserStore::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

UploadVerdict UserStore::BeginUpload(const std::string& user, const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  if (found == places_.end()) return UploadVerdict::kUnexpected;
  Place& place = found->second;
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

int UserStore::local_layers(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  return found == places_.end() ? 0 : found->second.job.local_layers;
}

void UserStore::CommitUpload(const std::string& user, std::string data, std::string adapters) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  if (found == places_.end() || found->second.state != State::kUploading) return;
  found->second.job.data = std::move(data);
  found->second.job.adapters = std::move(adapters);
  found->second.state = State::kUploaded;
  changed_.notify_all();
}

void UserStore::AbandonUpload(const std::string& user) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  if (found == places_.end() || found->second.state != State::kUploading) return;
  found->second.state = State::kExpected;
}

std::vector<TrainingJob> UserStore::NextJobs(int count_max) {
  std::unique_lock lock(mutex_);
  std::vector<TrainingJob> jobs;
  while (!closed_) {
    for (auto& [user, place] : places_) {
      if (std::ssize(jobs) == count_max) break;
      if (place.state != State::kUploaded) continue;
      place.state = State::kTraining;
      jobs.push_back(std::move(place.job));
    }
    if (!jobs.empty()) break;
    changed_.wait(lock);
  }
  return jobs;
}

bool UserStore::Expected(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  return !closed_ && places_.contains(user);
}

void UserStore::Finish(const std::string& user, std::string adapters) {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  if (found == places_.end()) return;
  found->second.state = State::kReady;
  found->second.result = std::make_shared<const std::string>(std::move(adapters));
}

std::shared_ptr<const std::string> UserStore::Result(const std::string& user) const {
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(user);
  return found == places_.end() ? nullptr : found->second.result;
}

}  // namespace dashf::runtime
