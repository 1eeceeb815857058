#include "jinja/template.h"

#include <fmt/format.h>

#include "jinja/interpreter.h"
#include "jinja/parser.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

Value FromJson(const nlohmann::ordered_json& json, Budget& budget) {
  const Descent descent(budget);
  budget.Spend();
  switch (json.type()) {
    case nlohmann::json::value_t::boolean:
      return MakeBool(json.get<bool>());
    case nlohmann::json::value_t::number_integer:
      return MakeInteger(json.get<std::int64_t>());
    case nlohmann::json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > std::uint64_t{INT64_MAX}) {
        throw Failure{"an integer does not fit 64 bits"};
      }
      return MakeInteger(json.get<std::int64_t>());
    case nlohmann::json::value_t::number_float:
      return MakeFloat(json.get<double>());
    case nlohmann::json::value_t::string:
      return MakeText(ValidUtf8(json.get_ref<const std::string&>()), budget);
    case nlohmann::json::value_t::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(FromJson(item, budget));
      return MakeList(std::move(items), budget);
    }
    case nlohmann::json::value_t::object: {
      std::vector<std::pair<Value, Value>> items;
      for (const auto& [key, item] : json.items()) {
        items.emplace_back(MakeText(ValidUtf8(key), budget), FromJson(item, budget));
      }
      return MakeMapping(std::move(items), budget);
    }
    default:
      return MakeNone();
  }
}

tl::unexpected<Error> ErrorOf(const std::string& name, const Failure& failure, int line) {
  return Fail(ErrorKind::kBadInput,
              fmt::format("{}: line {}", name, failure.line > 0 ? failure.line : line),
              failure.rule);
}

}  // namespace

Expected<Template> Template::Parse(const std::string& name, std::string_view source) {
  if (source.size() > kSourceBytesMax) {
    return Fail(
        ErrorKind::kBadInput,
        name,
        fmt::format(
            "a template must have at most {} bytes, got {}", kSourceBytesMax, source.size()));
  }
  if (ValidUtf8(source) != source) {
    return Fail(ErrorKind::kBadInput, name, "a template must be UTF-8");
  }
  try {
    return Template(name, std::make_shared<const Program>(ParseProgram(source)));
  } catch (const Failure& failure) {
    return ErrorOf(name, failure, 1);
  }
}

Expected<Rendering> Template::Render(const nlohmann::ordered_json& variables,
                                     const std::tm& now,
                                     const Limits& limits) const {
  Budget budget(limits);
  try {
    Interpreter::Variables values;
    for (const auto& [name, json] : variables.items()) values[name] = FromJson(json, budget);
    Interpreter interpreter(*program_, std::move(values), now, budget);
    Rendering rendering;
    rendering.text = interpreter.Run();
    rendering.generations = interpreter.generations();
    return rendering;
  } catch (const Failure& failure) {
    return ErrorOf(name_, failure, budget.line);
  }
}

bool Template::marks_generation() const {
  return program_->marks_generation;
}

}  // namespace dashf::jinja
