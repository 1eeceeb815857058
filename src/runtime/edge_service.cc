#include "runtime/edge_service.h"

#include <fmt/format.h>

#include "runtime/failpoint.h"
#include "runtime/messages.h"
#include "runtime/tls.h"
#include "runtime/transfer.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::seconds kSilenceMax(30);

grpc::Status Refuse(grpc::StatusCode code, const std::string& reason) {
  return {code, reason};
}

grpc::Status ToStatus(UploadVerdict verdict) {
  switch (verdict) {
    case UploadVerdict::kWelcome:
    case UploadVerdict::kDuplicate:
      return grpc::Status::OK;
    case UploadVerdict::kConflict:
      return Refuse(grpc::StatusCode::ABORTED, "another upload of this user is committed already");
    case UploadVerdict::kBusy:
      return Refuse(grpc::StatusCode::ABORTED, "another upload of this user is under way");
    case UploadVerdict::kStale:
      return Refuse(grpc::StatusCode::ABORTED, "a later attempt of this user is going on");
    case UploadVerdict::kUnexpected:
      return Refuse(grpc::StatusCode::PERMISSION_DENIED, "this user is not assigned here");
  }
  return Refuse(grpc::StatusCode::INTERNAL, "");
}

}  // namespace

grpc::Status EdgeService::Identify(const grpc::CallbackServerContext& context,
                                   std::uint32_t round,
                                   const std::string& user) const {
  const auto peer = PeerOf(context);
  if (!peer) return Refuse(grpc::StatusCode::UNAUTHENTICATED, "no certificate names this peer");
  if (*peer != UserNode(user)) {
    return Refuse(grpc::StatusCode::PERMISSION_DENIED,
                  fmt::format("the certificate is {}'s, the message speaks for {}",
                              Name(*peer),
                              Name(UserNode(user))));
  }
  if (round != round_) {
    return Refuse(grpc::StatusCode::ABORTED, fmt::format("round {} is not going on", round));
  }
  return grpc::Status::OK;
}

// One upload. Deletes itself when gRPC is done with it.
class EdgeService::Uploading final : public grpc::ServerReadReactor<v1::UploadPart> {
 public:
  Uploading(EdgeService* service, grpc::CallbackServerContext* context, v1::UploadReply* reply)
      : service_(service),
        context_(context),
        reply_(reply),
        silence_(service->watchdog_.Start(kSilenceMax, [context] { context->TryCancel(); })) {
    StartRead(&part_);
  }

  void OnReadDone(bool ok) override {
    silence_->Touch();
    if (!ok) return Commit();
    const grpc::Status status = part_.has_header() ? Begin(part_.header()) : Add(part_.chunk());
    if (!status.ok() || reply_->duplicate()) return Finish(status);
    Failpoint(service_->node_, "upload");
    StartRead(&part_);
  }

  void OnDone() override {
    if (reserved_) service_->store_->AbandonUpload(attempt_);
    delete this;
  }

 private:
  grpc::Status Begin(const v1::UploadHeader& header) {
    if (assembly_) return Refuse(grpc::StatusCode::INVALID_ARGUMENT, "a second header");
    grpc::Status status = service_->Identify(*context_, header.round(), header.user());
    if (!status.ok()) return status;
    Attempt attempt{header.user(), header.round(), header.attempt()};
    const UploadVerdict verdict = service_->store_->BeginUpload(attempt, header.idempotency_key());
    reply_->set_duplicate(verdict == UploadVerdict::kDuplicate);
    if (verdict != UploadVerdict::kWelcome) return ToStatus(verdict);
    attempt_ = std::move(attempt);
    reserved_ = true;
    return Open(header);
  }

  // The data set comes first, the adapters of layers 1..k second unless k = 0.
  grpc::Status Open(const v1::UploadHeader& header) {
    static constexpr v1::ArtefactKind kOrder[] = {v1::ARTEFACT_DATA_SET, v1::ARTEFACT_ADAPTERS};
    const std::size_t count = service_->store_->local_layers(attempt_) > 0 ? 2 : 1;
    std::vector<Announced> announced;
    for (const v1::Artefact& artefact : header.artefacts()) {
      if (announced.size() < count && artefact.kind() != kOrder[announced.size()]) {
        return Refuse(grpc::StatusCode::INVALID_ARGUMENT, "artefacts of the wrong kinds");
      }
      announced.push_back(FromWire(artefact));
    }
    auto assembly = Assembly::Begin(std::move(announced), count);
    if (!assembly) {
      return Refuse(grpc::StatusCode::RESOURCE_EXHAUSTED, assembly.error().Text());
    }
    assembly_ = std::move(*assembly);
    return grpc::Status::OK;
  }

  grpc::Status Add(const v1::Chunk& chunk) {
    if (!assembly_) return Refuse(grpc::StatusCode::INVALID_ARGUMENT, "a chunk before the header");
    const auto added = assembly_->Add(FromWire(chunk));
    return added ? grpc::Status::OK : Refuse(grpc::StatusCode::DATA_LOSS, added.error().Text());
  }

  void Commit() {
    if (!assembly_) return Finish(Refuse(grpc::StatusCode::INVALID_ARGUMENT, "no header"));
    reply_->set_bytes_committed(assembly_->bytes());
    auto artefacts = std::move(*assembly_).Finish();
    if (!artefacts) {
      return Finish(Refuse(grpc::StatusCode::DATA_LOSS, artefacts.error().Text()));
    }
    artefacts->resize(2);
    service_->store_->CommitUpload(
        attempt_, std::move((*artefacts)[0]), std::move((*artefacts)[1]));
    reserved_ = false;
    Finish(grpc::Status::OK);
  }

  EdgeService* const service_;
  grpc::CallbackServerContext* const context_;
  v1::UploadReply* const reply_;
  const std::unique_ptr<Watchdog::Watch> silence_;
  v1::UploadPart part_;
  Attempt attempt_;
  bool reserved_ = false;
  std::optional<Assembly> assembly_;
};

// One download, or its refusal.
class EdgeService::Downloading final : public grpc::ServerWriteReactor<v1::DownloadPart> {
 public:
  Downloading(EdgeService* service,
              grpc::CallbackServerContext* context,
              const grpc::Status& status,
              std::shared_ptr<const std::string> result)
      : result_(std::move(result)),
        silence_(service->watchdog_.Start(kSilenceMax, [context] { context->TryCancel(); })) {
    if (!status.ok()) {
      Finish(status);
      return;
    }
    source_.emplace(std::vector<std::string_view>{*result_});
    *part_.mutable_header()->mutable_artefact() = ToWire(v1::ARTEFACT_ADAPTERS, Announce(*result_));
    StartWrite(&part_);
  }

  void OnWriteDone(bool ok) override {
    silence_->Touch();
    if (!ok) return Finish(Refuse(grpc::StatusCode::CANCELLED, "the user has gone"));
    ChunkView chunk;
    if (!source_->Next(&chunk)) return Finish(grpc::Status::OK);
    *part_.mutable_chunk() = ToWire(chunk);
    StartWrite(&part_);
  }

  void OnDone() override { delete this; }

 private:
  const std::shared_ptr<const std::string> result_;
  const std::unique_ptr<Watchdog::Watch> silence_;
  std::optional<ChunkSource> source_;
  v1::DownloadPart part_;
};

grpc::ServerReadReactor<v1::UploadPart>* EdgeService::Upload(grpc::CallbackServerContext* context,
                                                             v1::UploadReply* reply) {
  return new Uploading(this, context, reply);
}

grpc::ServerWriteReactor<v1::DownloadPart>* EdgeService::Download(
    grpc::CallbackServerContext* context, const v1::DownloadRequest* request) {
  Failpoint(node_, "download");
  grpc::Status status = Identify(*context, request->round(), request->user());
  const Attempt attempt{request->user(), request->round(), request->attempt()};
  auto result = status.ok() ? store_->Result(attempt) : nullptr;
  if (status.ok() && result == nullptr) {
    status = Refuse(grpc::StatusCode::FAILED_PRECONDITION, "this user's adapters are not ready");
  }
  return new Downloading(this, context, status, std::move(result));
}

}  // namespace dashf::runtime
