#include "fleet/codec.h"

#include <fmt/format.h>

#include <limits>

namespace nlohmann {

template <class T>
struct adl_serializer<std::optional<T>> {
  static void to_json(json& j, const std::optional<T>& value) {
    j = value ? json(*value) : json(nullptr);
  }
  static void from_json(const json& j, std::optional<T>& value) {
    value = j.is_null() ? std::nullopt : std::optional<T>(j.get<T>());
  }
};

}  // namespace nlohmann

namespace dashf {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseSeconds, local, upload, server, download)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Quality, loss, exact_match, choice_accuracy)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Decision,
                                   server,
                                   local_layers,
                                   local_clock_hz,
                                   tx_power_w,
                                   bandwidth_hz,
                                   server_tx_power_w,
                                   server_clock_hz)

// Logs hold many of these.
void to_json(nlohmann::json& j, const PhaseFactors& factors) {
  j = {factors.local, factors.upload, factors.server, factors.download};
}
void from_json(const nlohmann::json& j, PhaseFactors& factors) {
  factors = {j.at(0), j.at(1), j.at(2), j.at(3)};
}
void to_json(nlohmann::json& j, const Factor& factor) {
  j = {factor.log_mean, factor.log_variance, factor.phases};
}
void from_json(const nlohmann::json& j, Factor& factor) {
  factor = {j.at(0), j.at(1), j.at(2)};
}
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(NodeFactors, compute, upload, download)

namespace fleet {

void to_json(nlohmann::json& j, const NodeId& node) {
  j = Name(node);
}
void from_json(const nlohmann::json& j, NodeId& node) {
  const auto parsed = ParseName(j.get_ref<const std::string&>());
  if (!parsed) throw std::invalid_argument("no such node: " + j.get<std::string>());
  node = *parsed;
}

NLOHMANN_JSON_SERIALIZE_ENUM(Phase,
                             {{Phase::kLocal, "local"},
                              {Phase::kUpload, "upload"},
                              {Phase::kServer, "server"},
                              {Phase::kDownload, "download"},
                              {Phase::kVerify, "verify"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Presence,
                             {{Presence::kNever, "never"},
                              {Presence::kHere, "here"},
                              {Presence::kAway, "away"},
                              {Presence::kGone, "gone"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Task::State,
                             {{Task::State::kPending, "pending"},
                              {Task::State::kRunning, "running"},
                              {Task::State::kDone, "done"},
                              {Task::State::kFailed, "failed"}})
NLOHMANN_JSON_SERIALIZE_ENUM(Round::Stage,
                             {{Round::Stage::kGathering, "gathering"},
                              {Round::Stage::kPlanning, "planning"},
                              {Round::Stage::kRunning, "running"},
                              {Round::Stage::kEnded, "ended"}})
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Policy,
                                   rounds_max,
                                   on_request,
                                   interval_s,
                                   users_min,
                                   servers_min,
                                   gather_s,
                                   give_up_s,
                                   lease_s,
                                   grace_s,
                                   late_users,
                                   attempts_max,
                                   phase_factor,
                                   phase_slack_s,
                                   time_scale)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(
    Member, presence, incarnation, since, report, refused, excluded, drained, rounds_done, factors)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Measured, elapsed_s, cpu_s, bytes, energy_j)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Task,
                                   state,
                                   attempt,
                                   server,
                                   decision,
                                   predicted_s,
                                   factors,
                                   phase,
                                   since,
                                   due,
                                   served,
                                   waits_for_slot,
                                   trained_layers,
                                   failed_at,
                                   failure,
                                   measured,
                                   before,
                                   after)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(
    Round, number, stage, began, ended, since, plan, planning, plan_wanted, tasks, absent)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(
    RoundSummary, number, began, ended, done, failed, absent, predicted_s, measured_s)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(State,
                                   policy,
                                   layers,
                                   settings,
                                   fleet,
                                   users,
                                   servers,
                                   rounds_begun,
                                   requested,
                                   next_round_at,
                                   round,
                                   last,
                                   history,
                                   over,
                                   over_reason,
                                   over_by)

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Configured, policy, layers, users, servers, settings, fleet)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Joined, node, incarnation, report)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(TurnedAway, node, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(WentAway, node, incarnation)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Excluded, node, reason, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Drained, node, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Admitted, node, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RoundRequested, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(
    Assignment, user, server, decision, predicted_s, failure, waits_for_slot, factors)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PlanMade, round, plan, assignments)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PlanFailed, round, plan, reason)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(PhaseFinished,
                                   reporter,
                                   incarnation,
                                   round,
                                   attempt,
                                   user,
                                   phase,
                                   failure,
                                   measured,
                                   before,
                                   after)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Stopped, reason, at_once, by)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Outcome, failure, measured, before, after)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(UserMemory,
                                   round,
                                   attempt,
                                   server,
                                   decision,
                                   working,
                                   phase,
                                   trained_layers,
                                   local,
                                   finished,
                                   unreported)

// Has no members.
void to_json(nlohmann::json& j, const TimePassed&) {
  j = nlohmann::json::object();
}
void from_json(const nlohmann::json&, TimePassed&) {}

namespace {

// In the variant's order.
constexpr std::string_view kKinds[] = {"configured",
                                       "joined",
                                       "turned_away",
                                       "went_away",
                                       "excluded",
                                       "drained",
                                       "admitted",
                                       "round_requested",
                                       "plan_made",
                                       "plan_failed",
                                       "phase_finished",
                                       "time_passed",
                                       "stopped"};
static_assert(std::size(kKinds) == std::variant_size_v<Event>);

template <std::size_t I = 0>
Event Decode(std::size_t index, const nlohmann::json& body) {
  if constexpr (I + 1 < std::variant_size_v<Event>) {
    if (index != I) return Decode<I + 1>(index, body);
  }
  return body.get<std::variant_alternative_t<I, Event>>();
}

}  // namespace

std::string_view KindOf(const Event& event) {
  return kKinds[event.index()];
}

nlohmann::json ToJson(const Event& event) {
  return std::visit([](const auto& alternative) { return nlohmann::json(alternative); }, event);
}

Expected<Event> EventFromJson(std::string_view kind, const nlohmann::json& body) {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i] != kind) continue;
    try {
      return Decode(i, body);
    } catch (const std::exception& error) {
      return Fail(ErrorKind::kBadInput, std::string(kind), error.what());
    }
  }
  return Fail(ErrorKind::kBadInput,
              "event",
              fmt::format("this version of dashf does not know the kind '{}'", kind));
}

nlohmann::json ToJson(const State& state) {
  return state;
}

Expected<State> StateFromJson(const nlohmann::json& body) {
  try {
    return body.get<State>();
  } catch (const std::exception& error) {
    return Fail(ErrorKind::kBadInput, "snapshot", error.what());
  }
}

nlohmann::json ToJson(const UserMemory& memory) {
  return memory;
}

Expected<UserMemory> UserMemoryFromJson(const nlohmann::json& body) {
  try {
    return body.get<UserMemory>();
  } catch (const std::exception& error) {
    return Fail(ErrorKind::kBadInput, "memory", error.what());
  }
}

}  // namespace fleet
}  // namespace dashf
