// Certificates that are replaced under running gRPC servers and clients.
#include "runtime/live_credentials.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <mutex>
#include <thread>

#include "base/descriptor.h"
#include "base/file.h"
#include "runtime/authority.h"
#include "runtime/edge_service.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

constexpr std::chrono::seconds kWithin(20);

class Renewal : public testing::Test {
 protected:
  Renewal() {
    fs::remove_all(folder_);
    Put(server_, authority_.Issue(server_).value());
    Put(user_, authority_.Issue(user_).value());
    server_live_.emplace(Load(server_));
    user_live_.emplace(Load(user_));
    int port = 0;
    grpc::ServerBuilder builder;
    ListenOn(builder, "[::1]:0", *server_live_, &port);
    builder.RegisterService(&service_);
    listener_ = builder.BuildAndStart();
    address_ = "[::1]:" + std::to_string(port);
  }
  ~Renewal() override {
    if (listener_) listener_->Shutdown();
    fs::remove_all(folder_);
  }

  void Put(const NodeId& node, const Credentials& credentials) {
    ASSERT_TRUE(WriteCredentials(folder_, node, credentials));
  }
  LiveCredentials Load(const NodeId& node) {
    return LiveCredentials::Load(PathsIn(folder_, node),
                                 node,
                                 [this](LogLevel, const std::string& line) {
                                   const std::lock_guard lock(mutex_);
                                   said_ += line + "\n";
                                 })
        .value();
  }
  std::string Said() {
    const std::lock_guard lock(mutex_);
    return said_;
  }
  static bool Soon(const std::function<bool()>& done) {
    for (const auto until = std::chrono::steady_clock::now() + kWithin;
         std::chrono::steady_clock::now() < until;) {
      if (done()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  // The serial that the server presents on this channel; empty if no call reaches it. The call is
  // answered: this user's result is not there.
  std::string PresentedOn(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kWithin);
    v1::DownloadRequest request;
    request.set_round(1);
    request.set_user("u0");
    v1::DownloadPart part;
    const auto reader = v1::EdgeServer::NewStub(channel)->Download(&context, request);
    while (reader->Read(&part)) {
    }
    const grpc::Status status = reader->Finish();
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) return "";
    const auto pem = context.auth_context()->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (pem.size() != 1) return "";
    return SerialOf("", {pem.front().data(), pem.front().size()}).value_or("");
  }
  std::string PresentedAnew() { return PresentedOn(ConnectTo(server_, address_, *user_live_)); }
  std::string SerialIn(const NodeId& node) const {
    return SerialOf("", ReadFile(PathsIn(folder_, node).certificate).value()).value();
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "renewal";
  const NodeId server_ = ServerNode("s0"), user_ = UserNode("u0");
  const CertificateAuthority authority_ = CertificateAuthority::Create().value();
  std::mutex mutex_;
  std::string said_;
  std::optional<LiveCredentials> server_live_, user_live_;
  const std::unique_ptr<UserStore> store_ = *UserStore::Open("", std::uint64_t{1} << 30);
  EdgeService service_{server_, store_.get()};
  std::unique_ptr<grpc::Server> listener_;
  std::string address_;
};

TEST_F(Renewal, ARenewedCertificateIsPresentedWithoutARestartAndWhatStandsGoesOn) {
  auto standing = ConnectTo(server_, address_, *user_live_);
  const std::string first = SerialIn(server_);
  EXPECT_EQ(PresentedOn(standing), first);
  Put(server_, authority_.Issue(server_).value());
  const std::string second = SerialIn(server_);
  ASSERT_NE(second, first);
  EXPECT_TRUE(
      Soon([&] { return Said().find("server-s0.pem: taken, valid until ") != std::string::npos; }));
  EXPECT_EQ(PresentedOn(standing), first) << "the connection that stood was broken";
  standing.reset();  // Channels of one process to one peer share a connection.
  EXPECT_TRUE(Soon([&] { return PresentedAnew() == second; })) << Said();
  EXPECT_THAT(Said(), Not(HasSubstr("user-u0.pem"))) << "what stayed the same was taken anew";
}

TEST_F(Renewal, AnUnsoundReplacementIsToldAndNotTaken) {
  const std::string first = SerialIn(server_);
  ASSERT_TRUE(WriteFileAtomically(PathsIn(folder_, server_).certificate, ""));
  ASSERT_TRUE(Soon([&] { return Said().find("not taken: ") != std::string::npos; }));
  EXPECT_THAT(Said(), HasSubstr("server-s0.pem: is not a PEM certificate"));
  EXPECT_EQ(PresentedAnew(), first);
  // Another node's certificate is sound, and not this one's.
  Put(server_, authority_.Issue(ServerNode("s1")).value());
  ASSERT_TRUE(Soon([&] { return Said().find("names 'server/s1'") != std::string::npos; }));
  EXPECT_EQ(PresentedAnew(), first);
}

TEST_F(Renewal, AFleetMovesToAnotherAuthorityWithoutARestart) {
  const auto next = CertificateAuthority::Create({}, "the next authority").value();
  // Both trusted everywhere first, then certificates of the next.
  for (const NodeId& node : {server_, user_}) {
    Credentials both = next.Issue(node).value();
    both.ca_pem = authority_.pem() + next.pem();
    Put(node, both);
  }
  const std::string second = SerialIn(server_);
  EXPECT_TRUE(Soon([&] { return PresentedAnew() == second; })) << Said();
  EXPECT_TRUE(
      Soon([&] { return TryHandshake(server_, address_, user_live_->Current(), 5).has_value(); }));
  // Who trusts both and has a certificate of the first is still welcome.
  Credentials first = authority_.Issue(user_).value();
  first.ca_pem += next.pem();
  EXPECT_TRUE(TryHandshake(server_, address_, first, 5));
}

TEST_F(Renewal, TheFirstAddressThatAnswersIsTaken) {
  const auto found = FirstThatAnswers(
      server_, {"127.0.0.1:1", "no-such-host.invalid:1", address_}, *user_live_, 5);
  ASSERT_TRUE(found) << found.error().Text();
  EXPECT_EQ(*found, address_);
  const auto nobody = FirstThatAnswers(server_, {"127.0.0.1:1"}, *user_live_, 5);
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().kind, ErrorKind::kIo);
  const auto other = FirstThatAnswers(ServerNode("s1"), {address_, "127.0.0.1:1"}, *user_live_, 5);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ErrorKind::kIdentity);
  // What went wrong at each, and who answered there.
  EXPECT_THAT(other.error().Text(),
              AllOf(HasSubstr("expected server/s1, but the certificate of 'server/s0' answered"),
                    HasSubstr("; 127.0.0.1:1: cannot connect: Connection refused")));
}

// It takes the connection, and leaves it at that.
TEST_F(Renewal, ASilentPeerIsNotSaidToHaveHungUp) {
  const Descriptor silent(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  auto* const address = reinterpret_cast<sockaddr*>(&at);
  ASSERT_EQ(::bind(silent.get(), address, size), 0);
  ASSERT_EQ(::listen(silent.get(), 1), 0);
  ASSERT_EQ(::getsockname(silent.get(), address, &size), 0);
  const std::string text = fmt::format("127.0.0.1:{}", ntohs(at.sin_port));
  const auto met = TryHandshake(server_, text, *user_live_, 1);
  ASSERT_FALSE(met);
  EXPECT_EQ(met.error().kind, ErrorKind::kIo);
  EXPECT_THAT(met.error().Text(), HasSubstr("but says nothing within 1 s"));
  EXPECT_THAT(CannotListen(text).Text(),
              HasSubstr(text + ": cannot listen there: Address already"));
  EXPECT_EQ(CannotListen("127.0.0.1:0").message, "cannot listen there");
}

}  // namespace
}  // namespace dashf::runtime
