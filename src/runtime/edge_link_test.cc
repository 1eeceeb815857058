// A user's transfers over links that break, to servers that start again, and from servers that lie:
// real gRPC over mutual TLS in this process.
#include "runtime/edge_link.h"

#include <gmock/gmock.h>

#include <optional>
#include <thread>

#include "base/rng.h"
#include "base/termination.h"
#include "runtime/authority.h"
#include "runtime/cutting_proxy_testing.h"
#include "runtime/edge_service.h"
#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string RandomBytes(std::size_t size, std::uint64_t seed) {
  Rng rng(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.Below(256));
  return bytes;
}

class BreakingLink : public testing::Test {
 protected:
  BreakingLink() {
    fs::remove_all(folder_);
    StartServer();
  }
  ~BreakingLink() override {
    if (server_) StopServer();
    fs::remove_all(folder_);
  }

  Credentials CredentialsOf(const NodeId& node) const { return authority_.Issue(node).value(); }

  // On the same port again, and with what its spool holds.
  void StartServer() {
    store_ = UserStore::Open(folder_ / "spool", std::uint64_t{1} << 30).value();
    service_ = std::make_unique<EdgeService>(ServerNode("s0"), store_.get());
    grpc::ServerBuilder builder;
    ListenOn(
        builder, "127.0.0.1:" + std::to_string(port_), CredentialsOf(ServerNode("s0")), &port_);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    ASSERT_TRUE(server_);
  }

  void StopServer() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
    service_.reset();
    store_.reset();
  }

  EdgeLink::Settings SettingsFor(const std::string& address) {
    return {.attempt = attempt_,
            .server = ServerNode("s0"),
            .address = address,
            .folder = folder_ / "user",
            .wanted = [this] { return wanted_.load(); },
            .on_pause =
                [this](const std::string& reason, std::chrono::milliseconds) {
                  reasons_.push_back(reason);
                  if (on_pause_) on_pause_();
                },
            .patience = {.pause_first = std::chrono::milliseconds(1),
                         .pause_max = std::chrono::milliseconds(20),
                         .silence_max = std::chrono::seconds(10)}};
  }
  EdgeLink LinkTo(const std::string& address) { return {SettingsFor(address), user_}; }
  std::string Direct() const { return "127.0.0.1:" + std::to_string(port_); }

  void Begin() {
    attempt_.number += 1;
    ASSERT_TRUE(store_->Expect(attempt_, 1, 3));
  }
  // Exactly one upload, and its very bytes.
  void ExpectOneJob() {
    const auto job = store_->NextJob(std::chrono::milliseconds(0));
    ASSERT_TRUE(job);
    EXPECT_EQ(job->attempt, attempt_);
    EXPECT_TRUE(job->data == data_);
    EXPECT_TRUE(job->adapters == adapters_);
    EXPECT_FALSE(store_->NextJob(std::chrono::milliseconds(0)));
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "edge_link";
  const CertificateAuthority authority_ = CertificateAuthority::Create().value();
  const Credentials user_ = CredentialsOf(UserNode("u0"));
  std::string data_ = RandomBytes(20'000, 1), adapters_ = RandomBytes(7'000, 2);
  Attempt attempt_{"u0", 1, 0};
  std::atomic<bool> wanted_ = true;
  std::function<void()> on_pause_;
  std::vector<std::string> reasons_;
  int port_ = 0;
  std::unique_ptr<UserStore> store_;
  std::unique_ptr<EdgeService> service_;
  std::unique_ptr<grpc::Server> server_;
};

// The first connection breaks after 700, 2400, ... bytes: in the handshake, between and within
// chunks, after the last byte and before the acknowledgement. The second holds.
TEST_F(BreakingLink, ATransferThatIsCutAnywhereOnceArrivesExactlyOnceAndBitEqual) {
  const std::string trained = RandomBytes(25'000, 3);
  for (std::int64_t cut = 700, breaks = 1; breaks > 0; cut += 1700) {
    breaks = 0;
    Begin();
    const auto once = [&](int connection) { return connection == 0 ? cut : CuttingProxy::kNever; };
    {
      CuttingProxy proxy(port_, once);
      const auto sent = LinkTo(proxy.address()).Upload(data_, adapters_);
      ASSERT_TRUE(sent) << cut << ": " << sent.error().Text();
      EXPECT_EQ(sent->bytes, data_.size() + adapters_.size());
      breaks += proxy.connections() - 1;
      ExpectOneJob();
    }
    ASSERT_TRUE(store_->Finish(attempt_, trained, {1, 1}));
    fs::remove_all(folder_ / "user");
    CuttingProxy proxy(port_, once);
    std::string received;
    const auto got = LinkTo(proxy.address()).Download(&received);
    ASSERT_TRUE(got) << cut << ": " << got.error().Text();
    EXPECT_TRUE(received == trained) << cut;
    breaks += proxy.connections() - 1;
    ASSERT_LT(cut, 1'000'000);
  }
}

// A plan's link, either way: no faster than its rate, whatever the machine could do.
TEST_F(BreakingLink, APacedTransferArrivesBitEqualAndTakesAtLeastAsLongAsItsRateSays) {
  constexpr double kBitPerS = 1.6e6;
  const std::string trained = RandomBytes(25'000, 3);
  Begin();
  EdgeLink::Settings settings = SettingsFor(Direct());
  settings.upload_bit_per_s = kBitPerS;
  EdgeLink link(settings, user_);
  const auto sent = link.Upload(data_, adapters_);
  ASSERT_TRUE(sent) << sent.error().Text();
  EXPECT_GE(sent->elapsed_s, 8.0 * 27'000 / kBitPerS);
  ExpectOneJob();
  ASSERT_TRUE(store_->Finish(attempt_, trained, {1, 1}));
  service_->SetPace(attempt_, kBitPerS);
  std::string received;
  const auto got = link.Download(&received);
  ASSERT_TRUE(got) << got.error().Text();
  EXPECT_TRUE(received == trained);
  EXPECT_GE(got->elapsed_s, 8.0 * 25'000 / kBitPerS);
}

TEST_F(BreakingLink, APacedUploadThatIsNoLongerWantedEndsWithoutWaitingForItsLink) {
  Begin();
  EdgeLink::Settings settings = SettingsFor(Direct());
  settings.upload_bit_per_s = 8.0;  // The first chunk alone would take over an hour.
  std::thread stop([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    wanted_ = false;
  });
  EXPECT_FALSE(EdgeLink(settings, user_).Upload(data_, adapters_));
  stop.join();
}

// No connection ever lives for more than some 20 kB of it.
TEST_F(BreakingLink, ATransferOverALinkThatNeverHoldsGetsThrough) {
  data_ = RandomBytes(120'000, 4);
  Begin();
  CuttingProxy proxy(port_, [](int connection) {
    return static_cast<std::int64_t>(12'000 +
                                     Rng(static_cast<std::uint64_t>(connection)).Below(20'000));
  });
  const auto sent = LinkTo(proxy.address()).Upload(data_, adapters_);
  ASSERT_TRUE(sent) << sent.error().Text();
  EXPECT_GT(proxy.connections(), 4);
  ExpectOneJob();
  const std::string trained = RandomBytes(120'000, 5);
  ASSERT_TRUE(store_->Finish(attempt_, trained, {1, 1}));
  std::string received;
  ASSERT_TRUE(LinkTo(proxy.address()).Download(&received));
  EXPECT_TRUE(received == trained);
}

TEST_F(BreakingLink, WhatHasArrivedIsNotSentAgain) {
  data_ = RandomBytes(24'000'000, 6);
  Begin();
  const auto late = [](int connection) {
    return connection == 0 ? 20'000'000 : CuttingProxy::kNever;
  };
  {
    CuttingProxy proxy(port_, late);
    ASSERT_TRUE(LinkTo(proxy.address()).Upload(data_, adapters_));
    EXPECT_LT(proxy.bytes(), 36'000'000);  // 44 if the whole came twice.
    ExpectOneJob();
  }
  ASSERT_TRUE(store_->Finish(attempt_, data_, {1, 1}));
  CuttingProxy proxy(port_, late);
  std::string received;
  ASSERT_TRUE(LinkTo(proxy.address()).Download(&received));
  EXPECT_TRUE(received == data_);
  EXPECT_LT(proxy.bytes(), 36'000'000);
}

TEST_F(BreakingLink, AServerThatStartsAgainInMidTransferGoesOn) {
  data_ = RandomBytes(24'000'000, 7);
  Begin();
  bool again = false;
  on_pause_ = [&] {
    if (!std::exchange(again, true)) {
      StopServer();
      StartServer();
    }
  };
  CuttingProxy proxy(port_, [](int n) { return n == 0 ? 20'000'000 : CuttingProxy::kNever; });
  ASSERT_TRUE(LinkTo(proxy.address()).Upload(data_, adapters_));
  EXPECT_LT(proxy.bytes(), 36'000'000);  // 44 if nothing was kept.
  ExpectOneJob();
}

TEST_F(BreakingLink, AUserThatStartsAgainInMidDownloadGoesOnAndOneThatHasItAllAsksNobody) {
  const std::string trained = RandomBytes(24'000'000, 8);
  Begin();
  ASSERT_TRUE(LinkTo(Direct()).Upload(data_, adapters_));
  ExpectOneJob();
  ASSERT_TRUE(store_->Finish(attempt_, trained, {1, 1}));
  std::string received;
  {
    CuttingProxy proxy(port_, [](int) { return 20'000'000; });
    on_pause_ = [this] { wanted_ = false; };
    const auto stopped = LinkTo(proxy.address()).Download(&received);
    ASSERT_FALSE(stopped);
    EXPECT_THAT(stopped.error().Text(), HasSubstr("server s0: is no longer waited for; last: "));
  }
  wanted_ = true;
  const auto rest = LinkTo(Direct()).Download(&received);
  ASSERT_TRUE(rest);
  EXPECT_TRUE(received == trained);
  EXPECT_LT(rest->bytes_moved, 16'000'000U);
  EXPECT_GT(rest->bytes_moved, 3'000'000U);
  StopServer();
  received.clear();
  const auto kept = LinkTo(Direct()).Download(&received);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(received == trained);
  EXPECT_EQ(kept->tries, 0);
  StartServer();
}

TEST_F(BreakingLink, AUserThatComesBeforeItIsExpectedOrTrainedAsksAgain) {
  attempt_.number = 4;
  on_pause_ = [this] {
    const bool time = reasons_.size() == 3;
    EXPECT_TRUE(!time || store_->Expect(attempt_, 1, 3));
  };
  ASSERT_TRUE(LinkTo(Direct()).Upload(data_, adapters_));
  EXPECT_THAT(reasons_, testing::Each("attempt 4 of round 1 is not expected here yet"));
  EXPECT_EQ(reasons_.size(), 3U);
  ExpectOneJob();
  reasons_.clear();
  on_pause_ = [this] {
    const bool time = reasons_.size() == 2;
    EXPECT_TRUE(!time || store_->Finish(attempt_, "trained", {1, 1}));
  };
  std::string received;
  ASSERT_TRUE(LinkTo(Direct()).Download(&received));
  EXPECT_EQ(received, "trained");
  EXPECT_THAT(reasons_, testing::Each(HasSubstr("not trained yet")));
}

TEST_F(BreakingLink, WhatCanNeverWorkIsSaidAtOnce) {
  Begin();
  store_->Drop(attempt_);
  const auto dropped = LinkTo(Direct()).Upload(data_, adapters_);
  ASSERT_FALSE(dropped);
  EXPECT_EQ(dropped.error().kind, ErrorKind::kRoundFailed);
  EXPECT_THAT(dropped.error().Text(), HasSubstr("server s0: attempt 1 of round 1 is over"));
  EXPECT_TRUE(reasons_.empty());
}

TEST_F(BreakingLink, ACertificateThatIsRefusedAgainAndAgainIsAnIdentityError) {
  const Credentials foreign = CertificateAuthority::Create()->Issue(UserNode("u0")).value();
  const auto refused = EdgeLink(SettingsFor(Direct()), foreign).Upload(data_, adapters_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kIdentity);
}

TEST_F(BreakingLink, AnAbsentServerIsAskedUntilTheTransferIsNoLongerWanted) {
  on_pause_ = [this] { wanted_ = reasons_.size() < 5; };
  const auto given_up = LinkTo("127.0.0.1:1").Upload(data_, adapters_);
  ASSERT_FALSE(given_up);
  EXPECT_EQ(given_up.error().kind, ErrorKind::kRoundFailed);
  EXPECT_THAT(given_up.error().Text(), HasSubstr("cannot connect"));
  EXPECT_EQ(reasons_.size(), 5U);
}

// A server of the right name that answers as its maker likes.
class LyingServer final : public v1::EdgeServer::Service {
 public:
  grpc::Status Download(grpc::ServerContext*,
                        const v1::DownloadRequest*,
                        grpc::ServerWriter<v1::DownloadPart>* writer) override {
    ++calls;
    for (const v1::DownloadPart& part : parts) writer->Write(part);
    return grpc::Status::OK;
  }
  grpc::Status Upload(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::UploadProgress, v1::UploadPart>* stream) override {
    ++calls;
    stream->Write(progress);
    return grpc::Status::OK;
  }

  std::vector<v1::DownloadPart> parts;
  v1::UploadProgress progress;
  std::atomic<int> calls = 0;
};

TEST_F(BreakingLink, AServerThatLiesIsAskedAFewTimesAndThenNamed) {
  StopServer();
  LyingServer lying;
  grpc::ServerBuilder builder;
  ListenOn(builder, Direct(), CredentialsOf(ServerNode("s0")), &port_);
  builder.RegisterService(&lying);
  const auto server = builder.BuildAndStart();
  ASSERT_TRUE(server);
  v1::DownloadPart header, chunk;
  *header.mutable_header()->mutable_artefact() = ToWire(v1::ARTEFACT_ADAPTERS, Announce("abc"));
  *chunk.mutable_chunk() = ToWire(ChunkView{0, 0, "abd", Crc32c("abd")});
  v1::DownloadPart huge = header, no_digest = header, late = header, altered = chunk;
  huge.mutable_header()->mutable_artefact()->set_bytes(std::uint64_t{1} << 50);
  no_digest.mutable_header()->mutable_artefact()->set_sha256("../../etc/passwd");
  late.mutable_header()->set_offset(2);
  altered.mutable_chunk()->set_data("abc");
  const std::pair<std::vector<v1::DownloadPart>, const char*> lies[] = {
      {{}, "without a word"},
      {{huge}, "at most"},
      {{no_digest}, "64 lower-case"},
      {{late}, "starts at another byte"},
      {{header}, "ended too early"},
      {{header, header}, "1 to"},
      {{chunk}, "64 lower-case"},
      {{header, altered}, "CRC-32C"},
      {{header, chunk}, "SHA-256"}};
  for (const auto& [parts, reason] : lies) {
    lying.parts = parts;
    lying.calls = 0;
    std::string received = "untouched";
    const auto refused = LinkTo(Direct()).Download(&received);
    ASSERT_FALSE(refused) << reason;
    EXPECT_EQ(refused.error().kind, ErrorKind::kRoundFailed);
    EXPECT_THAT(refused.error().Text(), HasSubstr(reason));
    EXPECT_EQ(received, "untouched");
    EXPECT_LE(lying.calls, 8);
  }
  lying.progress.set_bytes(std::uint64_t{1} << 60);
  EXPECT_THAT(LinkTo(Direct()).Upload(data_, adapters_).error().Text(),
              HasSubstr("more than there is"));
  server->Shutdown();
  server->Wait();
  StartServer();
}

}  // namespace
}  // namespace dashf::runtime
