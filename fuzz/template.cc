// Chat templates: whatever a template is, it is refused or carried out within its limits, twice the
// same, on conversations with and without tools; what is rendered is UTF-8 within the limit, and
// marked answers lie in it, in ascending order.
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <string>

#include "base/check.h"
#include "jinja/template.h"

namespace {

using Json = nlohmann::ordered_json;

const Json& Variables(bool tools) {
  static const auto make = [](bool with_tools) {
    Json variables;
    variables["messages"] = Json::parse(R"([
      {"role": "system", "content": "Be brief.\n"}, {"role": "user", "content": " \u00e9<x> 1,2"},
      {"role": "assistant", "content": "<think>\nHm</think>\n\nYes."},
      {"role": "tool", "content": "{\"a\": 1}", "tool_call_id": "c1"}])");
    variables["tools"] = nullptr;
    if (with_tools) {
      variables["tools"] = Json::parse(R"([{"type": "function", "function": {"name": "f",
        "parameters": {"type": "object", "properties": {"p": {"type": "string"}}}}}])");
    }
    variables["add_generation_prompt"] = true;
    variables["bos_token"] = "<s>";
    variables["numbers"] = {3, -1, 2.5, true};
    return variables;
  };
  static const Json with = make(true), without = make(false);
  return tools ? with : without;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto parsed = dashf::jinja::Template::Parse("t", source);
  if (!parsed) return 0;
  const dashf::jinja::Limits limits{.steps = 20'000, .bytes = 1 << 16};
  std::tm now{};
  now.tm_mday = 1;
  now.tm_year = 126;
  for (const bool tools : {false, true}) {
    const auto rendering = parsed->Render(Variables(tools), now, limits);
    const auto again = parsed->Render(Variables(tools), now, limits);
    DASHF_CHECK(rendering.has_value() == again.has_value());
    if (!rendering) {
      DASHF_CHECK(rendering.error().Text() == again.error().Text());
      continue;
    }
    DASHF_CHECK(rendering->text == again->text && rendering->text.size() <= limits.bytes);
    DASHF_CHECK(Json(rendering->text).dump().size() >=
                rendering->text.size());  // UTF-8, or throws.
    std::size_t at = 0;
    for (const auto& [begin, end] : rendering->generations) {
      DASHF_CHECK(at <= begin && begin <= end && end <= rendering->text.size());
      at = end;
    }
  }
  return 0;
}
