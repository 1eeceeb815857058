// What operators ask and wish.
#include <fmt/format.h>

#include "fleet/codec.h"
#include "runtime/coordinator_process.h"

namespace dashf::runtime {
namespace {

// For people: "drains server/s0".
std::string DeedOf(const fleet::Event& event) {
  if (const auto* drained = std::get_if<fleet::Drained>(&event)) {
    return "drains " + Name(drained->node);
  }
  if (const auto* excluded = std::get_if<fleet::Excluded>(&event)) {
    const std::string why = excluded->reason.empty() ? "" : ": " + excluded->reason;
    return "excludes " + Name(excluded->node) + why;
  }
  if (const auto* admitted = std::get_if<fleet::Admitted>(&event)) {
    return "admits " + Name(admitted->node);
  }
  if (const auto* stopped = std::get_if<fleet::Stopped>(&event)) {
    return stopped->at_once ? "stops the fleet at once" : "stops the fleet after this round";
  }
  return "asks for a round";
}

// As telemetry has it.
nlohmann::ordered_json FieldsOf(const fleet::Event& event) {
  nlohmann::ordered_json fields = fleet::ToJson(event);
  if (!fields.contains("node")) return fields;
  fields["who"] = fields["node"];  // "node" is who writes.
  fields.erase("node");
  return fields;
}

}  // namespace

OperatorCalls Coordinator::ForOperators() {
  return {.look =
              [this](OperatorCalls::Look look) {
                Post([this, look = std::move(look)] {
                  look(state(), [this](const NodeId& node) { return SignOf(node); });
                });
              },
          .steer =
              [this](const NodeId& by, const fleet::Event& event, OperatorCalls::Answer answer) {
                Post([this, by, event, answer = std::move(answer)] { Steer(by, event, answer); });
              },
          .revoked = [this](const auto& context) { return Revoked(context, revoked_.get()); }};
}

void Coordinator::Steer(const NodeId& by,
                        const fleet::Event& event,
                        const OperatorCalls::Answer& answer) {
  Queue(event, [this, by, event, answer](const fleet::StepResult& result) {
    answer(result, state());
    if (result.verdict != fleet::Verdict::kAccepted) return;
    log_.Info("operators",
              fmt::format("{} {}", Name(by), DeedOf(event)),
              {{"by", Name(by)}, {"event", fleet::KindOf(event)}});
    Note(fleet::KindOf(event), FieldsOf(event));
  });
}

NodeSign Coordinator::SignOf(const NodeId& node) const {
  const auto session = sessions_.find(node);
  return session == sessions_.end() ? NodeSign{} : session->second.sign;
}

}  // namespace dashf::runtime
