// Events and states as JSON, for the log. Numbers keep every bit.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/error.h"
#include "fleet/event.h"
#include "fleet/user_agent.h"

namespace dashf::fleet {

std::string_view KindOf(const Event& event);  // "phase_finished"; the event's name in the log.
nlohmann::json ToJson(const Event& event);
// kBadInput for a kind that this version does not know and for a body that is not of that kind.
Expected<Event> EventFromJson(std::string_view kind, const nlohmann::json& body);

nlohmann::json ToJson(const State& state);
Expected<State> StateFromJson(const nlohmann::json& body);

nlohmann::json ToJson(const UserMemory& memory);
Expected<UserMemory> UserMemoryFromJson(const nlohmann::json& body);

}  // namespace dashf::fleet
