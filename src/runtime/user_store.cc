#include "runtime/user_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/node.h"

namespace dashf::runtime {
namespace {

constexpr char kUpload[] = "upload";
constexpr char kResult[] = "result";
constexpr char kCheckpoint[] = "checkpoint";

tl::unexpected<Refused> Refuse(Refusal refusal, std::string reason) {
  return tl::unexpected<Refused>(Refused{refusal, std::move(reason)});
}

// A disk that is full or fails may be well again when the user asks next; what the peer's bytes
// break is the peer's to send anew.
tl::unexpected<Refused> Refuse(const Error& error) {
  return Refuse(error.kind == ErrorKind::kIo ? Refusal::kNotYet : Refusal::kBroken, error.Text());
}

std::string TextOf(const Attempt& attempt) {
  return fmt::format("attempt {} of round {}", attempt.number, attempt.round);
}

}  // namespace

Expected<std::unique_ptr<UserStore>> UserStore::Open(const std::filesystem::path& path,
                                                     std::uint64_t bytes_max,
                                                     const std::string& fleet) {
  auto folder = SpoolFolder::Open(path);
  if (!folder) return tl::unexpected(folder.error());
  if (!fleet.empty()) {
    if (auto done = folder->BelongTo(fleet); !done) return tl::unexpected(done.error());
  }
  std::unique_ptr<UserStore> store(new UserStore(std::move(*folder), bytes_max));
  const auto jobs = store->folder_.TakeOver(&store->damaged_);
  if (!jobs) return tl::unexpected(jobs.error());
  for (const SpooledJob& job : *jobs) {
    store->places_.insert_or_assign(job.attempt.user, store->TakeOver(job));
  }
  return store;
}

// What does not read back as it was written counts as not there: the user still has its upload, and
// an upload can be trained on again.
UserStore::Place UserStore::TakeOver(const SpooledJob& job) {
  Place place;
  place.job = job;
  const auto result = ArtefactFile::Open(folder_.PathOf(job.attempt, kResult));
  if (result && result->Read(0)) {
    place.state = State::kReady;
    place.announced = result->origin().made_from;
    place.bytes = result->bytes();
    place.spent = result->origin().spent;
    return place;
  }
  if (!result && result.error().kind == ErrorKind::kBadInput) {
    damaged_.push_back(result.error().Text());
  }
  const auto upload = ArtefactFile::Open(folder_.PathOf(job.attempt, kUpload));
  if (upload) {
    place.state = State::kUploaded;
    place.announced = upload->announced();
    place.bytes = upload->bytes();
  }
  return place;
}

UserStore::Place* UserStore::Find(const Attempt& attempt) {
  const auto found = places_.find(attempt.user);
  if (found == places_.end() || found->second.job.attempt != attempt) return nullptr;
  return &found->second;
}

const UserStore::Place* UserStore::Find(const Attempt& attempt) const {
  return const_cast<UserStore*>(this)->Find(attempt);
}

Refused UserStore::WhyNone(const Attempt& attempt) const {
  const auto dropped = dropped_.find(attempt.user);
  if (dropped != dropped_.end() && dropped->second >= attempt) {
    return {Refusal::kOver, fmt::format("{} is over: it was dropped", TextOf(attempt))};
  }
  const auto found = places_.find(attempt.user);
  if (found != places_.end() && found->second.job.attempt > attempt) {
    return {Refusal::kOver,
            fmt::format(
                "{} is over: {} is going on", TextOf(attempt), TextOf(found->second.job.attempt))};
  }
  return {Refusal::kNotYet, fmt::format("{} is not expected here yet", TextOf(attempt))};
}

Expected<void> UserStore::Expect(const Attempt& attempt,
                                 int local_layers,
                                 int layers,
                                 double server_clock_hz) {
  const SpooledJob job{attempt, local_layers, layers, server_clock_hz};
  const auto known = [&] {
    const auto dropped = dropped_.find(attempt.user);
    const auto found = places_.find(attempt.user);
    return (dropped != dropped_.end() && dropped->second >= attempt) ||
           (found != places_.end() && found->second.job.attempt >= attempt);
  };
  {
    const std::lock_guard lock(mutex_);
    if (known()) return {};
  }
  if (auto kept = folder_.Keep(job); !kept) return kept;
  std::optional<Attempt> earlier;
  {
    const std::lock_guard lock(mutex_);
    if (known()) return {};
    const auto found = places_.find(attempt.user);
    if (found != places_.end()) earlier = found->second.job.attempt;
    Place place;
    place.job = job;
    places_.insert_or_assign(attempt.user, std::move(place));
  }
  if (earlier) folder_.Remove(*earlier);
  return {};
}

void UserStore::Drop(const Attempt& attempt) {
  std::optional<Attempt> gone;
  {
    const std::lock_guard lock(mutex_);
    Attempt& dropped = dropped_.try_emplace(attempt.user, attempt).first->second;
    dropped = std::max(dropped, attempt);
    const auto found = places_.find(attempt.user);
    if (found != places_.end() && found->second.job.attempt <= attempt) {
      gone = found->second.job.attempt;
      places_.erase(found);
    }
  }
  if (gone) folder_.Remove(*gone);
}

void UserStore::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

OrRefused<void> UserStore::Reserve(Place& place,
                                   const std::vector<Announced>& announced,
                                   std::uint64_t free_bytes) const {
  const std::uint64_t wanted = TotalBytes(announced);
  if (wanted > bytes_max_) {
    return Refuse(
        Refusal::kTooLarge,
        fmt::format(
            "{} bytes are more than the {} that all users may have here", wanted, bytes_max_));
  }
  std::uint64_t held = 0, promised = 0;  // Of other users.
  for (const auto& [user, other] : places_) {
    if (&other == &place) continue;
    held += other.bytes;
    const std::uint64_t here = other.incoming->bytes;
    if (other.state == State::kExpected && other.bytes > here) promised += other.bytes - here;
  }
  if (held + wanted > bytes_max_) {
    return Refuse(
        Refusal::kNotYet,
        fmt::format("no room for {} bytes yet: others have {} of {}", wanted, held, bytes_max_));
  }
  // What has come of this upload before is on the disk already; counted again, it costs a little.
  if (promised + wanted + kSpareBytes > free_bytes) {
    return Refuse(Refusal::kNotYet,
                  fmt::format("no room for {} bytes yet: the disk has {} left, of which {} are "
                              "promised",
                              wanted,
                              free_bytes,
                              promised + kSpareBytes));
  }
  place.announced = announced;
  place.bytes = wanted;
  return {};
}

OrRefused<UserStore::Turn> UserStore::BeginUpload(const Attempt& attempt,
                                                  std::vector<Announced> announced) {
  const auto free_bytes = folder_.FreeBytes();
  if (!free_bytes) return Refuse(free_bytes.error());
  std::shared_ptr<Incoming> incoming;
  {
    const std::lock_guard lock(mutex_);
    Place* place = Find(attempt);
    if (place == nullptr) return tl::unexpected(WhyNone(attempt));
    for (const Announced& artefact : announced) {
      if (artefact.bytes <= kArtefactBytesMax) continue;
      return Refuse(Refusal::kTooLarge,
                    fmt::format("an artefact must have at most {} bytes, announced are {}",
                                kArtefactBytesMax,
                                artefact.bytes));
    }
    // A user that goes on from an earlier round sends adapters even if k = 0.
    const bool adapters = place->job.local_layers > 0 || announced.size() == 2;
    const auto sound = CheckAnnounced(announced, adapters ? 2 : 1);
    if (!sound) return Refuse(Refusal::kMalformed, sound.error().Text());
    if (place->state != State::kExpected && place->announced != announced) {
      return Refuse(Refusal::kConflict,
                    "another upload of " + TextOf(attempt) + " is here already");
    }
    if (place->announced != announced) {
      auto reserved = Reserve(*place, announced, *free_bytes);
      if (!reserved) return tl::unexpected(reserved.error());
    }
    incoming = place->incoming;
  }
  const std::lock_guard lock(incoming->mutex);
  Turn turn{++incoming->turn, TotalBytes(announced), Committed(attempt)};
  if (turn.complete) return turn;
  if (!incoming->file || incoming->file->announced() != announced) {
    incoming->file.reset();
    auto file = IncomingFile::Open(folder_.PathOf(attempt, kUpload), std::move(announced));
    if (!file) return Refuse(file.error());
    incoming->file.emplace(std::move(*file));
  }
  incoming->bytes = turn.bytes = incoming->file->bytes();
  return turn;
}

bool UserStore::Committed(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  const Place* place = Find(attempt);
  return place != nullptr && place->state != State::kExpected;
}

OrRefused<std::shared_ptr<UserStore::Incoming>> UserStore::IncomingOf(
    const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  const Place* place = Find(attempt);
  if (place == nullptr) return tl::unexpected(WhyNone(attempt));
  return place->incoming;
}

OrRefused<void> UserStore::AddChunk(const Attempt& attempt,
                                    std::uint64_t turn,
                                    const ChunkView& chunk) {
  const auto incoming = IncomingOf(attempt);
  if (!incoming) return tl::unexpected(incoming.error());
  const std::lock_guard lock((*incoming)->mutex);
  if ((*incoming)->turn != turn || !(*incoming)->file) {
    return Refuse(Refusal::kBroken, "another stream goes on with this upload");
  }
  const auto added = (*incoming)->file->Add(chunk);
  (*incoming)->bytes = (*incoming)->file->bytes();
  if (!added) return Refuse(added.error());
  return {};
}

OrRefused<void> UserStore::CommitUpload(const Attempt& attempt, std::uint64_t turn) {
  const auto incoming = IncomingOf(attempt);
  if (!incoming) return tl::unexpected(incoming.error());
  const std::lock_guard lock((*incoming)->mutex);
  if (Committed(attempt)) return {};
  if ((*incoming)->turn != turn || !(*incoming)->file) {
    return Refuse(Refusal::kBroken, "another stream goes on with this upload");
  }
  const auto finished = (*incoming)->file->Finish();
  (*incoming)->bytes = (*incoming)->file->bytes();
  if (!finished) return Refuse(finished.error());
  (*incoming)->file.reset();
  const std::lock_guard store_lock(mutex_);
  Place* place = Find(attempt);
  if (place == nullptr) return tl::unexpected(WhyNone(attempt));
  place->state = State::kUploaded;
  changed_.notify_all();
  return {};
}

TrainingJob UserStore::Load(const SpooledJob& spooled) const {
  TrainingJob job{
      spooled.attempt, spooled.local_layers, spooled.layers, {}, {}, spooled.server_clock_hz, {}};
  const auto upload = ArtefactFile::Open(folder_.PathOf(spooled.attempt, kUpload));
  if (!upload) {
    job.intact = tl::unexpected(upload.error());
    return job;
  }
  const auto read = [&](std::size_t artefact, std::string* into) {
    if (!job.intact || artefact >= upload->announced().size()) return;
    if (auto bytes = upload->Read(artefact)) {
      *into = std::move(*bytes);
    } else {
      job.intact = tl::unexpected(bytes.error());
    }
  };
  read(0, &job.data);
  read(1, &job.adapters);
  return job;
}

std::optional<TrainingJob> UserStore::NextJob(std::chrono::milliseconds patience) {
  std::optional<SpooledJob> spooled;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] {
      for (auto& [user, place] : places_) {
        if (closed_ || spooled) break;
        if (place.state != State::kUploaded) continue;
        place.state = State::kTraining;
        spooled = place.job;
      }
      return closed_ || spooled;
    });
  }
  if (!spooled) return std::nullopt;
  return Load(*spooled);
}

bool UserStore::Closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

bool UserStore::Wanted(const Attempt& attempt) const {
  const std::lock_guard lock(mutex_);
  return Find(attempt) != nullptr;
}

Expected<void> UserStore::Finish(const Attempt& attempt,
                                 std::string_view adapters,
                                 const Spent& spent) {
  Origin origin{{}, spent};
  {
    const std::lock_guard lock(mutex_);
    const Place* place = Find(attempt);
    if (place == nullptr) return {};
    origin.made_from = place->announced;
  }
  auto written = ArtefactFile::Write(folder_.PathOf(attempt, kResult), adapters, origin);
  if (!written) return written;
  {
    const std::lock_guard lock(mutex_);
    if (Place* place = Find(attempt)) {
      place->state = State::kReady;
      place->bytes = adapters.size();
      place->spent = spent;
    } else {
      folder_.Remove(attempt);  // Dropped meanwhile.
    }
  }
  std::error_code ignored;  // Found again, it is not looked at.
  for (const char* used : {kUpload, kCheckpoint}) {
    std::filesystem::remove(folder_.PathOf(attempt, used), ignored);
  }
  return {};
}

std::filesystem::path UserStore::CheckpointPath(const Attempt& attempt) const {
  return folder_.PathOf(attempt, kCheckpoint);
}

void UserStore::Sweep(const Attempt& attempt) {
  if (!Wanted(attempt)) folder_.Remove(attempt);
}

std::vector<FinishedJob> UserStore::Finished() const {
  const std::lock_guard lock(mutex_);
  std::vector<FinishedJob> finished;
  for (const auto& [user, place] : places_) {
    if (place.state != State::kReady) continue;
    finished.push_back({place.job.attempt, place.spent});
  }
  return finished;
}

OrRefused<ArtefactFile> UserStore::Result(const Attempt& attempt) const {
  {
    const std::lock_guard lock(mutex_);
    const Place* place = Find(attempt);
    if (place == nullptr) return tl::unexpected(WhyNone(attempt));
    if (place->state != State::kReady) {
      return Refuse(Refusal::kNotYet,
                    "the adapters of " + TextOf(attempt) + " are not trained yet");
    }
  }
  auto result = ArtefactFile::Open(folder_.PathOf(attempt, kResult));
  if (!result) return Refuse(result.error());
  return std::move(*result);
}

}  // namespace dashf::runtime
