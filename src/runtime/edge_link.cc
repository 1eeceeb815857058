#include "runtime/edge_link.h"

#include <utility>
#include <vector>

#include "base/digest.h"
#include "base/termination.h"
#include "runtime/failpoint.h"
#include "runtime/messages.h"
#include "runtime/tls.h"
#include "runtime/transfer.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::seconds kSilenceMax(30);
constexpr int kHandshakeTimeoutS = 10;

}  // namespace

EdgeLink::EdgeLink(Attempt attempt,
                   NodeId server,
                   std::string address,
                   const LiveCredentials& credentials)
    : attempt_(std::move(attempt)),
      server_(std::move(server)),
      address_(std::move(address)),
      credentials_(credentials),
      stub_(v1::EdgeServer::NewStub(ConnectTo(server_, address_, credentials_))) {}

Expected<void> EdgeLink::ShakeHands() const {
  const auto met = TryHandshake(server_, address_, credentials_, kHandshakeTimeoutS);
  if (met) return {};
  return Fail(met.error().kind, "server " + server_.id, met.error().message);
}

Error EdgeLink::Failed(const grpc::Status& status) const {
  return {ErrorKind::kRoundFailed, "server " + server_.id, status.error_message()};
}

Expected<Transferred> EdgeLink::Upload(std::string_view data, std::string_view adapters) {
  if (auto met = ShakeHands(); !met) return tl::unexpected(met.error());
  v1::UploadPart part;
  v1::UploadHeader& header = *part.mutable_header();
  header.set_round(attempt_.round);
  header.set_attempt(attempt_.number);
  header.set_user(attempt_.user);
  Sha256 key;
  key.Add(data);
  key.Add(adapters);
  header.set_idempotency_key(key.Hex());
  *header.add_artefacts() = ToWire(v1::ARTEFACT_DATA_SET, Announce(data));
  std::vector<std::string_view> artefacts = {data};
  if (!adapters.empty()) {
    *header.add_artefacts() = ToWire(v1::ARTEFACT_ADAPTERS, Announce(adapters));
    artefacts.push_back(adapters);
  }
  const Stopwatch watch;
  grpc::ClientContext context;
  const auto silence = watchdog_.Start(kSilenceMax, [&context] { context.TryCancel(); });
  v1::UploadReply reply;
  const auto writer = stub_->Upload(&context, &reply);
  bool open = writer->Write(part);
  ChunkSource source(artefacts);
  for (ChunkView chunk; open && source.Next(&chunk);) {
    *part.mutable_chunk() = ToWire(chunk);
    open = writer->Write(part);
    silence->Touch();
    Failpoint(UserNode(attempt_.user), "upload_begun");
  }
  if (open) writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return tl::unexpected(Failed(status));
  return Transferred{data.size() + adapters.size(), watch.ElapsedS()};
}

Expected<Transferred> EdgeLink::Download(std::string* adapters) {
  v1::DownloadRequest request;
  request.set_round(attempt_.round);
  request.set_attempt(attempt_.number);
  request.set_user(attempt_.user);
  const Stopwatch watch;
  grpc::ClientContext context;
  const auto silence = watchdog_.Start(kSilenceMax, [&context] { context.TryCancel(); });
  const auto reader = stub_->Download(&context, request);
  v1::DownloadPart part;
  auto assembly = reader->Read(&part) && part.has_header()
                      ? Assembly::Begin({FromWire(part.header().artefact())}, 1)
                      : Assembly::Begin({}, 1);
  Expected<void> sound;
  if (!assembly) sound = tl::unexpected(assembly.error());
  while (sound && reader->Read(&part)) {
    silence->Touch();
    sound = assembly->Add(FromWire(part.chunk()));
  }
  if (!sound) context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!status.ok() && (sound || !assembly)) return tl::unexpected(Failed(status));
  if (!sound) return tl::unexpected(sound.error());
  const std::uint64_t bytes = assembly->bytes();
  auto artefacts = std::move(*assembly).Finish();
  if (!artefacts) return tl::unexpected(artefacts.error());
  *adapters = std::move(artefacts->front());
  return Transferred{bytes, watch.ElapsedS()};
}

}  // namespace dashf::runtime
