// Python's operators, attributes and subscripts, as the reference's sandbox lets templates use
// them. Internal to this module.
#pragma once

#include <string_view>

#include "jinja/value.h"

namespace dashf::jinja {

// sign: + - * / // % **. Integers beyond 64 bits are refused.
Value Arithmetic(std::string_view sign, const Value& left, const Value& right, Budget& budget);
Value Negated(const Value& value);

// subject.name: Python's attribute, or else the item of that name, or else Undefined.
Value GetAttribute(const Value& subject, std::string_view name, Budget& budget);
// subject[key]: the item, or else the attribute of that name, or else Undefined.
Value GetItem(const Value& subject, const Value& key, Budget& budget);
// subject[begin:end:step]; null: left out.
Value GetSlice(
    const Value& subject, const Value* begin, const Value* end, const Value* step, Budget& budget);
Value Call(const Value& function, Arguments arguments, Budget& budget);

// `format` % arguments (a tuple, or one value), and format.format(arguments).
std::string FormatPercent(std::string_view format, const Value& arguments, Budget& budget);
std::string FormatBraces(std::string_view format, const Arguments& arguments, Budget& budget);

// A str's, list's, tuple's or dict's method; nothing where Python has none of that name.
std::optional<Value> Method(const Value& subject, std::string_view name, Budget& budget);

// json.dumps.
struct JsonStyle {
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
  bool ensure_ascii = false;
  bool sort_keys = false;
};
std::string DumpJson(const Value& value, const JsonStyle& style, Budget& budget);

}  // namespace dashf::jinja
