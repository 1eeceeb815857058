// Operators' calls against a coordinator that is a state and a thread.
#include "runtime/operator_service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <ctime>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "runtime/authority.h"
#include "runtime/coordinator_service.h"
#include "runtime/node_loop.h"
#include "runtime/operator_client.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;
using Json = OperatorClient::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

class Operators : public testing::Test {
 protected:
  Operators() {
    fs::remove_all(folder_);
    for (const NodeId& node : {ada_, user_}) {
      EXPECT_TRUE(WriteCredentials(folder_ / FileStem(node), node, authority_.Issue(node).value()));
    }
    fleet::Configured configured{{}, 4, {}, {"s0", "s1"}};
    configured.policy.on_request = true;
    for (int i = 0; i < 600; ++i) configured.users.push_back(fmt::format("u{:03}", i));
    Take(configured);
    Take(fleet::Joined{ServerNode("s0"), 1, ""});
    Take(fleet::Joined{UserNode("u000"), 1, ""});
    int port = 0;
    grpc::ServerBuilder builder;
    ListenOn(builder, "127.0.0.1:0", authority_.Issue(CoordinatorNode()).value(), &port);
    builder.RegisterService(&coordinator_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = fmt::format("127.0.0.1:{}", port);
    thread_ = std::thread([this] {
      while (!stop_) loop_.DoPosted(std::chrono::milliseconds(5));
    });
  }
  ~Operators() override {
    loop_.Close();
    recent_->Close();
    server_->Shutdown();
    stop_ = true;
    thread_.join();
    fs::remove_all(folder_);
  }

  fleet::StepResult Take(const fleet::Event& event) { return Step(state_, ++at_, event); }
  OperatorConfig ConfigOf(const NodeId& node) const {
    return {node, "demo", {address_}, PathsIn(folder_ / FileStem(node), node)};
  }
  OperatorClient Client() const { return OperatorClient::Connect(ConfigOf(ada_)).value(); }

  OperatorCalls Calls() {
    return {.look =
                [this](OperatorCalls::Look look) {
                  loop_.Post([this, look] {
                    look(state_, [](const NodeId&) { return NodeSign{"process 7 on edge", 5}; });
                  });
                },
            .steer =
                [this](const NodeId&, const fleet::Event& event, OperatorCalls::Answer answer) {
                  loop_.Post([this, event, answer] { answer(Take(event), state_); });
                },
            .revoked = [this](const auto&) { return revoked_.load(); }};
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / "operators";
  const CertificateAuthority authority_ = CertificateAuthority::Create().value();
  const NodeId ada_ = OperatorNode("ada"), user_ = UserNode("u000");
  fleet::State state_;  // The thread's, once that runs.
  fleet::Millis at_ = 1'000;
  NodeLoop loop_;
  std::atomic<bool> stop_ = false, revoked_ = false;
  std::shared_ptr<RecentLines> recent_ = std::make_shared<RecentLines>();
  CoordinatorService coordinator_{{.settings = {},
                                   .hello = [](auto, const auto&, const auto&) {},
                                   .alive = [](auto, const auto&) {},
                                   .closed = [](auto, const auto&, bool) {},
                                   .report = [](const auto&, const auto&, const auto&) {},
                                   .revoked = [](const auto&) { return false; },
                                   .refused = {}}};
  OperatorService service_{Calls(), folder_ / "rounds", recent_};
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::thread thread_;
};

TEST_F(Operators, ANodeIsNoOperatorAndAnOperatorNoNodeAndBothAreToldSo) {
  const LiveCredentials as_user(authority_.Issue(user_).value());
  const auto stub = v1::Operator::NewStub(ConnectTo(CoordinatorNode(), address_, as_user));
  v1::Document document;
  grpc::ClientContext context;
  const grpc::Status refused = stub->Status(&context, {}, &document);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(refused.error_message(),
            "only an operator may ask this; the certificate is user/u000's");
  // Whoever gives its own file for an operator's has the wrong name in the certificate.
  OperatorConfig disguised = ConfigOf(user_);
  disguised.node = ada_;
  const auto own = OperatorClient::Connect(disguised);
  ASSERT_FALSE(own.has_value());
  EXPECT_EQ(own.error().kind, ErrorKind::kIdentity);
  EXPECT_THAT(own.error().message, HasSubstr("names 'user/u000', but this node is 'operator/ada'"));

  const LiveCredentials as_ada(authority_.Issue(ada_).value());
  const auto node = v1::Coordinator::NewStub(ConnectTo(CoordinatorNode(), address_, as_ada));
  grpc::ClientContext session;
  const auto stream = node->Session(&session);
  v1::NodeMessage hello;
  hello.mutable_hello()->mutable_node()->set_role(v1::ROLE_USER);
  hello.mutable_hello()->mutable_node()->set_id("ada");
  stream->Write(hello);
  v1::CoordinatorMessage message;
  EXPECT_FALSE(stream->Read(&message));
  const grpc::Status no_node = stream->Finish();
  EXPECT_EQ(no_node.error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(no_node.error_message(),
            "the certificate is operator/ada's, the message speaks for user/ada");
}

TEST_F(Operators, OneThatIsRevokedIsRefused) {
  revoked_ = true;
  const auto status = Client().Status();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kIdentity);
  EXPECT_THAT(status.error().message, HasSubstr("operator/ada is revoked"));
}

TEST_F(Operators, SeeTheStateAndEveryNodeOnceOverSeveralPages) {
  OperatorClient client = Client();
  const Json status = client.Status().value();
  EXPECT_EQ(status.at("phase"), "idle");
  EXPECT_EQ(status.at("users").at("here"), 1);
  EXPECT_EQ(status.at("users").at("never seen"), 599);
  EXPECT_EQ(status.at("servers").at("known"), 2);
  EXPECT_THAT(status.at("coordinator").at("process").get<std::string>(), HasSubstr("process "));
  const Json rows = client.Nodes().value();
  ASSERT_EQ(rows.size(), 602U);
  EXPECT_EQ(rows[0].at("node"), "server/s0");
  EXPECT_EQ(rows[0].at("state"), "here");
  EXPECT_EQ(rows[0].at("process"), "process 7 on edge");
  EXPECT_EQ(rows[1].at("state"), "never seen");
  for (int i = 0; i < 600; ++i) EXPECT_EQ(rows[i + 2].at("node"), fmt::format("user/u{:03}", i));
}

TEST_F(Operators, SteerAndHearWhatCameOfIt) {
  OperatorClient client = Client();
  const Steered started = client.Steer(Steering::kStart, "", "").value();
  EXPECT_TRUE(started.changed);
  EXPECT_THAT(started.said,
              HasSubstr("round 1 begins: 1 of 600 users and 1 of 2 servers are here"));
  const Steered again = client.Steer(Steering::kStart, "", "").value();
  EXPECT_EQ(again.said, "round 1 begins") << "with those who are here";
  EXPECT_EQ(client.Steer(Steering::kStart, "", "").value().said,
            "round 1 is planning; another one begins when it has ended");
  EXPECT_FALSE(client.Steer(Steering::kStart, "", "").value().changed);
  EXPECT_TRUE(client.Steer(Steering::kDrain, "server/s1", "").value().changed);
  EXPECT_FALSE(client.Steer(Steering::kDrain, "server/s1", "").value().changed);
  EXPECT_TRUE(client.Steer(Steering::kExclude, "user/u001", "smokes").value().changed);
  const Json rows = client.Nodes().value();
  EXPECT_EQ(rows[1].at("state"), "drained");
  EXPECT_EQ(rows[3].at("state"), "excluded");
  EXPECT_EQ(rows[3].at("reason"), "excluded by operator/ada: smokes");
  EXPECT_TRUE(client.Steer(Steering::kAdmit, "user/u001", "").value().changed);
  const Json rounds = client.Rounds(20).value();
  ASSERT_EQ(rounds.size(), 1U);
  EXPECT_EQ(rounds[0].at("state"), "planning");
  EXPECT_EQ(client.Steer(Steering::kStopNow, "", "enough").value().said, "the fleet is over");
  EXPECT_EQ(client.Steer(Steering::kStart, "", "").error().message,
            "the fleet is over, or will be after this round");
  EXPECT_EQ(client.Rounds(20).value()[0].at("result"), "failed");
  EXPECT_EQ(client.Status().value().at("ends"), "stopped by operator/ada: enough");
}

TEST_F(Operators, WhatMakesNoSenseIsRefusedByPlaceAndRule) {
  OperatorClient client = Client();
  const auto refused = [&client](const std::string& node, const std::string& reason) {
    const auto steered = client.Steer(Steering::kExclude, node, reason);
    EXPECT_EQ(steered.error().kind, ErrorKind::kBadInput);
    return steered.error().message;
  };
  EXPECT_EQ(refused("user/u9", ""), "user/u9 is not of this fleet");
  EXPECT_THAT(refused("u9", ""), HasSubstr("node: must be server/ID or user/ID, got 'u9'"));
  EXPECT_THAT(refused("operator/ada", ""), HasSubstr("node: must be server/ID or user/ID"));
  EXPECT_THAT(refused("user/u\x1b[2J", ""), HasSubstr("got 'user/u\\x1b[2J'"));
  EXPECT_THAT(refused("user/u001", "a\nb"), HasSubstr("reason: must be one line"));
  EXPECT_THAT(refused("user/u001", "a\x1b[31m"), HasSubstr("reason: must be one line"));
  EXPECT_THAT(refused("user/u001", std::string(257, 'x')),
              HasSubstr("reason: must have at most 256 bytes, got 257"));
  EXPECT_EQ(client.Round(1).error().message, "round 1 has not begun; 0 have");
}

TEST_F(Operators, ARoundThatRunsIsReadFromTheStateAndOneThatHasEndedFromItsRecord) {
  OperatorClient client = Client();
  ASSERT_TRUE(client.Steer(Steering::kStart, "", ""));
  ASSERT_TRUE(client.Steer(Steering::kExclude, "user/u000", "left"));
  ASSERT_TRUE(client.Steer(Steering::kStopNow, "", "enough"));
  const auto gone = client.Round(1);
  EXPECT_THAT(gone.error().message, HasSubstr("the record of round 1 is not there any more"));
  RoundRecord record;
  record.scenario_sha256 = std::string(64, 'a');
  record.model = "base";
  UserRecord user;
  user.id = "u000";
  user.layers = 4;
  user.failure = "had no part: excluded by operator/ada: left";
  record.users.push_back(user);
  fs::create_directories(folder_ / "rounds/0001");
  ASSERT_TRUE(WriteFileAtomically(folder_ / "rounds/0001/round.json", WriteRound(record)));
  const Json rows = client.Round(1).value();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].at("state"), "left out");
  EXPECT_EQ(rows[0].at("reason"), "excluded by operator/ada: left");
}

TEST_F(Operators, ReadTheLatestEventsOfOneNodeAndFollowThem) {
  recent_->Add(R"({"event":"joined","who":"user/u001"})");
  recent_->Add(R"({"event":"joined","who":"user/u0011"})");
  recent_->Add(R"({"event":"phase_finished","user":"u001","failure":"\"user\":\"u002\""})");
  OperatorClient client = Client();
  std::vector<std::string> lines;
  const auto keep = [&lines](const std::string& line) {
    lines.push_back(line);
    return lines.size() < 4;
  };
  ASSERT_TRUE(client.Logs("user/u001", 10, false, keep));
  EXPECT_THAT(lines, ElementsAre(HasSubstr("joined"), HasSubstr("phase_finished")));
  lines.clear();
  ASSERT_TRUE(client.Logs("user/u002", 10, false, keep));
  EXPECT_THAT(lines, SizeIs(0));
  const auto unknown = client.Logs("user/u9", 10, false, keep);
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(unknown.error().message, "user/u9 is not of this fleet");
  std::atomic<bool> read = false;
  std::thread writer([&] {
    while (!read) {
      recent_->Add(R"({"event":"news"})");
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  EXPECT_TRUE(client.Logs("", 1, true, keep));
  read = true;
  writer.join();
  EXPECT_THAT(lines, SizeIs(4));
}

TEST_F(Operators, WhoFollowsIsToldWhetherTheFleetHasEndedOrTheCoordinatorStops) {
  OperatorClient client = Client();
  const auto keep = [](const std::string&) { return true; };
  recent_->Close();
  const auto stopped = client.Logs("", 1, true, keep);
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().kind, ErrorKind::kIo);
  service_.SayFleetEnded();
  EXPECT_TRUE(client.Logs("", 1, true, keep));
}

TEST_F(Operators, WhoFollowsAFleetThatIsOverSeesWhatThereIsAndIsLetGo) {
  OperatorClient client = Client();
  recent_->Add(R"({"event":"round_ended"})");
  service_.SayFleetEnded();  // Its coordinator stays for nodes that have not heard so.
  std::vector<std::string> lines;
  EXPECT_TRUE(client.Logs("", 10, true, [&lines](const std::string& line) {
    lines.push_back(line);
    return true;
  }));
  EXPECT_THAT(lines, ElementsAre(HasSubstr("round_ended")));
}

TEST_F(Operators, ACoordinatorThatStopsLeavesNobodyWaiting) {
  OperatorClient client = Client();
  loop_.Close();
  const auto status = client.Status();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_THAT(client.Steer(Steering::kStart, "", "").error().message,
              HasSubstr("the coordinator stops"));
}

TEST_F(Operators, HaveAFileOfTheirOwnThatIsReadStrictly) {
  const OperatorConfig config = ConfigOf(ada_);
  const fs::path path = folder_ / kOperatorFile;
  ASSERT_TRUE(WriteFileAtomically(path, WriteOperatorConfig(config)));
  const auto read = ReadOperatorConfig(folder_.string());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->node, ada_);
  EXPECT_EQ(read->fleet, "demo");
  EXPECT_EQ(read->tls.key, config.tls.key);
  const auto refusal = [&](const std::string& old, const std::string& with) {
    std::string text = WriteOperatorConfig(config);
    text.replace(text.find(old), old.size(), with);
    return ParseOperatorConfig("operator.json", text).error().Text();
  };
  EXPECT_THAT(refusal("operator/ada", "user/ada"), HasSubstr("operator: must be operator/NAME"));
  EXPECT_THAT(refusal("dashf.operator/1", "dashf.node/3"), HasSubstr("must be dashf.operator/1"));
  EXPECT_THAT(refusal("127.0.0.1", "0.0.0.0"), HasSubstr("coordinator[0]"));
  EXPECT_THAT(refusal("\"fleet\"", "\"flete\""), HasSubstr("fleet"));
}

// What the coordinator's thread does for readers of a large fleet; run it by itself for the
// figures.
TEST(FleetView, CopiesTenThousandNodesInPiecesOfBoundedSize) {
  fleet::State state;
  fleet::Configured configured{{}, 4, {}, {}};
  for (int i = 0; i < 10'000; ++i) configured.users.push_back(fmt::format("u{:05}", i));
  for (int i = 0; i < 100; ++i) configured.servers.push_back(fmt::format("s{:03}", i));
  Step(state, 1, configured);
  for (const auto& id : configured.servers) Step(state, 2, fleet::Joined{ServerNode(id), 1, ""});
  for (const auto& id : configured.users) Step(state, 2, fleet::Joined{UserNode(id), 1, ""});
  ASSERT_EQ(state.round->tasks.size(), 10'000U);
  const auto sign_of = [](const NodeId&) { return NodeSign{"process 4711 on edge1", 5}; };
  const auto micros = [](std::clock_t begun) {
    return 1e6 * static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC;
  };
  std::clock_t begun = std::clock();
  const Json status = StatusOf(state);
  fmt::print("status: {:.0f} us", micros(begun));
  EXPECT_EQ(status.at("users").at("here"), 10'000);
  std::size_t rows = 0, pages = 0;
  double longest_us = 0.0, sum_us = 0.0;
  for (std::optional<NodeId> from = ServerNode(""); from; ++pages) {
    begun = std::clock();
    const NodePage page = NodesFrom(state, *from, 256, sign_of);
    const double page_us = micros(begun);
    longest_us = std::max(longest_us, page_us);
    sum_us += page_us;
    EXPECT_LE(page.rows.size(), 256U);
    rows += page.rows.size();
    from = page.next;
  }
  fmt::print("; a page of nodes: {:.0f} us in the mean, {:.0f} us at most",
             sum_us / static_cast<double>(pages),
             longest_us);
  EXPECT_EQ(rows, 10'100U);
  EXPECT_EQ(pages, 40U);
  longest_us = 0.0;
  rows = 0;
  for (std::optional<std::string> from = ""; from;) {
    begun = std::clock();
    const PartPage page = PartsFrom(state, *from, 256);
    longest_us = std::max(longest_us, micros(begun));
    rows += page.rows.size();
    from = page.next;
  }
  fmt::print("; a page of a round: {:.0f} us at most (processor time)\n", longest_us);
  EXPECT_EQ(rows, 10'000U);
}

}  // namespace
}  // namespace dashf::runtime
