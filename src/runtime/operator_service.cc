#include "runtime/operator_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <vector>

#include "base/file.h"
#include "base/printable.h"
#include "runtime/process.h"
#include "runtime/tls.h"
#include "runtime/wall_clock.h"

namespace dashf::runtime {
namespace {

using Json = nlohmann::ordered_json;
using grpc::StatusCode;

constexpr std::size_t kRowsMax = 256;  // Of a page: what the coordinator's thread does at a time.
constexpr int kCallsMax = 8;           // Of one operator.
constexpr std::size_t kTextBytesMax = 256;
constexpr std::size_t kLogBytesMax = 256 << 10;  // Of a message.
constexpr std::chrono::seconds kAnswerWithin(20);
constexpr std::chrono::milliseconds kLookForEnd(250);  // So often a silent follower is looked at.

grpc::Status Stops() {
  return {StatusCode::UNAVAILABLE, "the coordinator stops, or is too busy to answer"};
}

grpc::Status UnknownNode(const NodeId& node) {
  return {StatusCode::NOT_FOUND, fmt::format("{} is not of this fleet", Name(node))};
}

v1::Document DocumentOf(const Json& json) {
  v1::Document document;
  document.set_json(json.dump(-1, ' ', false, Json::error_handler_t::replace));
  return document;
}

// False: nobody listens any more.
template <class Row>
bool WriteRows(const std::vector<Row>& rows, grpc::ServerWriter<v1::Document>* writer) {
  for (std::size_t at = 0; at < rows.size(); at += kRowsMax) {
    Json page = Json::array();
    for (std::size_t i = at; i < std::min(rows.size(), at + kRowsMax); ++i) {
      page.push_back(ToJson(rows[i]));
    }
    if (!writer->Write(DocumentOf({{"rows", std::move(page)}}))) return false;
  }
  return true;
}

// For what has come, or could not: whoever drops a promise breaks it.
template <class T>
std::optional<T> ValueOf(std::future<T> future) {
  if (future.wait_for(kAnswerWithin) != std::future_status::ready) return std::nullopt;
  try {
    return future.get();
  } catch (const std::future_error&) {  // The promise was dropped.
    return std::nullopt;
  }
}

std::optional<std::string> UnsoundText(const std::string& text) {
  if (text.size() > kTextBytesMax) {
    return fmt::format("must have at most {} bytes, got {}", kTextBytesMax, text.size());
  }
  const bool line = text.find('\n') == std::string::npos && Printable(text) == text;
  return line ? std::nullopt
              : std::optional<std::string>("must be one line of UTF-8 without control characters");
}

// What is asked for, as an event.
struct Wish {
  grpc::Status status;
  fleet::Event event;
  NodeId node;  // What it is about, if it is about one.
};

Wish WishOf(const NodeId& by, const v1::SteerRequest& request) {
  const auto refused = [](const std::string& why) {
    return Wish{{StatusCode::INVALID_ARGUMENT, why}, {}, {}};
  };
  if (const auto unsound = UnsoundText(request.reason())) return refused("reason: " + *unsound);
  Wish wish;
  const std::string who = Name(by);
  const bool about_node = request.action() == v1::ACTION_DRAIN ||
                          request.action() == v1::ACTION_EXCLUDE ||
                          request.action() == v1::ACTION_ADMIT;
  if (about_node) {
    const auto node = ParseName(request.node());
    const bool sound =
        node && (node->role == Role::kUser || node->role == Role::kServer) && CheckId("", node->id);
    if (!sound) {
      return refused(fmt::format("node: must be server/ID or user/ID, got '{}'",
                                 PrintableLine(Clipped(request.node(), 64))));
    }
    wish.node = *node;
  }
  const std::string reason = request.reason();
  switch (request.action()) {
    case v1::ACTION_START:
      wish.event = fleet::RoundRequested{who};
      break;
    case v1::ACTION_DRAIN:
      wish.event = fleet::Drained{wish.node, who};
      break;
    case v1::ACTION_EXCLUDE:
      wish.event = fleet::Excluded{wish.node, reason, who};
      break;
    case v1::ACTION_ADMIT:
      wish.event = fleet::Admitted{wish.node, who};
      break;
    case v1::ACTION_STOP:
    case v1::ACTION_STOP_NOW:
      wish.event =
          fleet::Stopped{fmt::format("stopped by {}{}", who, reason.empty() ? "" : ": " + reason),
                         request.action() == v1::ACTION_STOP_NOW,
                         who};
      break;
    default:
      return refused("action: is none that this coordinator knows");
  }
  return wish;
}

// After the request, or after it was found to be so already.
std::string SaidOfStart(const fleet::State& state, bool changed) {
  const fleet::Round* round = state.round ? &*state.round : nullptr;
  if (state.requested) {
    return fmt::format("round {} is {}; another one {} when it has ended",
                       round->number,
                       Name(round->stage),
                       changed ? "begins" : "was asked for before, and begins");
  }
  if (round == nullptr) return "no round has begun";
  if (round->stage != fleet::Round::Stage::kGathering) {
    return fmt::format("round {} begins", round->number);
  }
  return fmt::format(
      "round {} begins: {} of {} users and {} of {} servers are here, {} and {} are needed; the "
      "others are waited for up to {:g} s",
      round->number,
      fleet::CountTakingPart(state.users),
      state.users.size(),
      fleet::CountTakingPart(state.servers),
      state.servers.size(),
      state.policy.users_min,
      state.policy.servers_min,
      state.policy.gather_s);
}

std::string SaidOf(const v1::SteerRequest& request, bool changed, const fleet::State& state) {
  const std::string& node = request.node();
  const bool runs = state.round && state.round->stage != fleet::Round::Stage::kEnded;
  switch (request.action()) {
    case v1::ACTION_START:
      return SaidOfStart(state, changed);
    case v1::ACTION_DRAIN:
      return changed ? node + " ends what it is at and takes no further part"
                     : node + " was drained or excluded before";
    case v1::ACTION_EXCLUDE:
      return changed ? node + " is excluded" : node + " was excluded before, for the same reason";
    case v1::ACTION_ADMIT:
      return changed ? node + " may take part" : node + " could take part already";
    default:
      return runs ? fmt::format("the fleet is over when round {} has ended", state.round->number)
                  : "the fleet is over";
  }
}

// A line of telemetry that names the node. Ids need no escape in JSON, and quotes in texts have
// one, so that what looks like a member is one.
bool IsAbout(const std::string& line, const NodeId& node) {
  for (const char* key : {"node", "who", "lost", "by"}) {
    if (line.find(fmt::format("\"{}\":\"{}\"", key, Name(node))) != std::string::npos) return true;
  }
  const char* key = node.role == Role::kUser ? "user" : "server";
  return node.role != Role::kCoordinator &&
         line.find(fmt::format("\"{}\":\"{}\"", key, node.id)) != std::string::npos;
}

}  // namespace

// One call of an operator's, as long as it goes on.
class OperatorService::Call {
 public:
  Call(OperatorService* service, const grpc::ServerContext& context) : service_(*service) {
    const auto peer = PeerOf(context);
    if (!peer) {
      status_ = {StatusCode::UNAUTHENTICATED, "no certificate names this peer"};
    } else if (peer->role != Role::kOperator || !CheckId("", peer->id)) {
      status_ = {StatusCode::PERMISSION_DENIED,
                 fmt::format("only an operator may ask this; the certificate is {}'s",
                             Printable(Clipped(Name(*peer), 64)))};
    } else if (service_.calls_.revoked(context)) {
      status_ = {StatusCode::PERMISSION_DENIED,
                 fmt::format("the certificate of {} is revoked", Name(*peer))};
    }
    if (!status_.ok()) return;
    const std::lock_guard lock(service_.mutex_);
    if (service_.going_on_[*peer] >= kCallsMax) {
      status_ = {StatusCode::RESOURCE_EXHAUSTED,
                 fmt::format("{} calls of {} go on", kCallsMax, Name(*peer))};
      return;
    }
    ++service_.going_on_[*peer];
    by_ = *peer;
  }
  ~Call() {
    if (!status_.ok()) return;
    const std::lock_guard lock(service_.mutex_);
    if (--service_.going_on_[by_] == 0) service_.going_on_.erase(by_);
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  const grpc::Status& status() const { return status_; }
  const NodeId& by() const { return by_; }

 private:
  OperatorService& service_;
  grpc::Status status_;
  NodeId by_;
};

OperatorService::OperatorService(OperatorCalls calls,
                                 std::filesystem::path rounds,
                                 std::shared_ptr<RecentLines> recent)
    : calls_(std::move(calls)),
      rounds_(std::move(rounds)),
      recent_(std::move(recent)),
      started_(WallClock()) {}

template <class T>
std::optional<T> OperatorService::Ask(
    const std::function<T(const fleet::State&, const SignOf&)>& question) {
  auto promise = std::make_shared<std::promise<T>>();
  auto future = promise->get_future();
  calls_.look(
      [promise = std::move(promise), question](const fleet::State& state, const SignOf& sign_of) {
        promise->set_value(question(state, sign_of));
      });
  return ValueOf(std::move(future));
}

grpc::Status OperatorService::Status(grpc::ServerContext* context,
                                     const v1::StatusRequest*,
                                     v1::Document* reply) {
  const Call call(this, *context);
  if (!call.status().ok()) return call.status();
  auto json = Ask<Json>([](const fleet::State& state, const SignOf&) { return StatusOf(state); });
  if (!json) return Stops();
  (*json)["coordinator"] = {{"process", ThisProcess()},
                            {"version", DASHF_VERSION},
                            {"since_s", 1e-3 * static_cast<double>(started_)},
                            {"now_s", 1e-3 * static_cast<double>(WallClock())}};
  *reply = DocumentOf(*json);
  return grpc::Status::OK;
}

grpc::Status OperatorService::Nodes(grpc::ServerContext* context,
                                    const v1::NodesRequest*,
                                    grpc::ServerWriter<v1::Document>* writer) {
  const Call call(this, *context);
  if (!call.status().ok()) return call.status();
  for (std::optional<NodeId> from = ServerNode(""); from;) {
    const auto page = Ask<NodePage>([from](const fleet::State& state, const SignOf& sign_of) {
      return NodesFrom(state, *from, kRowsMax, sign_of);
    });
    if (!page) return Stops();
    if (!WriteRows(page->rows, writer)) return grpc::Status::CANCELLED;
    from = page->next;
  }
  return grpc::Status::OK;
}

grpc::Status OperatorService::Rounds(grpc::ServerContext* context,
                                     const v1::RoundsRequest* request,
                                     grpc::ServerWriter<v1::Document>* writer) {
  const Call call(this, *context);
  if (!call.status().ok()) return call.status();
  struct Known {
    std::vector<fleet::RoundSummary> ended;
    std::uint32_t begun = 0;
    std::optional<std::uint32_t> running;
    std::string stage;
    fleet::Millis began = 0;
  };
  const auto known = Ask<Known>([](const fleet::State& state, const SignOf&) {
    Known all{state.history, state.rounds_begun, std::nullopt, "", 0};
    if (!state.round || state.round->stage == fleet::Round::Stage::kEnded) return all;
    all.running = state.round->number;
    all.stage = Name(state.round->stage);
    all.began = state.round->began;
    return all;
  });
  if (!known) return Stops();
  if (request->round() > known->begun) {
    return {StatusCode::NOT_FOUND,
            fmt::format("round {} has not begun; {} have", request->round(), known->begun)};
  }
  if (request->round() > 0) {
    return known->running == request->round() ? WriteParts(request->round(), writer)
                                              : WriteRecord(request->round(), writer);
  }
  Json rows = Json::array();
  const std::size_t last = std::min<std::size_t>(request->last(), fleet::kHistoryMax);
  const std::size_t skipped = known->ended.size() - std::min(known->ended.size(), last);
  for (std::size_t i = skipped; i < known->ended.size(); ++i)
    rows.push_back(ToJson(known->ended[i]));
  if (known->running) {
    rows.push_back({{"round", *known->running},
                    {"state", known->stage},
                    {"began_s", 1e-3 * static_cast<double>(known->began)}});
  }
  writer->Write(DocumentOf({{"rows", std::move(rows)}}));
  return grpc::Status::OK;
}

grpc::Status OperatorService::WriteParts(std::uint32_t round,
                                         grpc::ServerWriter<v1::Document>* writer) {
  for (std::optional<std::string> from = ""; from;) {
    const auto page = Ask<PartPage>([from, round](const fleet::State& state, const SignOf&) {
      // It may have ended meanwhile.
      if (state.round->number != round) return PartPage{};
      return PartsFrom(state, *from, kRowsMax);
    });
    if (!page) return Stops();
    if (!WriteRows(page->rows, writer)) return grpc::Status::CANCELLED;
    from = page->next;
  }
  return grpc::Status::OK;
}

// One that has ended has a record, on disk.
grpc::Status OperatorService::WriteRecord(std::uint32_t round,
                                          grpc::ServerWriter<v1::Document>* writer) const {
  const std::filesystem::path path = rounds_ / fmt::format("{:04}", round) / "round.json";
  const auto text = ReadFile(path);
  if (!text) {
    return {StatusCode::NOT_FOUND,
            fmt::format(
                "the record of round {} is not there any more: {}", round, text.error().Text())};
  }
  const auto record = ParseRound(path.string(), *text);
  if (!record) return {StatusCode::DATA_LOSS, record.error().Text()};
  return WriteRows(PartsOf(*record), writer) ? grpc::Status::OK : grpc::Status::CANCELLED;
}

grpc::Status OperatorService::Steer(grpc::ServerContext* context,
                                    const v1::SteerRequest* request,
                                    v1::SteerReply* reply) {
  const Call call(this, *context);
  if (!call.status().ok()) return call.status();
  const Wish wish = WishOf(call.by(), *request);
  if (!wish.status.ok()) return wish.status;
  struct Outcome {
    fleet::Verdict verdict;
    std::string said;
  };
  auto promise = std::make_shared<std::promise<Outcome>>();
  auto future = promise->get_future();
  calls_.steer(call.by(),
               wish.event,
               [promise = std::move(promise), asked = *request](const fleet::StepResult& result,
                                                                const fleet::State& state) {
                 const bool changed = result.verdict == fleet::Verdict::kAccepted;
                 promise->set_value({result.verdict, SaidOf(asked, changed, state)});
               });
  const auto outcome = ValueOf(std::move(future));
  if (!outcome) return Stops();
  if (outcome->verdict == fleet::Verdict::kUnknown) {
    return UnknownNode(wish.node);
  }
  if (outcome->verdict == fleet::Verdict::kStale) {
    return {StatusCode::FAILED_PRECONDITION, "the fleet is over, or will be after this round"};
  }
  reply->set_changed(outcome->verdict == fleet::Verdict::kAccepted);
  reply->set_said(outcome->said);
  return grpc::Status::OK;
}

grpc::Status OperatorService::Logs(grpc::ServerContext* context,
                                   const v1::LogsRequest* request,
                                   grpc::ServerWriter<v1::Document>* writer) {
  const Call call(this, *context);
  if (!call.status().ok()) return call.status();
  std::optional<NodeId> node;
  if (!request->node().empty()) {
    node = ParseName(request->node());
    if (!node || (node->role != Role::kCoordinator && !CheckId("", node->id))) {
      return {StatusCode::INVALID_ARGUMENT,
              fmt::format("node: must be coordinator, server/ID, user/ID or operator/ID, got '{}'",
                          PrintableLine(Clipped(request->node(), 64)))};
    }
    if (node->role == Role::kUser || node->role == Role::kServer) {
      const auto known = Ask<bool>([node](const fleet::State& state, const SignOf&) {
        return state.Find(*node) != nullptr;
      });
      if (!known) return Stops();
      if (!*known) return UnknownNode(*node);
    }
  }
  const auto wanted = [&node](const std::string& line) { return !node || IsAbout(line, *node); };
  // What there is, its last lines; then what comes.
  RecentLines::Part part = recent_->From(0, RecentLines::kBytesMax, std::chrono::milliseconds(0));
  std::erase_if(part.lines, [&](const std::string& line) { return !wanted(line); });
  const std::size_t lines = std::min<std::size_t>(request->lines(), part.lines.size());
  part.lines.erase(part.lines.begin(), part.lines.end() - static_cast<std::ptrdiff_t>(lines));
  for (bool seen_to_the_end = false;;) {
    for (std::string& line : part.lines) {
      v1::Document document;
      document.set_json(std::move(line));
      if (!writer->Write(document)) return grpc::Status::CANCELLED;
    }
    if (!request->follow()) return grpc::Status::OK;
    if (part.closed || seen_to_the_end) return ended_ ? grpc::Status::OK : Stops();
    if (context->IsCancelled()) return grpc::Status::CANCELLED;
    const bool over = ended_;  // Before it is read: what belongs to the end is then there.
    part = recent_->From(part.next, kLogBytesMax, kLookForEnd);
    seen_to_the_end = over && part.lines.empty();
    std::erase_if(part.lines, [&](const std::string& line) { return !wanted(line); });
  }
}

}  // namespace dashf::runtime
