#include "runtime/coordinator_link.h"

#include <fmt/format.h>

#include "runtime/messages.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

constexpr std::chrono::seconds kCallDeadline(20);
constexpr std::chrono::milliseconds kRetryPause(200);
constexpr int kHandshakeTries = 50;
constexpr int kHandshakeTimeoutS = 10;
constexpr int kReportTries = 3;
constexpr std::size_t kInstructionsMax = 1024;

Expected<std::string> WaitForCoordinator(const NodeConfig& config,
                                         const LiveCredentials& credentials) {
  Expected<std::string> met;
  for (int i = 0; i < kHandshakeTries; ++i) {
    met = FirstThatAnswers(CoordinatorNode(), config.coordinator, credentials, kHandshakeTimeoutS);
    if (met || met.error().kind != ErrorKind::kIo) return met;
    std::this_thread::sleep_for(kRetryPause);
  }
  return met;
}

Error ErrorOf(const grpc::Status& status) {
  const bool identity = status.error_code() == grpc::StatusCode::PERMISSION_DENIED ||
                        status.error_code() == grpc::StatusCode::UNAUTHENTICATED;
  return {identity ? ErrorKind::kIdentity : ErrorKind::kRoundFailed,
          "coordinator",
          status.error_message()};
}

}  // namespace

CoordinatorLink::CoordinatorLink(const NodeConfig& config,
                                 const std::string& address,
                                 const LiveCredentials& credentials)
    : config_(config),
      stub_(v1::Coordinator::NewStub(ConnectTo(CoordinatorNode(), address, credentials))) {}

Expected<std::unique_ptr<CoordinatorLink>> CoordinatorLink::Open(
    const NodeConfig& config,
    const LiveCredentials& credentials,
    const v1::RegisterRequest& registration) {
  const auto address = WaitForCoordinator(config, credentials);
  if (!address) return tl::unexpected(address.error());
  std::unique_ptr<CoordinatorLink> link(new CoordinatorLink(config, *address, credentials));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
  v1::RegisterReply reply;
  const grpc::Status status = link->stub_->Register(&context, registration, &reply);
  if (!status.ok()) return tl::unexpected(ErrorOf(status));
  link->follower_ = std::thread([&link = *link] { link.Follow(); });
  return link;
}

CoordinatorLink::~CoordinatorLink() {
  follow_context_.TryCancel();
  if (follower_.joinable()) follower_.join();
}

// Without a deadline of its own: the channel's keepalive notices a coordinator that has gone.
void CoordinatorLink::Follow() {
  v1::FollowRequest request;
  request.set_round(config_.round);
  *request.mutable_node() = ToWire(config_.node);
  const auto reader = stub_->Follow(&follow_context_, request);
  for (v1::Instruction instruction; reader->Read(&instruction);) {
    if (instruction.round() != config_.round) continue;
    if (instruction.has_end()) over_ = true;
    const std::lock_guard lock(mutex_);
    if (instructions_.size() >= kInstructionsMax) break;
    instructions_.push_back(instruction);
    arrived_.notify_all();
  }
  follow_context_.TryCancel();
  reader->Finish();
  const std::lock_guard lock(mutex_);
  gone_ = true;
  over_ = true;
  arrived_.notify_all();
}

std::optional<v1::Instruction> CoordinatorLink::Next() {
  std::unique_lock lock(mutex_);
  arrived_.wait(lock, [this] { return gone_ || !instructions_.empty(); });
  if (instructions_.empty()) return std::nullopt;
  v1::Instruction instruction = std::move(instructions_.front());
  instructions_.pop_front();
  return instruction;
}

Expected<void> CoordinatorLink::Report(const v1::PhaseReport& report) {
  grpc::Status status;
  for (int i = 0; i < kReportTries; ++i) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kCallDeadline);
    v1::ReportReply reply;
    status = stub_->Report(&context, report, &reply);
    if (status.ok()) return {};
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE &&
        status.error_code() != grpc::StatusCode::DEADLINE_EXCEEDED) {
      break;
    }
    std::this_thread::sleep_for(kRetryPause);
  }
  return tl::unexpected(ErrorOf(status));
}

}  // namespace dashf::runtime
