// Reports over a session, against a coordinator that is a few lines.
#include "runtime/session.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "runtime/authority.h"
#include "runtime/coordinator_service.h"
#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using Talk = grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::NodeMessage>;

class Reporting : public testing::Test {
 protected:
  // Gone before the service is.
  std::unique_ptr<grpc::Server> Listen(grpc::Service* service) {
    int port = 0;
    grpc::ServerBuilder builder;
    ListenOn(builder, "127.0.0.1:0", authority_.Issue(CoordinatorNode()).value(), &port);
    builder.RegisterService(service);
    auto server = builder.BuildAndStart();
    config_.node = UserNode("u0");
    config_.coordinator = {fmt::format("127.0.0.1:{}", port)};
    return server;
  }
  Expected<std::optional<fleet::Verdict>> Report() {
    Session session(config_,
                    credentials_,
                    {},
                    {.on_orders = [](const v1::Orders&) {},
                     .on_refused = [](const Error&) {},
                     .on_outdated = [](const std::string&) {}});
    fleet::PhaseFinished report;
    report.user = "u0";
    return session.Report(report);
  }

  CertificateAuthority authority_ = CertificateAuthority::Create().value();
  const LiveCredentials credentials_{authority_.Issue(UserNode("u0")).value()};
  NodeConfig config_;
};

class HangsUpOnTheFirstReport final : public v1::Coordinator::Service {
 public:
  grpc::Status Session(grpc::ServerContext*, Talk* talk) override {
    for (v1::NodeMessage message; talk->Read(&message);) {
      if (!message.has_report()) continue;
      if (++reports_ == 1) return {grpc::StatusCode::UNAVAILABLE, "gone"};
      v1::CoordinatorMessage reply;
      reply.add_replies()->set_number(message.report().number());
      reply.mutable_replies(0)->set_verdict(v1::VERDICT_ACCEPTED);
      talk->Write(reply);
    }
    return grpc::Status::OK;
  }
  int reports() const { return reports_; }

 private:
  std::atomic<int> reports_ = 0;
};

TEST_F(Reporting, WhatABrokenSessionHasTakenAlongIsToldAgainOverTheNext) {
  HangsUpOnTheFirstReport coordinator;
  const auto server = Listen(&coordinator);
  const auto answer = Report();
  ASSERT_TRUE(answer.has_value()) << answer.error().Text();
  EXPECT_EQ(*answer, fleet::Verdict::kAccepted);
  EXPECT_EQ(coordinator.reports(), 2);
}

class SaysThatTheFleetIsOver final : public v1::Coordinator::Service {
 public:
  grpc::Status Session(grpc::ServerContext*, Talk* talk) override {
    v1::NodeMessage hello;
    talk->Read(&hello);
    v1::CoordinatorMessage over;
    over.mutable_orders()->mutable_leave();
    talk->Write(over);
    return grpc::Status::OK;
  }
};

TEST_F(Reporting, NobodyWaitsForWhatWasNotToldBeforeTheFleetEnded) {
  SaysThatTheFleetIsOver coordinator;
  const auto server = Listen(&coordinator);
  const auto answer = Report();
  ASSERT_TRUE(answer.has_value()) << answer.error().Text();
  EXPECT_EQ(*answer, fleet::Verdict::kStale);
}

TEST_F(Reporting, ANodeThatDoesNotWaitForAnswersIsReadNoFurtherThanSixteenReports) {
  std::atomic<int> heard = 0;
  std::atomic<SessionId> session = 0;
  CoordinatorService coordinator({.settings = {},
                                  .hello = [&](auto id, const auto&, const auto&) { session = id; },
                                  .alive = {},
                                  .closed = [](auto, const auto&, bool) {},
                                  .report = [&](auto, const auto&, const auto&) { ++heard; },
                                  .revoked = [](const auto&) { return false; },
                                  .refused = {}});
  const auto server = Listen(&coordinator);
  const auto stub = v1::Coordinator::NewStub(
      ConnectTo(CoordinatorNode(), config_.coordinator.front(), credentials_));
  grpc::ClientContext context;
  const auto stream = stub->Session(&context);
  v1::NodeMessage message;
  *message.mutable_hello()->mutable_node() = ToWire(config_.node);
  ASSERT_TRUE(stream->Write(message));
  message.mutable_report();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(stream->Write(message));
  const auto wait_for = [&](int reports) {
    while (heard < reports) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // For one too many.
    EXPECT_EQ(heard, reports);
  };
  wait_for(16);
  v1::CoordinatorMessage replies;
  for (int i = 0; i < 3; ++i) replies.add_replies();
  coordinator.Send(session, replies, false);
  wait_for(19);
  context.TryCancel();
  stream->Finish();
}

}  // namespace
}  // namespace dashf::runtime
