// What a live page says of a fleet, as lines for a terminal.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace dashf::cli {

class WatchScreen {
 public:
  using Json = nlohmann::ordered_json;

  enum class Shows { kScreen, kLines, kNothing };  // One screen drawn anew, or a line per event.
  explicit WatchScreen(Shows shows) : shows_(shows) {}

  void Begin(Json fleet);                          // As /api/fleet answers.
  void Take(const std::string& event, Json data);  // As /events has it.
  void Away();                                     // Nobody answers for the moment.
  void Draw();
  bool Over() const;
  const Json& fleet() const { return fleet_; }

 private:
  void Tell(const Json& event);
  std::string Screen(std::size_t columns, std::size_t lines) const;

  const Shows shows_;
  Json fleet_;
  std::map<std::string, Json> nodes_;
  std::string said_;     // The last line about the fleet,
  std::string told_;     // the last event that was printed,
  double last_s_ = 0.0;  // and its time.
};

}  // namespace dashf::cli
