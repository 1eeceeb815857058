#include "runtime/edge_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "base/termination.h"
#include "runtime/artefact_file.h"
#include "runtime/failpoint.h"
#include "runtime/messages.h"
#include "runtime/paced.h"
#include "runtime/tls.h"
#include "runtime/transfer.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::milliseconds kTick(100);
constexpr int kHandshakeTimeoutS = 3;  // Per step. Where it takes longer, nothing is learnt.
// A peer that hangs up in the handshake may have died just then; one that does so again and again
// refuses the certificate.
constexpr int kIdentityTries = 5;
constexpr int kBrokenTries = 8;  // That end in altered bytes, before the fault is ours or theirs.
constexpr char kReceived[] = "received";

enum class Ending { kDone, kAgain, kBroken, kNever };

Ending EndingOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return Ending::kDone;
    case grpc::StatusCode::DATA_LOSS:
      return Ending::kBroken;
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::INVALID_ARGUMENT:
    case grpc::StatusCode::PERMISSION_DENIED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAUTHENTICATED:
    case grpc::StatusCode::UNIMPLEMENTED:
      return Ending::kNever;
    default:  // Not yet, or a link that broke: gRPC has several words for that.
      return Ending::kAgain;
  }
}

}  // namespace

// How one call went.
struct EdgeLink::Outcome {
  Ending ending = Ending::kDone;
  std::string reason = {};
  bool reached = true;                  // The server itself has answered.
  std::optional<Error> own_error = {};  // This user's disk, say: the end.
  std::uint64_t bytes_kept = 0;         // By the receiver, as far as is known.

  static Outcome Of(const grpc::Status& status, bool answered) {
    const Ending ending = EndingOf(status);
    return {ending,
            status.error_message(),
            answered || ending == Ending::kNever || ending == Ending::kBroken ||
                status.error_code() == grpc::StatusCode::FAILED_PRECONDITION};
  }
  static Outcome Broken(std::string reason) { return {Ending::kBroken, std::move(reason)}; }
  static Outcome Own(const Error& error) { return {Ending::kNever, "", true, error}; }
};

// A call's context, cancelled when nothing moves for long or the transfer is no longer wanted.
class EdgeLink::Call {
 public:
  explicit Call(const Settings& settings) : settings_(settings), thread_([this] { Watch(); }) {}
  ~Call() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  void Progress() {
    const std::lock_guard lock(mutex_);
    heard_ = std::chrono::steady_clock::now();
  }
  grpc::ClientContext context;

 private:
  void Watch() {
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kTick, [this] { return over_; })) {
      const bool silent =
          std::chrono::steady_clock::now() - heard_ > settings_.patience.silence_max;
      if (silent || !settings_.wanted()) return context.TryCancel();
    }
  }

  const Settings& settings_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::chrono::steady_clock::time_point heard_ = std::chrono::steady_clock::now();
  bool over_ = false;
  std::thread thread_;
};

EdgeLink::EdgeLink(Settings settings, LiveCredentials credentials)
    : settings_(std::move(settings)),
      credentials_(std::move(credentials)),
      stub_(v1::EdgeServer::NewStub(ConnectTo(settings_.server, settings_.address, credentials_))) {
}

EdgeLink::~EdgeLink() = default;

Expected<void> EdgeLink::ShakeHands() const {
  return TryHandshake(settings_.server, settings_.address, credentials_, kHandshakeTimeoutS);
}

Error EdgeLink::Failed(const std::string& reason) const {
  return {ErrorKind::kRoundFailed, "server " + settings_.server.id, reason};
}

bool EdgeLink::Pause(const std::string& reason, int tries_in_vain) const {
  const Patience& patience = settings_.patience;
  const int doublings = std::clamp(tries_in_vain - 1, 0, 20);
  const auto longest = std::min(patience.pause_max, patience.pause_first * (1 << doublings));
  thread_local std::minstd_rand random(std::random_device{}());
  const std::chrono::milliseconds pause(
      std::uniform_int_distribution<std::int64_t>(longest.count() / 2, longest.count())(random));
  if (settings_.on_pause) settings_.on_pause(reason, pause);
  return WaitUntil(std::chrono::steady_clock::now() + pause);
}

bool EdgeLink::WaitUntil(std::chrono::steady_clock::time_point until) const {
  while (settings_.wanted()) {
    const auto left = until - std::chrono::steady_clock::now();
    if (left <= left.zero()) return true;
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(left, kTick));
  }
  return false;
}

Expected<Transferred> EdgeLink::Repeat(const std::function<Outcome(Transferred*)>& once) {
  const Stopwatch watch;
  Transferred transferred;
  std::string reason = "not tried";
  int in_vain = 0, identity_refused = 0, broken = 0;
  std::uint64_t bytes_kept = 0;
  while (settings_.wanted()) {
    ++transferred.tries;
    Outcome outcome = once(&transferred);
    transferred.elapsed_s = watch.ElapsedS();
    if (outcome.ending == Ending::kDone) return transferred;
    if (outcome.own_error) return tl::unexpected(*outcome.own_error);
    reason = outcome.reason;
    if (outcome.ending == Ending::kNever) return tl::unexpected(Failed(reason));
    if (outcome.ending == Ending::kBroken && ++broken == kBrokenTries) {
      return tl::unexpected(Failed(reason));
    }
    if (!outcome.reached && settings_.wanted()) {  // Why?
      if (const auto met = ShakeHands(); !met) {
        reason = met.error().message;
        const bool refused = met.error().kind == ErrorKind::kIdentity;
        identity_refused = refused ? identity_refused + 1 : 0;
        if (identity_refused == kIdentityTries) {
          return Fail(ErrorKind::kIdentity, "server " + settings_.server.id, reason);
        }
      }
    } else {
      identity_refused = 0;
    }
    in_vain = outcome.bytes_kept > bytes_kept ? 1 : in_vain + 1;
    bytes_kept = std::max(bytes_kept, outcome.bytes_kept);
    if (!Pause(reason, in_vain)) break;
  }
  return tl::unexpected(Failed("is no longer waited for; last: " + reason));
}

Expected<Transferred> EdgeLink::Upload(std::string_view data, std::string_view adapters) {
  std::vector<std::string_view> artefacts = {data};
  if (!adapters.empty()) artefacts.push_back(adapters);
  v1::UploadPart first;
  v1::UploadHeader& header = *first.mutable_header();
  header.set_round(settings_.attempt.round);
  header.set_attempt(settings_.attempt.number);
  header.set_user(settings_.attempt.user);
  for (const std::string_view artefact : artefacts) {
    *header.add_artefacts() =
        ToWire(header.artefacts_size() == 0 ? v1::ARTEFACT_DATA_SET : v1::ARTEFACT_ADAPTERS,
               Announce(artefact));
  }
  const std::uint64_t bytes = data.size() + adapters.size();
  std::optional<PacedLink> link;  // From the first chunk on.
  const auto once = [&](Transferred* transferred) {
    transferred->bytes = bytes;
    Call call(settings_);
    const auto stream = stub_->Upload(&call.context);
    v1::UploadProgress progress;
    const bool reached = stream->Write(first) && stream->Read(&progress);
    bool open = reached && !progress.complete() && progress.bytes() <= bytes;
    if (open) {
      if (!link && settings_.upload_bit_per_s > 0.0) link.emplace(settings_.upload_bit_per_s);
      ChunkSource source(artefacts, progress.bytes());
      ChunkSize size;
      v1::UploadPart part;
      for (ChunkView chunk; open && source.Next(&chunk, size.bytes());) {
        Fill(chunk, part.mutable_chunk());
        const Stopwatch watch;
        open = (!link || WaitUntil(link->Crossed(chunk.data.size()))) && stream->Write(part);
        size.Took(watch.ElapsedS());
        if (open) transferred->bytes_moved += chunk.data.size();
        call.Progress();
        Failpoint(UserNode(settings_.attempt.user), "upload_begun");
      }
      open = open && stream->WritesDone() && stream->Read(&progress);
    }
    if (progress.bytes() > bytes) call.context.TryCancel();
    while (stream->Read(&progress)) {  // The status comes after the last message that is read.
    }
    const grpc::Status status = stream->Finish();
    if (progress.complete()) return Outcome{};
    Outcome outcome = Outcome::Of(status, reached);
    if (status.ok()) outcome = Outcome::Broken("ended without a word");
    if (progress.bytes() > bytes) outcome = Outcome::Broken("says that it has more than there is");
    outcome.bytes_kept = progress.bytes();
    return outcome;
  };
  return Repeat(once);
}

Expected<Transferred> EdgeLink::Download(std::string* adapters) {
  const std::filesystem::path path = settings_.folder / kReceived;
  std::error_code failed;
  std::filesystem::create_directories(settings_.folder, failed);
  if (failed) return Fail(ErrorKind::kIo, settings_.folder.string(), failed.message());
  const auto take = [&](Transferred* transferred) -> Expected<void> {
    const auto whole = ArtefactFile::Open(path);
    if (!whole) return tl::unexpected(whole.error());
    auto bytes = whole->Read(0);
    if (!bytes) return tl::unexpected(bytes.error());
    transferred->bytes = bytes->size();
    *adapters = std::move(*bytes);
    return {};
  };
  Transferred kept;
  if (take(&kept)) return kept;
  std::optional<IncomingFile> incoming = IncomingFile::Reopen(path);
  return Repeat([&](Transferred* transferred) {
    Outcome outcome = DownloadOnce(path, &incoming, transferred);
    if (outcome.ending != Ending::kDone) return outcome;
    const auto taken = take(transferred);
    return taken ? outcome : Outcome::Own(taken.error());
  });
}

EdgeLink::Outcome EdgeLink::DownloadOnce(const std::filesystem::path& path,
                                         std::optional<IncomingFile>* incoming,
                                         Transferred* transferred) {
  v1::DownloadRequest request;
  request.set_round(settings_.attempt.round);
  request.set_attempt(settings_.attempt.number);
  request.set_user(settings_.attempt.user);
  if (*incoming && (*incoming)->announced().size() == 1) {
    request.set_sha256((*incoming)->announced().front().sha256);
    request.set_bytes((*incoming)->bytes());
  }
  Call call(settings_);
  const auto reader = stub_->Download(&call.context, request);
  v1::DownloadPart part;
  const bool reached = reader->Read(&part);
  const auto give_up = [&](Outcome outcome) {
    call.context.TryCancel();
    reader->Finish();
    return outcome;
  };
  const auto broken = [&](const std::string& reason) { return give_up(Outcome::Broken(reason)); };
  if (!reached) {
    const grpc::Status status = reader->Finish();
    return status.ok() ? Outcome::Broken("ended without a word") : Outcome::Of(status, false);
  }
  const std::vector<Announced> announced = {FromWire(part.header().artefact())};
  if (auto sound = CheckAnnounced(announced, 1); !sound) return broken(sound.error().Text());
  if (!*incoming || (*incoming)->announced() != announced) {
    incoming->reset();
    auto anew = IncomingFile::Open(path, announced);
    if (!anew && anew.error().kind != ErrorKind::kIo) return broken(anew.error().Text());
    if (!anew) return give_up(Outcome::Own(anew.error()));
    incoming->emplace(std::move(*anew));
  }
  if (part.header().offset() != (*incoming)->bytes()) return broken("starts at another byte");
  // A part is read while the one before it goes to the disk.
  v1::DownloadPart adding;
  std::future<Expected<void>> added;
  const auto wait = [&] { return added.valid() ? added.get() : Expected<void>(); };
  const auto refuse = [&](const Error& error) {
    return error.kind == ErrorKind::kIo ? give_up(Outcome::Own(error)) : broken(error.Text());
  };
  while (reader->Read(&part)) {
    call.Progress();
    Failpoint(UserNode(settings_.attempt.user), "download_begun");
    if (auto kept = wait(); !kept) return refuse(kept.error());
    transferred->bytes_moved += part.chunk().data().size();
    part.Swap(&adding);
    added =
        std::async(std::launch::async, [&] { return (*incoming)->Add(FromWire(adding.chunk())); });
  }
  if (auto kept = wait(); !kept) return refuse(kept.error());
  const grpc::Status status = reader->Finish();
  if (!(*incoming)->complete()) {
    Outcome outcome = status.ok() ? Outcome::Broken("ended too early") : Outcome::Of(status, true);
    outcome.bytes_kept = (*incoming)->bytes();
    return outcome;
  }
  if (auto finished = (*incoming)->Finish(); !finished) return Outcome::Own(finished.error());
  return {};
}

}  // namespace dashf::runtime
