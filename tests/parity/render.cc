// The interpreter's side of template_live_test.py: reads JSON lines {"template", "variables"} and
// writes one line each, {"text", "generations"} or {"error"}.
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "jinja/template.h"

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto task = nlohmann::ordered_json::parse(line);
    nlohmann::ordered_json answer;
    const auto parsed =
        dashf::jinja::Template::Parse("template", task["template"].get<std::string>());
    if (!parsed) {
      answer["error"] = parsed.error().Text();
    } else {
      const std::time_t seconds = task.value("now", std::time_t{0});
      std::tm now{};
      gmtime_r(&seconds, &now);
      const auto rendering = parsed->Render(task["variables"], now);
      if (rendering) {
        answer["text"] = rendering->text;
        answer["generations"] = rendering->generations;
      } else {
        answer["error"] = rendering.error().Text();
      }
    }
    std::cout << answer.dump() << '\n';
  }
}
