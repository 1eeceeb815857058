#include "jinja/template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace dashf::jinja {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using Json = nlohmann::ordered_json;

std::tm TimeOf(std::time_t seconds) {
  std::tm time{};
  gmtime_r(&seconds, &time);
  return time;
}

// The text, or the error's.
std::string Rendered(std::string_view source,
                     const Json& variables = Json::object(),
                     const Limits& limits = {}) {
  const auto parsed = Template::Parse("t", source);
  if (!parsed) return parsed.error().Text();
  const auto rendering = parsed->Render(variables, TimeOf(0), limits);
  return rendering ? rendering->text : rendering.error().Text();
}

Json Recorded() {
  std::ifstream file(DASHF_SOURCE_DIR "/tests/parity/templates.json");
  return Json::parse(file);
}

// tests/parity/record_templates.py: what Jinja2 makes of each construct, as transformers sets it
// up.
TEST(Template, GivesWhatJinja2GivesAndFailsWhereItFails) {
  const Json recorded = Recorded();
  const std::tm now = TimeOf(recorded["now_s"]);
  int equal = 0, fail = 0;
  for (const auto& sample : recorded["cases"]) {
    const std::string source = sample["template"];
    const auto parsed = Template::Parse("t", source);
    const auto rendering = parsed ? parsed->Render(recorded["variables"], now)
                                  : Expected<Rendering>(tl::unexpected(parsed.error()));
    ASSERT_EQ(rendering.has_value(), sample.contains("text"))
        << source << (rendering ? rendering->text : rendering.error().Text());
    if (!rendering) {
      ++fail;
      continue;
    }
    ++equal;
    EXPECT_EQ(rendering->text, sample["text"]) << source;
    EXPECT_EQ(Json(rendering->generations), sample.value("generations", Json::array())) << source;
  }
  EXPECT_GT(equal, 200);
  EXPECT_GT(fail, 50);
}

TEST(Template, RefusesByNameWhatItDoesNotCarryOut) {
  const Json recorded = Recorded();
  for (const auto& [source, rule] : recorded["refused"].items()) {
    EXPECT_THAT(Rendered(source, recorded["variables"]), EndsWith(rule.get<std::string>()));
  }
}

TEST(Template, ErrorsNameTheLine) {
  EXPECT_EQ(Rendered("a\n{% if x %}\n{{ 1 | nope }}"),
            "t: line 3: the template ends where {% elif %} is awaited");
  EXPECT_EQ(Rendered("a\n\n{{ 1 | nope }}"), "t: line 3: there is no filter 'nope'");
  EXPECT_EQ(Rendered("a\n{{ 1 }}\n{{ x.y }}\n"), "t: line 3: 'x' is undefined");
  EXPECT_EQ(Rendered("\n{{ raise_exception('No system role') }}"), "t: line 2: No system role");
}

TEST(Template, EndsWhatLoopsRecursOrGrowsWithoutEnd) {
  const auto nested = [](const std::string& open, const std::string& close, int times) {
    std::string text;
    for (int i = 0; i < times; ++i) text += open;
    for (int i = 0; i < times; ++i) text += close;
    return text;
  };
  EXPECT_THAT(Rendered("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"),
              HasSubstr("recurs deeper than"));
  EXPECT_THAT(
      Rendered("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
      HasSubstr("takes more than 10000000 steps"));
  EXPECT_THAT(Rendered("{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ "
                       "n.s %}{% endfor %}"),
              HasSubstr("makes a text of more than"));
  EXPECT_THAT(Rendered("{{ 'a' * 9223372036854775807 }}"), HasSubstr("makes a text of more than"));
  EXPECT_THAT(Rendered("{{ [0] * 9223372036854775807 }}"), HasSubstr("steps"));
  EXPECT_THAT(Rendered("{% set n = namespace(s=[]) %}{% for i in range(999) %}{% set n.s = [n.s] "
                       "%}{% endfor %}"),
              HasSubstr("into each other"));
  EXPECT_THAT(Rendered("{{ " + nested("(", ")", 100000) + " }}"), HasSubstr("nested deeper than"));
  EXPECT_THAT(Rendered(nested("{% if 1 %}", "{% endif %}", 10000)),
              HasSubstr("nested deeper than"));
  EXPECT_THAT(Rendered("{{ 1" + nested(" + 1", "", 100000) + " }}"),
              HasSubstr("nested deeper than"));
  EXPECT_THAT(Rendered("{% for n in [1] recursive %}{{ loop([1]) }}{% endfor %}"),
              HasSubstr("recurs deeper than"));
  EXPECT_THAT(Rendered(std::string((std::size_t{1} << 20) + 1, 'a')),
              HasSubstr("at most 1048576 bytes"));
  EXPECT_THAT(Rendered("\xFF"), HasSubstr("must be UTF-8"));
}

// A text that is twice as long to make as it is to hold: 2^100 steps, if nothing is counted.
TEST(Template, ComparingAndPrintingSharedValuesIsPaidForEachTime) {
  const std::string grow =
      "{% set n = namespace(s=[]) %}{% for i in range(90) %}{% set n.s = [n.s, n.s] %}{% endfor %}";
  for (const char* use : {"{{ n.s }}",
                          "{{ n.s|tojson }}",
                          "{{ n.s == n.s }}",
                          "{{ n.s < n.s }}",
                          "{{ n.s in [n.s] }}"}) {
    EXPECT_THAT(Rendered(grow + use, Json::object(), {.steps = 100'000}), HasSubstr("t: line 1: "))
        << use;
  }
}

TEST(Template, NamespacesThatHoldEachOtherAreLetGo) {
  EXPECT_EQ(Rendered("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ "
                     "a.b.a.b.a is defined }}"),
            "True");
  EXPECT_EQ(
      Rendered(
          "{% set a = namespace() %}{% macro f() %}x{% endmacro %}{% set a.f = f %}{{ a.f() }}"),
      "x");
}

TEST(Template, ReadsVariablesAsTheyCome) {
  Json variables;
  variables["text"] = "a\xFF\xC3\xA9";
  variables["z"] = {{"y", 1}, {"a", nullptr}, {"b", 1.0}};
  EXPECT_EQ(Rendered("{{ text }}{{ text|length }}{{ z }}", variables),
            "a\xEF\xBF\xBD\xC3\xA9"
            "3{'y': 1, 'a': None, 'b': 1.0}");
  EXPECT_THAT(Rendered("{{ messages[0].role }}"), HasSubstr("'messages' is undefined"));
}

TEST(Template, GenerationBlocksAreToldInBytes) {
  const auto parsed =
      Template::Parse("t", "\xC3\xA9{% generation %}{{ 'x' }}\xC3\xA9{% endgeneration %}!");
  ASSERT_TRUE(parsed);
  EXPECT_TRUE(parsed->marks_generation());
  const auto rendering = parsed->Render(Json::object(), TimeOf(0));
  ASSERT_TRUE(rendering);
  EXPECT_EQ(rendering->generations, (std::vector<std::pair<std::size_t, std::size_t>>{{2, 5}}));
  EXPECT_FALSE(Template::Parse("t", "x")->marks_generation());
}

}  // namespace
}  // namespace dashf::jinja
