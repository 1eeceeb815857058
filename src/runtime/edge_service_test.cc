// The edge server's port as users and strangers see it: real gRPC over mutual TLS in this process.
#include "runtime/edge_service.h"

#include <gmock/gmock.h>

#include "base/digest.h"
#include "runtime/authority.h"
#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;

class EdgePort : public testing::Test {
 protected:
  EdgePort() {
    int port = 0;
    grpc::ServerBuilder builder;
    ListenOn(builder, "127.0.0.1:0", CredentialsOf(ServerNode("s0")), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
    store_.Expect({"u0"}, 1, 3);
  }
  ~EdgePort() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
    server_->Wait();
  }

  Credentials CredentialsOf(const NodeId& node) const { return authority_.Issue(node).value(); }

  std::unique_ptr<v1::EdgeServer::Stub> Stub(const NodeId& caller) const {
    return v1::EdgeServer::NewStub(ConnectTo(ServerNode("s0"), address_, CredentialsOf(caller)));
  }

  static v1::UploadPart Header(const std::string& data, const std::string& adapters) {
    v1::UploadPart part;
    part.mutable_header()->set_round(1);
    part.mutable_header()->set_attempt(1);
    part.mutable_header()->set_user("u0");
    part.mutable_header()->set_idempotency_key(Sha256Hex(data + adapters));
    *part.mutable_header()->add_artefacts() = ToWire(v1::ARTEFACT_DATA_SET, Announce(data));
    *part.mutable_header()->add_artefacts() = ToWire(v1::ARTEFACT_ADAPTERS, Announce(adapters));
    return part;
  }

  static std::vector<v1::UploadPart> Parts(const std::string& data, const std::string& adapters) {
    std::vector<v1::UploadPart> parts = {Header(data, adapters)};
    ChunkSource source({data, adapters});
    for (ChunkView chunk; source.Next(&chunk);) {
      *parts.emplace_back().mutable_chunk() = ToWire(chunk);
    }
    return parts;
  }

  grpc::Status Upload(const NodeId& caller,
                      const std::vector<v1::UploadPart>& parts,
                      v1::UploadReply* reply) const {
    const auto stub = Stub(caller);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto writer = stub->Upload(&context, reply);
    for (const v1::UploadPart& part : parts) {
      if (!writer->Write(part)) break;
    }
    writer->WritesDone();
    return writer->Finish();
  }

  grpc::Status Upload(const NodeId& caller, const std::vector<v1::UploadPart>& parts) const {
    v1::UploadReply reply;
    return Upload(caller, parts, &reply);
  }

  grpc::Status Download(const NodeId& caller, std::string* bytes) const {
    const auto stub = Stub(caller);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::DownloadRequest request;
    request.set_round(1);
    request.set_attempt(1);
    request.set_user("u0");
    const auto reader = stub->Download(&context, request);
    for (v1::DownloadPart part; reader->Read(&part);) *bytes += part.chunk().data();
    return reader->Finish();
  }

  const CertificateAuthority authority_ = CertificateAuthority::Create().value();
  UserStore store_;
  EdgeService service_{ServerNode("s0"), 1, &store_};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(EdgePort, AnUploadArrivesWholeAndTheResultGoesBackWhole) {
  const std::string data(2 * kChunkBytesMax + 7, 'd'), adapters(1000, 'a');
  v1::UploadReply reply;
  ASSERT_TRUE(Upload(UserNode("u0"), Parts(data, adapters), &reply).ok());
  EXPECT_EQ(reply.bytes_committed(), data.size() + adapters.size());
  const auto jobs = store_.NextJobs(2);
  ASSERT_EQ(jobs.size(), 1U);
  EXPECT_EQ(jobs[0].data, data);
  EXPECT_EQ(jobs[0].adapters, adapters);
  std::string result;
  EXPECT_EQ(Download(UserNode("u0"), &result).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);  // Not trained yet.
  store_.Finish({"u0"}, std::string(kChunkBytesMax + 3, 'r'));
  ASSERT_TRUE(Download(UserNode("u0"), &result).ok());
  EXPECT_EQ(result, std::string(kChunkBytesMax + 3, 'r'));
}

TEST_F(EdgePort, ARepeatedUploadIsADuplicateAndADifferentOneAConflict) {
  ASSERT_TRUE(Upload(UserNode("u0"), Parts("data", "adapters")).ok());
  v1::UploadReply reply;
  ASSERT_TRUE(Upload(UserNode("u0"), Parts("data", "adapters"), &reply).ok());
  EXPECT_TRUE(reply.duplicate());
  EXPECT_EQ(Upload(UserNode("u0"), Parts("other", "adapters")).error_code(),
            grpc::StatusCode::ABORTED);
}

TEST_F(EdgePort, NobodyMaySpeakForAnotherUser) {
  const grpc::Status status = Upload(UserNode("u1"), Parts("data", "adapters"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(),
              HasSubstr("the certificate is user/u1's, the message speaks for user/u0"));
  store_.Finish({"u0"}, "secret");
  std::string bytes;
  EXPECT_EQ(Download(ServerNode("s1"), &bytes).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(bytes, "");
}

TEST_F(EdgePort, AUserThatIsNotAssignedHereOrComesInAnotherRoundIsRefused) {
  store_.Drop({"u0"});
  EXPECT_EQ(Upload(UserNode("u0"), Parts("data", "adapters")).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  std::vector<v1::UploadPart> stale = Parts("data", "adapters");
  stale.front().mutable_header()->set_round(7);
  EXPECT_EQ(Upload(UserNode("u0"), stale).error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(EdgePort, ABrokenUploadIsRefusedAndMayBeTriedAgain) {
  std::vector<v1::UploadPart> altered = Parts("data", "adapters");
  altered[1].mutable_chunk()->set_data("date");
  EXPECT_EQ(Upload(UserNode("u0"), altered).error_code(), grpc::StatusCode::DATA_LOSS);
  std::vector<v1::UploadPart> cut = Parts("data", "adapters");
  cut.pop_back();
  EXPECT_EQ(Upload(UserNode("u0"), cut).error_code(), grpc::StatusCode::DATA_LOSS);
  std::vector<v1::UploadPart> headless = Parts("data", "adapters");
  headless.erase(headless.begin());
  EXPECT_EQ(Upload(UserNode("u0"), headless).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Upload(UserNode("u0"), Parts("data", "adapters")).ok());
}

TEST_F(EdgePort, AClaimOfOneTerabyteIsRefusedBeforeAnythingIsStored) {
  std::vector<v1::UploadPart> parts = {Header("data", "adapters")};
  parts.front().mutable_header()->mutable_artefacts(0)->set_bytes(std::uint64_t{1} << 40);
  EXPECT_EQ(Upload(UserNode("u0"), parts).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(EdgePort, AHandshakeTellsARefusedCertificateFromAnAbsentPeer) {
  const auto try_with = [&](const NodeId& peer, const Credentials& credentials) {
    return TryHandshake(peer, address_, credentials, 5);
  };
  EXPECT_TRUE(try_with(ServerNode("s0"), CredentialsOf(UserNode("u0"))));

  const auto foreign = try_with(
      ServerNode("s0"), CertificateAuthority::Create().value().Issue(UserNode("u0")).value());
  ASSERT_FALSE(foreign);
  EXPECT_EQ(foreign.error().kind, ErrorKind::kIdentity);

  // It trusts the server's authority, but was not issued by it.
  Credentials stranger = CertificateAuthority::Create().value().Issue(UserNode("u0")).value();
  stranger.ca_pem = CredentialsOf(UserNode("u0")).ca_pem;
  const auto refused = try_with(ServerNode("s0"), stranger);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kIdentity);
  EXPECT_THAT(refused.error().message, HasSubstr("this node's certificate was refused"));

  const auto wrong_peer = try_with(ServerNode("s1"), CredentialsOf(UserNode("u0")));
  ASSERT_FALSE(wrong_peer);
  EXPECT_EQ(wrong_peer.error().kind, ErrorKind::kIdentity);

  const auto absent =
      TryHandshake(ServerNode("s0"), "127.0.0.1:1", CredentialsOf(UserNode("u0")), 5);
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().kind, ErrorKind::kIo);
}

}  // namespace
}  // namespace dashf::runtime
