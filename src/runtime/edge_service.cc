#include "runtime/edge_service.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <optional>
#include <vector>

#include "base/digest.h"
#include "base/termination.h"
#include "runtime/failpoint.h"
#include "runtime/messages.h"
#include "runtime/paced.h"
#include "runtime/tls.h"
#include "runtime/transfer.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::seconds kSilenceMax(30);
constexpr int kCallsMax = 4;  // Of one peer: those that a broken link left behind, and a new one.

// Words that gRPC itself never says of a link or a server in trouble.
grpc::Status ToStatus(const Refused& refused) {
  const auto code = [&] {
    switch (refused.refusal) {
      case Refusal::kNotYet:
        return grpc::StatusCode::FAILED_PRECONDITION;
      case Refusal::kOver:
      case Refusal::kConflict:
        return grpc::StatusCode::ABORTED;
      case Refusal::kTooLarge:
        return grpc::StatusCode::OUT_OF_RANGE;
      case Refusal::kMalformed:
        return grpc::StatusCode::INVALID_ARGUMENT;
      case Refusal::kBroken:
        return grpc::StatusCode::DATA_LOSS;
    }
    return grpc::StatusCode::INTERNAL;
  };
  return {code(), refused.reason};
}

grpc::Status Malformed(const std::string& reason) {
  return {grpc::StatusCode::INVALID_ARGUMENT, reason};
}

}  // namespace

// What every call is: counted with its peer's others, and not to be silent for long.
class EdgeService::Call {
 public:
  Call(EdgeService* service, grpc::CallbackServerContext* context)
      : service_(*service),
        context_(*context),
        peer_(PeerOf(*context)),
        silence_(service->watchdog_.Start(kSilenceMax, [context] { context->TryCancel(); })) {
    if (!peer_) return;
    const std::lock_guard lock(service_.mutex_);
    calls_ = ++service_.calls_[Name(*peer_)];
  }
  ~Call() {
    if (!peer_) return;
    const std::lock_guard lock(service_.mutex_);
    const auto found = service_.calls_.find(Name(*peer_));
    if (--found->second == 0) service_.calls_.erase(found);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // Does the message come from the user it names, and is it not one call too many?
  grpc::Status Admit(const std::string& user) const {
    if (!peer_) return {grpc::StatusCode::UNAUTHENTICATED, "no certificate names this peer"};
    if (*peer_ != UserNode(user)) {
      return {grpc::StatusCode::PERMISSION_DENIED,
              fmt::format("the certificate is {}'s, the message speaks for {}",
                          Name(*peer_),
                          Name(UserNode(user)))};
    }
    if (calls_ <= kCallsMax) return grpc::Status::OK;
    return {grpc::StatusCode::FAILED_PRECONDITION,
            fmt::format("{} has {} transfers going on already", Name(*peer_), kCallsMax)};
  }
  void Progress() { silence_->Touch(); }
  bool Cancelled() const { return context_.IsCancelled(); }

  EdgeService& service_;

 private:
  grpc::CallbackServerContext& context_;
  const std::optional<NodeId> peer_;
  const std::unique_ptr<Watchdog::Watch> silence_;
  int calls_ = 0;
};

// One stream of an upload. A part is read while the one before it goes to the disk; whichever of
// the two ends last goes on, so nothing here is ever used by two threads at once. Deletes itself
// when gRPC is done with it.
class EdgeService::Uploading final
    : public grpc::ServerBidiReactor<v1::UploadPart, v1::UploadProgress> {
 public:
  Uploading(EdgeService* service, grpc::CallbackServerContext* context) : call_(service, context) {
    Read();
  }

  void OnReadDone(bool ok) override {
    call_.Progress();
    read_ = ok;
    GoOn();
  }

  void OnWriteDone(bool ok) override {
    call_.Progress();
    if (!ok) return Finish({grpc::StatusCode::CANCELLED, "the user has gone"});
    if (turn_->complete) return Finish(grpc::Status::OK);
    Read();
  }

  void OnDone() override { delete this; }

 private:
  void Read() {
    under_way_ = 1;
    StartRead(&part_);
  }

  void GoOn() {
    if (--under_way_ > 0) return;
    if (!added_) return Finish(ToStatus(added_.error()));
    if (!read_) return End();
    if (part_.has_header()) {
      if (turn_) return Finish(Malformed("a second header"));
      return boost::asio::post(call_.service_.disk_, [this] { Begin(part_.header()); });
    }
    if (!turn_) return Finish(Malformed("a chunk before the header"));
    under_way_ = 2;
    part_.Swap(&adding_);
    StartRead(&part_);
    boost::asio::post(call_.service_.disk_, [this] {
      added_ = call_.service_.store_->AddChunk(attempt_, turn_->number, FromWire(adding_.chunk()));
      if (added_) Failpoint(call_.service_.node_, "upload");
      GoOn();
    });
  }

  void Begin(const v1::UploadHeader& header) {
    const grpc::Status status = call_.Admit(header.user());
    if (!status.ok()) return Finish(status);
    attempt_ = {header.user(), header.round(), header.attempt()};
    static constexpr v1::ArtefactKind kOrder[] = {v1::ARTEFACT_DATA_SET, v1::ARTEFACT_ADAPTERS};
    std::vector<Announced> announced;
    for (const v1::Artefact& artefact : header.artefacts()) {
      if (announced.size() < std::size(kOrder) && artefact.kind() != kOrder[announced.size()]) {
        return Finish(Malformed("artefacts of the wrong kinds"));
      }
      announced.push_back(FromWire(artefact));
    }
    const auto turn = call_.service_.store_->BeginUpload(attempt_, std::move(announced));
    if (!turn) return Finish(ToStatus(turn.error()));
    turn_ = *turn;
    Tell();
  }

  // The user has nothing more to send, or has gone.
  void End() {
    if (call_.Cancelled()) return Finish({grpc::StatusCode::CANCELLED, "the user has gone"});
    if (!turn_) return Finish(Malformed("no header"));
    boost::asio::post(call_.service_.disk_, [this] { Commit(); });
  }

  void Commit() {
    const auto committed = call_.service_.store_->CommitUpload(attempt_, turn_->number);
    if (!committed) return Finish(ToStatus(committed.error()));
    Failpoint(call_.service_.node_, "upload_committed");
    turn_->complete = true;
    Tell();
  }

  void Tell() {
    progress_.set_bytes(turn_->bytes);
    progress_.set_complete(turn_->complete);
    StartWrite(&progress_);
  }

  Call call_;
  std::atomic<int> under_way_ = 0;  // A read, and a part that goes to the disk.
  v1::UploadPart part_, adding_;
  bool read_ = false;
  OrRefused<void> added_;
  v1::UploadProgress progress_;
  Attempt attempt_;
  std::optional<UserStore::Turn> turn_;
};

// One stream of a download, or its refusal.
class EdgeService::Downloading final : public grpc::ServerWriteReactor<v1::DownloadPart> {
 public:
  Downloading(EdgeService* service,
              grpc::CallbackServerContext* context,
              const v1::DownloadRequest& request)
      : call_(service, context), timer_(service->disk_) {
    const grpc::Status status = Begin(request);
    if (status.ok()) {
      StartWrite(&part_);
    } else {
      Finish(status);
    }
  }

  void OnWriteDone(bool ok) override {
    call_.Progress();
    if (!ok) return Finish({grpc::StatusCode::CANCELLED, "the user has gone"});
    if (part_.has_chunk()) size_.Took(since_write_.ElapsedS());
    if (offset_ == result_->bytes()) return Finish(grpc::Status::OK);
    v1::Chunk& chunk = *part_.mutable_chunk();
    std::string& data = *chunk.mutable_data();
    data.resize(std::min(size_.bytes(), result_->bytes() - offset_));
    if (auto read = result_->ReadAt(offset_, data); !read) {
      return Finish({grpc::StatusCode::FAILED_PRECONDITION, read.error().Text()});
    }
    chunk.set_offset(offset_);
    chunk.set_crc32c(Crc32c(data));
    offset_ += data.size();
    since_write_ = {};
    if (!link_) return StartWrite(&part_);
    timer_.expires_at(link_->Crossed(data.size()));
    timer_.async_wait([this](const boost::system::error_code&) { StartWrite(&part_); });
  }

  void OnDone() override { delete this; }

 private:
  grpc::Status Begin(const v1::DownloadRequest& request) {
    if (grpc::Status status = call_.Admit(request.user()); !status.ok()) return status;
    const Attempt attempt{request.user(), request.round(), request.attempt()};
    auto result = call_.service_.store_->Result(attempt);
    if (!result) return ToStatus(result.error());
    if (const double bit_per_s = call_.service_.PaceOf(attempt); bit_per_s > 0.0) {
      link_.emplace(bit_per_s);
    }
    result_ = std::move(*result);
    const Announced& announced = result_->announced().front();
    if (request.sha256() == announced.sha256) offset_ = std::min(request.bytes(), announced.bytes);
    *part_.mutable_header()->mutable_artefact() = ToWire(v1::ARTEFACT_ADAPTERS, announced);
    part_.mutable_header()->set_offset(offset_);
    return grpc::Status::OK;
  }

  Call call_;
  std::optional<ArtefactFile> result_;
  std::uint64_t offset_ = 0;
  ChunkSize size_;
  Stopwatch since_write_;
  v1::DownloadPart part_;
  std::optional<PacedLink> link_;
  boost::asio::steady_timer timer_;  // Until a chunk has crossed the link.
};

void EdgeService::SetPace(const Attempt& attempt, double download_bit_per_s) {
  const std::lock_guard lock(mutex_);
  paces_[attempt.user] = {attempt, download_bit_per_s};
}

double EdgeService::PaceOf(const Attempt& attempt) {
  const std::lock_guard lock(mutex_);
  const auto found = paces_.find(attempt.user);
  return found != paces_.end() && found->second.first == attempt ? found->second.second : 0.0;
}

grpc::ServerBidiReactor<v1::UploadPart, v1::UploadProgress>* EdgeService::Upload(
    grpc::CallbackServerContext* context) {
  return new Uploading(this, context);
}

grpc::ServerWriteReactor<v1::DownloadPart>* EdgeService::Download(
    grpc::CallbackServerContext* context, const v1::DownloadRequest* request) {
  Failpoint(node_, "download");
  return new Downloading(this, context, *request);
}

}  // namespace dashf::runtime
