// What `dashf ctl` prints for people, from the coordinator's JSON. A member that is absent or of
// another kind is shown as "-": the coordinator may be of another version.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace dashf::cli {

void PrintStatus(const std::string& fleet, const nlohmann::ordered_json& status);
void PrintNodes(const nlohmann::ordered_json& rows);
void PrintRounds(const nlohmann::ordered_json& rows);
void PrintParts(const nlohmann::ordered_json& rows);
void PrintEvent(const std::string& line);

}  // namespace dashf::cli
