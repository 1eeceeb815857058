// The edge server's port as users and strangers see it: real gRPC over mutual TLS in this process.
#include "runtime/edge_service.h"

#include <gmock/gmock.h>

#include <thread>

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
    EXPECT_TRUE(store_->Expect({"u0"}, 1, 3));
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

  // All parts, whatever the server says in between; its last word comes back.
  grpc::Status Upload(const NodeId& caller,
                      const std::vector<v1::UploadPart>& parts,
                      v1::UploadProgress* progress) const {
    const auto stub = Stub(caller);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    const auto stream = stub->Upload(&context);
    for (const v1::UploadPart& part : parts) {
      if (!stream->Write(part)) break;
    }
    stream->WritesDone();
    while (stream->Read(progress)) {
    }
    return stream->Finish();
  }

  grpc::Status Upload(const NodeId& caller, const std::vector<v1::UploadPart>& parts) const {
    v1::UploadProgress progress;
    return Upload(caller, parts, &progress);
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
  const std::unique_ptr<UserStore> store_ = *UserStore::Open("", std::uint64_t{1} << 30);
  EdgeService service_{ServerNode("s0"), store_.get()};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

TEST_F(EdgePort, AnUploadArrivesWholeAndTheResultGoesBackWhole) {
  const std::string data(2 * kChunkBytesMax + 7, 'd'), adapters(1000, 'a');
  v1::UploadProgress progress;
  ASSERT_TRUE(Upload(UserNode("u0"), Parts(data, adapters), &progress).ok());
  EXPECT_TRUE(progress.complete());
  const auto job = store_->NextJob(std::chrono::milliseconds(0));
  ASSERT_TRUE(job);
  EXPECT_EQ(job->data, data);
  EXPECT_EQ(job->adapters, adapters);
  std::string result;
  EXPECT_EQ(Download(UserNode("u0"), &result).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);  // Not trained yet.
  ASSERT_TRUE(store_->Finish({"u0"}, std::string(kChunkBytesMax + 3, 'r'), {1, 1}));
  ASSERT_TRUE(Download(UserNode("u0"), &result).ok());
  EXPECT_EQ(result, std::string(kChunkBytesMax + 3, 'r'));
}

// The server's answer to the first never came.
TEST_F(EdgePort, ARepeatedUploadIsAcknowledgedAgainAndADifferentOneAConflict) {
  ASSERT_TRUE(Upload(UserNode("u0"), Parts("data", "adapters")).ok());
  v1::UploadProgress progress;
  ASSERT_TRUE(Upload(UserNode("u0"), {Header("data", "adapters")}, &progress).ok());
  EXPECT_TRUE(progress.complete());
  EXPECT_EQ(Upload(UserNode("u0"), Parts("other", "adapters")).error_code(),
            grpc::StatusCode::ABORTED);
}

TEST_F(EdgePort, NobodyMaySpeakForAnotherUser) {
  const grpc::Status status = Upload(UserNode("u1"), Parts("data", "adapters"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(),
              HasSubstr("the certificate is user/u1's, the message speaks for user/u0"));
  ASSERT_TRUE(store_->Finish({"u0"}, "secret", {1, 1}));
  std::string bytes;
  EXPECT_EQ(Download(ServerNode("s1"), &bytes).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(bytes, "");
}

TEST_F(EdgePort, WhatIsNotExpectedYetIsToBeAskedAgainAndWhatIsOverIsNot) {
  std::vector<v1::UploadPart> parts = Parts("data", "adapters");
  parts.front().mutable_header()->set_round(7);
  EXPECT_EQ(Upload(UserNode("u0"), parts).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  ASSERT_TRUE(store_->Expect({"u0", 7, 1}, 1, 3));
  EXPECT_TRUE(Upload(UserNode("u0"), parts).ok());
  EXPECT_EQ(Upload(UserNode("u0"), Parts("data", "adapters")).error_code(),
            grpc::StatusCode::ABORTED);
  store_->Drop({"u0", 7, 1});
  EXPECT_EQ(Upload(UserNode("u0"), parts).error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(EdgePort, ABrokenUploadIsRefusedAndGoesOnFromItsLastSoundByte) {
  const std::vector<v1::UploadPart> sound = Parts("data", "adapters");
  std::vector<v1::UploadPart> altered = sound;
  altered[2].mutable_chunk()->set_data("adaptors");
  EXPECT_EQ(Upload(UserNode("u0"), altered).error_code(), grpc::StatusCode::DATA_LOSS);
  v1::UploadProgress progress;
  EXPECT_EQ(Upload(UserNode("u0"), {sound[0]}, &progress).error_code(),
            grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(progress.bytes(), 4U);
  EXPECT_EQ(Upload(UserNode("u0"), {sound[0], sound[1]}).error_code(),
            grpc::StatusCode::DATA_LOSS);  // Those bytes once more.
  EXPECT_EQ(Upload(UserNode("u0"), {sound[1], sound[2]}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload(UserNode("u0"), {}).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload(UserNode("u0"), {sound[0], sound[0]}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Upload(UserNode("u0"), {v1::UploadPart(), sound[0]}).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_TRUE(Upload(UserNode("u0"), {sound[0], sound[2]}).ok());
}

TEST_F(EdgePort, AClaimOfOneTerabyteOrOfManyArtefactsIsRefusedBeforeAnythingIsStored) {
  std::vector<v1::UploadPart> parts = {Header("data", "adapters")};
  parts.front().mutable_header()->mutable_artefacts(0)->set_bytes(std::uint64_t{1} << 40);
  EXPECT_EQ(Upload(UserNode("u0"), parts).error_code(), grpc::StatusCode::OUT_OF_RANGE);
  parts = {Header("data", "adapters")};
  for (int i = 0; i < 5000; ++i) {
    *parts.front().mutable_header()->add_artefacts() = parts.front().header().artefacts(0);
  }
  EXPECT_EQ(Upload(UserNode("u0"), parts).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(EdgePort, OnePeersFloodIsBoundedAndLeavesTheOthersAlone) {
  const auto stub = Stub(UserNode("u0"));
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::UploadPart, v1::UploadProgress>>>
      streams;
  v1::UploadProgress progress;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(stub->Upload(contexts.emplace_back(new grpc::ClientContext).get()));
    streams.back()->Write(Header("data", "adapters"));
    ASSERT_TRUE(streams.back()->Read(&progress));
  }
  const grpc::Status refused = Upload(UserNode("u0"), Parts("data", "adapters"));
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("user/u0 has 4 transfers going on already"));
  ASSERT_TRUE(store_->Expect({"u1"}, 1, 3));
  std::vector<v1::UploadPart> others = Parts("data", "adapters");
  others.front().mutable_header()->set_user("u1");
  EXPECT_TRUE(Upload(UserNode("u1"), others).ok());
  for (const auto& context : contexts) context->TryCancel();
  for (const auto& stream : streams) stream->Finish();
  grpc::Status freed = refused;
  for (int i = 0; i < 200 && !freed.ok(); ++i) {  // Until the server has noticed.
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    freed = Upload(UserNode("u0"), Parts("data", "adapters"));
  }
  EXPECT_TRUE(freed.ok()) << freed.error_message();
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
