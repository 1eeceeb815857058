// What nodes say, and what they are told.
#include <fmt/format.h>

#include <utility>

#include "base/printable.h"
#include "runtime/coordinator_process.h"
#include "runtime/fleet_record.h"
#include "runtime/messages.h"
#include "runtime/orders_wire.h"
#include "runtime/taking_part.h"
#include "runtime/work.h"

namespace dashf::runtime {
namespace {

// A session that has broken off is less to be believed than one that is silent.
constexpr std::chrono::seconds kBrokenLease(3);
constexpr std::size_t kProcessBytesMax = 256;

std::string NotOfThisFleet(const NodeId& node) {
  return fmt::format(
      "{} is not in the coordinator's scenario: add it there and start the coordinator again "
      "(docs/deploy.md, \"A further user or server\")",
      Name(node));
}

}  // namespace

CoordinatorCalls Coordinator::ForNodes() {
  return {
      .settings = [this](const auto& node,
                         const auto& asked,
                         auto answer) { Post([=, this] { Settings(node, asked, answer); }); },
      .hello = [this](auto id,
                      const auto& node,
                      const auto& hello) { Post([=, this] { Hello(id, node, hello); }); },
      .alive = [this](auto id, const auto& node) { Post([=, this] { Alive(id, node); }); },
      .closed = [this](auto id,
                       const auto& node,
                       bool bye) { Post([=, this] { Closed(id, node, bye); }); },
      .report = [this](auto id,
                       const auto& node,
                       const auto& report) { Post([=, this] { Report(id, node, report); }); },
      .revoked = [this](const auto& context) { return Revoked(context, revoked_.get()); },
      .refused = [this](const auto& node,
                        const auto& reason) { Post([=, this] { RefuseRevoked(node, reason); }); }};
}

void Coordinator::Renew(Session& session) const {
  session.lease_until = Clock::now() + std::chrono::milliseconds(static_cast<std::int64_t>(
                                           1e3 * config_.coordinator_kit.policy.lease_s));
}

void Coordinator::SayTurnedAway(const NodeId& node, const std::string& reason) {
  std::string& said = turned_away_[node];
  if (said == reason) return;  // However often it tries.
  said = reason;
  log_.Warning("nodes",
               fmt::format("{} is turned away: {}", Name(node), reason),
               {{"who", Name(node)}, {"reason", reason}});
  Note("turned_away", {{"who", Name(node)}, {"reason", reason}});
}

void Coordinator::Settings(const NodeId& node,
                           const v1::SettingsRequest& asked,
                           const CoordinatorCalls::SettingsAnswer& answer) {
  v1::SettingsReply reply;
  if (state().Find(node) == nullptr || !deployment_.Has(node)) {
    SayTurnedAway(node, NotOfThisFleet(node));
    return answer({grpc::StatusCode::NOT_FOUND, NotOfThisFleet(node)}, reply);
  }
  v1::Work ours, theirs;
  ours.set_protocol(kProtocol);
  ours.set_build(DASHF_VERSION);
  theirs.set_protocol(asked.protocol());
  theirs.set_build(asked.build());
  if (const std::string differs = Difference(ours, theirs); !differs.empty()) {
    SayTurnedAway(node, differs);
    Queue(fleet::TurnedAway{node, differs}, {});
    return answer({grpc::StatusCode::FAILED_PRECONDITION, differs}, reply);
  }
  if (Finished()) {
    *reply.mutable_leave() = OrdersOf(state(), deployment_, emulation_, node).leave();
    told_.insert(node);
  } else {
    reply.set_settings(settings_);
    reply.set_fleet(state().fleet);
  }
  answer(grpc::Status::OK, reply);
}

void Coordinator::Hello(SessionId id, const NodeId& node, const v1::Hello& hello) {
  const auto refuse = [this, id, node](grpc::StatusCode code, const std::string& reason) {
    SayTurnedAway(node, reason);
    service_.Refuse(id, {code, reason});
  };
  if (state().Find(node) == nullptr || !deployment_.Has(node)) {
    return refuse(grpc::StatusCode::NOT_FOUND, NotOfThisFleet(node));
  }
  auto report = CapabilitiesOf(node, hello, state().layers);
  const std::string differs = work_ ? Difference(*work_, hello.work()) : "";
  if (!report || !differs.empty()) {
    const std::string reason = report ? differs : report.error().Text();
    Queue(fleet::TurnedAway{node, reason}, {});
    return refuse(grpc::StatusCode::FAILED_PRECONDITION, reason);
  }
  std::string outdated = SettingsDifference(settings_, hello.work().settings());
  if (!hello.fleet().empty() && hello.fleet() != state().fleet) outdated = "it is another fleet";
  if (!outdated.empty()) {
    // It gives up what it is at, and comes back as if it were started again.
    Queue(fleet::WentAway{node, hello.incarnation()}, {});
    log_.Info("nodes",
              fmt::format("{} is to ask for the training settings again: {}", Name(node), outdated),
              {{"who", Name(node)}, {"reason", outdated}});
    Note("settings_outdated", {{"who", Name(node)}, {"reason", outdated}});
    return service_.Refuse(id, {grpc::StatusCode::ABORTED, outdated});
  }
  // The log has it once.
  if (*report == state().Find(node)->report) report->clear();
  Queue(fleet::Joined{node, hello.incarnation(), std::move(*report)},
        [this,
         id,
         node,
         refuse,
         process = PrintableLine(Clipped(hello.process(), kProcessBytesMax)),
         work = hello.work()](const fleet::StepResult& result) {
          if (result.verdict == fleet::Verdict::kOtherAlive) {
            return refuse(grpc::StatusCode::ALREADY_EXISTS,
                          "another process speaks for this node, and has within its lease");
          }
          if (!work_) work_ = work;
          turned_away_.erase(node);
          Session& session = sessions_[node];
          if (session.id != 0 && session.id != id) {
            service_.Refuse(
                session.id,
                {grpc::StatusCode::ALREADY_EXISTS, "a later session of this node has begun"});
          }
          session.id = id;
          session.orders.clear();
          session.replies.Clear();
          session.sign = {process, WallClock()};
          Renew(session);
          changed_.insert(node);
          if (result.verdict != fleet::Verdict::kAccepted) return;
          if (!IsLarge()) {
            log_.Info("nodes",
                      fmt::format("{} is here ({})", Name(node), process),
                      {{"who", Name(node)}, {"process", process}});
          }
          Note("joined", {{"who", Name(node)}, {"process", process}});
        });
}

// A node whose lease has lapsed while its stream stood, for it was stopped, is here again.
void Coordinator::Alive(SessionId id, const NodeId& node) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || session->second.id != id) return;
  session->second.sign.heard_at = WallClock();
  Renew(session->second);
  const fleet::Member* member = state().Find(node);
  if (member == nullptr || member->presence == fleet::Presence::kHere) return;
  Queue(fleet::Joined{node, member->incarnation, ""}, [this, node](const auto& result) {
    if (result.verdict != fleet::Verdict::kAccepted) return;
    const std::string process = sessions_[node].sign.process;
    log_.Info("nodes",
              fmt::format("{} is here again ({})", Name(node), process),
              {{"who", Name(node)}, {"process", process}});
    Note("joined", {{"who", Name(node)}, {"process", process}});
  });
}

void Coordinator::Closed(SessionId id, const NodeId& node, bool goodbye) {
  const auto found = sessions_.find(node);
  if (found == sessions_.end() || found->second.id != id) return;
  Session& session = found->second;
  session.id = 0;
  const auto until = goodbye ? Clock::now() : Clock::now() + kBrokenLease;
  session.lease_until = std::min(session.lease_until, until);
}

// Standing sessions of those whom a new list names; others are refused as they come.
void Coordinator::EndRevoked() {
  if (!revoked_->HasChanged()) return;
  log_.Info("credentials", "the list of revoked certificates has changed");
  refused_.clear();
  for (auto& [node, session] : sessions_) {
    if (session.id == 0 || !service_.IsRevoked(session.id)) continue;
    const std::string reason = fmt::format("the certificate of {} is revoked", Name(node));
    SayTurnedAway(node, reason);
    service_.Refuse(std::exchange(session.id, 0), {grpc::StatusCode::PERMISSION_DENIED, reason});
    // Away at once, with the reason why.
    if (const fleet::Member* member = state().Find(node)) {
      Queue(fleet::WentAway{node, member->incarnation}, {});
      Queue(fleet::TurnedAway{node, reason}, {});
    }
  }
}

// While this process was stopped, or its machine asleep, no sign of life could be heard.
void Coordinator::ForgiveSilence(Clock::duration stood_still) {
  for (auto& [node, session] : sessions_) session.lease_until += stood_still;
}

// One whose session does not stand. Who holds a revoked certificate says nothing of a node that is
// here, or has been lately, with another.
void Coordinator::RefuseRevoked(const NodeId& node, const std::string& reason) {
  if (!refused_.insert(node).second) return;  // However often it tries.
  SayTurnedAway(node, reason);
  const fleet::Member* member = state().Find(node);
  const bool elsewhere = member != nullptr && (member->presence == fleet::Presence::kHere ||
                                               member->presence == fleet::Presence::kAway);
  if (member != nullptr && !elsewhere) Queue(fleet::TurnedAway{node, reason}, {});
}

void Coordinator::CheckLeases() {
  for (const auto& [node, session] : sessions_) {
    const fleet::Member* member = state().Find(node);
    if (member == nullptr || member->presence != fleet::Presence::kHere) continue;
    if (Clock::now() <= session.lease_until || Finished()) continue;
    Queue(fleet::WentAway{node, member->incarnation}, [this, node = node](const auto& result) {
      if (result.verdict != fleet::Verdict::kAccepted) return;
      log_.Warning("nodes", fmt::format("{} is away", Name(node)), {{"who", Name(node)}});
      Note("node_lost", {{"lost", Name(node)}});
    });
  }
}

void Coordinator::Report(SessionId id, const NodeId& node, const v1::PhaseReport& wire) {
  v1::ReportReply reply;
  reply.set_number(wire.number());
  const auto report = FromWire(node, wire);
  if (!report) {
    reply.set_malformed(report.error().Text());
    v1::CoordinatorMessage message;
    *message.add_replies() = std::move(reply);
    return service_.Send(id, std::move(message), false);
  }
  Queue(*report,
        [this, id, node, report = *report, reply](const fleet::StepResult& result) mutable {
          reply.set_verdict(ToWire(result.verdict));
          Reply(id, node, std::move(reply));
          if (result.verdict != fleet::Verdict::kAccepted) return;
          Note("phase_finished",
               {{"round", report.round},
                {"user", report.user},
                {"phase", Key(report.phase)},
                {"elapsed_s", report.measured.elapsed_s.value_or(0.0)},
                {"bytes", report.measured.bytes.value_or(0)},
                {"failure", report.failure}});
          // The round may have ended with it, and the next one begun.
          const auto& round =
              state().round && state().round->number == report.round ? state().round : state().last;
          if (!round || !round->tasks.contains(report.user)) return;
          if (report.failure.empty()) {
            if (!IsLarge()) {
              log_.Info(
                  "rounds",
                  FinishedLine(round->tasks.at(report.user), report, state().layers),
                  {{"round", report.round}, {"user", report.user}, {"phase", Key(report.phase)}});
            }
          } else {
            log_.Warning(
                "rounds",
                fmt::format(
                    "user {}: {} failed: {}", report.user, Name(report.phase), report.failure),
                {{"round", report.round},
                 {"user", report.user},
                 {"phase", Key(report.phase)},
                 {"reason", report.failure}});
          }
        });
}

// If the session still stands; the next one's report is another.
void Coordinator::Reply(SessionId id, const NodeId& node, v1::ReportReply reply) {
  const auto session = sessions_.find(node);
  if (session == sessions_.end() || session->second.id != id) return;
  *session->second.replies.add_replies() = std::move(reply);
  replied_.insert(node);
}

// Whose orders an event may change. A user knows what it has finished itself, but waits to hear
// that its server has, which may have been known before the upload was; that a server may forget a
// user is not urgent.
void Coordinator::Changed(const fleet::LoggedEvent& logged) {
  if (std::holds_alternative<fleet::WentAway>(logged.event) ||
      std::holds_alternative<fleet::TurnedAway>(logged.event)) {
    return;
  }
  const auto* joined = std::get_if<fleet::Joined>(&logged.event);
  if (joined != nullptr && joined->node.role == Role::kUser) {
    changed_.insert(joined->node);
    return;
  }
  const auto* report = std::get_if<fleet::PhaseFinished>(&logged.event);
  if (report == nullptr || !state().round) {
    all_changed_ = true;
    return;
  }
  if (report->phase == fleet::Phase::kUpload || report->phase == fleet::Phase::kServer ||
      !report->failure.empty()) {
    changed_.insert(UserNode(report->user));
  }
  const auto task = state().round->tasks.find(report->user);
  if (task != state().round->tasks.end()) forgetting_.insert(ServerNode(task->second.server));
}

void Coordinator::SendChanges(bool last) {
  if (all_changed_) {
    for (const auto& [node, session] : sessions_) Send(node, true, last);
  } else {
    for (const NodeId& node : changed_) Send(node, true, last);
  }
  for (const NodeId& node : replied_) Send(node, false, last);
  changed_.clear();
  replied_.clear();
  all_changed_ = false;
}

// Orders that are others than it has, and replies.
void Coordinator::Send(const NodeId& node, bool orders_may_differ, bool last) {
  const auto found = sessions_.find(node);
  if (found == sessions_.end() || found->second.id == 0) return;
  Session& session = found->second;
  v1::CoordinatorMessage message = std::exchange(session.replies, {});
  if (orders_may_differ) {
    v1::Orders orders = OrdersOf(state(), deployment_, emulation_, node);
    if (std::string text = orders.SerializeAsString(); text != session.orders) {
      session.orders = std::move(text);
      *message.mutable_orders() = std::move(orders);
    }
  }
  if (!message.has_orders() && message.replies_size() == 0) return;
  const bool leave = message.orders().has_leave();
  if (leave) told_.insert(node);
  service_.Send(session.id, std::move(message), last && leave);
}

}  // namespace dashf::runtime
