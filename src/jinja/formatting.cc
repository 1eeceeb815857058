// Python's two ways to put values into a text, and json.dumps.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "jinja/operators.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

// [fill and alignment][sign][#][0][width][.precision][type]: what both ways share.
struct Conversion {
  char align = '\0';            // '<', '>', '^', '='; '\0': as the type has it.
  std::string_view fill = " ";  // One character.
  char sign = '-';
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = '\0';
};

std::int64_t Digits(std::string_view* text) {  // -1: none.
  std::int64_t number = -1;
  while (!text->empty() && text->front() >= '0' && text->front() <= '9') {
    number = std::max<std::int64_t>(number, 0) * 10 + (text->front() - '0');
    if (number > 100'000) throw Failure{"a format's width is beyond 100000"};
    text->remove_prefix(1);
  }
  return number;
}

std::string Padded(const Conversion& how, std::string_view text, char align) {
  const auto size = static_cast<std::int64_t>(CharacterCount(text));
  const std::int64_t missing = std::max<std::int64_t>(how.width - size, 0);
  const std::int64_t left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  std::string padded;
  const bool inside = align == '=' && (text.starts_with('-') || text.starts_with('+'));
  if (inside) padded += text[0];
  for (std::int64_t i = 0; i < left; ++i) padded += how.fill;
  padded += text.substr(inside ? 1 : 0);
  for (std::int64_t i = left; i < missing; ++i) padded += how.fill;
  return padded;
}

std::string Number(const Conversion& how, const Value& value) {
  std::string digits;
  if (how.type == 'd') {
    digits = fmt::format("{}", value.whole());
  } else {
    const int precision = how.precision < 0 ? 6 : static_cast<int>(how.precision);
    const double number = value.number();
    if (!std::isfinite(number)) throw Failure{"formatting nan or inf is not supported"};
    digits = how.type == 'e' ? fmt::format("{:.{}e}", number, precision)
                             : fmt::format("{:.{}f}", number, precision);
  }
  if (how.sign == '+' && !digits.starts_with('-')) digits.insert(digits.begin(), '+');
  return digits;
}

// The flags, width and type behind a '%'.
Conversion PercentConversion(std::string_view* format) {
  Conversion how;
  for (; !format->empty(); format->remove_prefix(1)) {
    const char flag = format->front();
    if (flag == '-') {
      how.align = '<';
    } else if (flag == '0') {
      how.fill = how.align == '<' ? " " : "0";
    } else if (flag == '+') {
      how.sign = '+';
    } else {
      break;
    }
  }
  how.width = std::max<std::int64_t>(Digits(format), 0);
  if (format->starts_with('.')) {
    format->remove_prefix(1);
    how.precision = std::max<std::int64_t>(Digits(format), 0);
  }
  if (format->empty()) throw Failure{"incomplete format"};
  how.type = format->front();
  format->remove_prefix(1);
  return how;
}

std::string Percent(Conversion how, const Value& value, Budget& budget) {
  if (how.type == 's' || how.type == 'r') {
    std::string text = how.type == 's' ? Str(value, budget) : Repr(value, budget);
    if (how.precision >= 0) {
      text.resize(ByteOffset(text, static_cast<std::size_t>(how.precision)));
    }
    how.fill = " ";
    return Padded(how, text, how.align == '<' ? '<' : '>');
  }
  if (how.type == 'i' || how.type == 'u') how.type = 'd';
  const bool whole = how.type == 'd' && value.IsWhole() && how.precision < 0;
  const bool real = (how.type == 'f' || how.type == 'e') && value.IsNumber();
  if (!whole && !real) {
    throw Failure{
        fmt::format("the format %{} of '{}' is not supported", how.type, TypeName(value))};
  }
  if (how.align == '<') how.fill = " ";
  return Padded(how, Number(how, value), how.align == '<' ? '<' : how.fill == "0" ? '=' : '>');
}

// The format after the colon in braces.
Conversion BraceConversion(std::string_view spec) {
  Conversion how;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
  if (!spec.empty()) {
    const std::size_t first = FirstCharacter(spec).bytes;
    if (spec.size() > first && is_align(spec[first])) {
      how.fill = spec.substr(0, first);
      how.align = spec[first];
      spec.remove_prefix(first + 1);
    } else if (is_align(spec[0])) {
      how.align = spec[0];
      spec.remove_prefix(1);
    }
  }
  if (spec.starts_with('+') || spec.starts_with('-')) {
    how.sign = spec[0];
    spec.remove_prefix(1);
  }
  if (spec.starts_with('0') && how.align == '\0') {
    how.align = '=';
    how.fill = "0";
    spec.remove_prefix(1);
  }
  how.width = std::max<std::int64_t>(Digits(&spec), 0);
  if (spec.starts_with('.')) {
    spec.remove_prefix(1);
    how.precision = std::max<std::int64_t>(Digits(&spec), 0);
  }
  if (spec.size() == 1) {
    how.type = spec[0];
  } else if (!spec.empty()) {
    throw Failure{fmt::format("the format '{}' is not supported", spec)};
  }
  return how;
}

std::string Braces(const Value& value, std::string_view spec, Budget& budget) {
  if (spec.empty()) return Str(value, budget);
  Conversion how = BraceConversion(spec);
  if (value.IsText() && (how.type == '\0' || how.type == 's') && how.align != '=') {
    std::string text(value.text());
    if (how.precision >= 0) {
      text.resize(ByteOffset(text, static_cast<std::size_t>(how.precision)));
    }
    return Padded(how, text, how.align == '\0' ? '<' : how.align);
  }
  if (how.type == '\0' && value.Is<std::int64_t>() && how.precision < 0) how.type = 'd';
  const bool whole = how.type == 'd' && value.IsWhole() && how.precision < 0;
  const bool real = (how.type == 'f' || how.type == 'e') && value.IsNumber();
  if (!whole && !real) {
    throw Failure{fmt::format("the format '{}' of '{}' is not supported", spec, TypeName(value))};
  }
  return Padded(how, Number(how, value), how.align == '\0' ? '>' : how.align);
}

// "", "0" or "name", then ".name" or "[key]" any number of times.
Value Field(std::string_view field,
            const Arguments& arguments,
            std::size_t* automatic,
            Budget& budget) {
  const std::size_t end = std::min(field.find_first_of(".["), field.size());
  std::string_view first = field.substr(0, end);
  Value value;
  const bool number = std::ranges::all_of(first, [](char c) { return c >= '0' && c <= '9'; });
  if (number) {
    const bool counts = first.empty();
    const std::size_t index = counts ? (*automatic)++ : static_cast<std::size_t>(Digits(&first));
    if (index >= arguments.positional.size()) throw Failure{"format has too few arguments"};
    value = arguments.positional[index];
  } else {
    const auto found = std::ranges::find_if(
        arguments.named, [first](const auto& each) { return each.first == first; });
    if (found == arguments.named.end()) {
      throw Failure{fmt::format("format has no argument '{}'", first)};
    }
    value = found->second;
  }
  field.remove_prefix(end);
  while (!field.empty()) {
    const bool item = field[0] == '[';
    field.remove_prefix(1);
    const std::size_t length =
        std::min(item ? field.find(']') : field.find_first_of(".["), field.size());
    std::string_view key = field.substr(0, length);
    field.remove_prefix(std::min(length + (item ? 1 : 0), field.size()));
    if (key.empty()) throw Failure{"empty attribute in a format"};
    if (!item) {
      value = GetAttribute(value, key, budget);
    } else if (std::ranges::all_of(key, [](char c) { return c >= '0' && c <= '9'; })) {
      value = GetItem(value, MakeInteger(Digits(&key)), budget);
    } else {
      value = GetItem(value, MakeText(std::string(key), budget), budget);
    }
  }
  return value;
}

void AppendJsonText(std::string_view text, bool ascii, std::string* json) {
  *json += '"';
  for (; !text.empty(); text.remove_prefix(FirstCharacter(text).bytes)) {
    const auto code = static_cast<std::uint32_t>(FirstCharacter(text).code);
    constexpr std::string_view kFrom = "\"\\\b\f\n\r\t", kTo = "\"\\bfnrt";
    const std::size_t named =
        code < 0x80 ? kFrom.find(static_cast<char>(code)) : std::string_view::npos;
    if (named != std::string_view::npos) {
      *json += '\\';
      *json += kTo[named];
    } else if (code < 0x20 || (ascii && code > 0x7E && code < 0x10000)) {
      *json += fmt::format("\\u{:04x}", code);
    } else if (ascii && code >= 0x10000) {
      const std::uint32_t rest = code - 0x10000;
      *json += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
    } else {
      AppendUtf8(code, json);
    }
  }
  *json += '"';
}

class JsonDump {
 public:
  JsonDump(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}

  std::string Run(const Value& value) {
    Put(value, 1);
    return std::move(json_);
  }

 private:
  void Put(const Value& value, int level) {
    const Descent descent(budget_);
    budget_.Spend();
    if (value.Is<None>()) {
      json_ += "null";
    } else if (value.Is<bool>()) {
      json_ += std::get<bool>(value.data) ? "true" : "false";
    } else if (value.IsNumber()) {
      json_ += NumberText(value);
    } else if (value.IsText()) {
      AppendJsonText(value.text(), style_.ensure_ascii, &json_);
    } else if (value.mapping() != nullptr) {
      PutMapping(*value.mapping(), level);
    } else if (value.sequence() != nullptr && value.sequence()->kind <= SequenceKind::kTuple) {
      bool first = true;
      for (const Value& item : value.sequence()->items) {
        Separate(first, '[', level);
        first = false;
        Put(item, level + 1);
      }
      End(first, '[', ']', level);
    } else {
      throw Failure{fmt::format("Object of type {} is not JSON serializable", TypeName(value))};
    }
    budget_.SpendBytes(json_.size() > limit_ ? json_.size() - limit_ : 0);
    limit_ = std::max(limit_, json_.size());
    if (json_.size() > budget_.limits().bytes) budget_.SpendBytes(json_.size());  // Fails.
  }

  std::string NumberText(const Value& value) {
    if (value.Is<double>() && std::isnan(value.number())) return "NaN";
    if (value.Is<double>() && std::isinf(value.number())) {
      return value.number() > 0 ? "Infinity" : "-Infinity";
    }
    return Repr(value, budget_);
  }

  void PutMapping(const Mapping& mapping, int level) {
    std::vector<std::pair<Value, Value>> items = mapping.items;
    if (style_.sort_keys) {
      budget_.Spend(items.size() * 8);
      for (std::size_t i = 1; i < items.size(); ++i) {  // Insertion: few keys, mostly sorted.
        for (std::size_t j = i; j > 0 && Compare(items[j].first, items[j - 1].first, budget_) < 0;
             --j) {
          std::swap(items[j], items[j - 1]);
        }
      }
    }
    bool first = true;
    for (const auto& [key, value] : items) {
      Separate(first, '{', level);
      first = false;
      PutKey(key);
      json_ += style_.key_separator;
      Put(value, level + 1);
    }
    End(first, '{', '}', level);
  }

  void PutKey(const Value& key) {
    if (key.IsText()) return AppendJsonText(key.text(), style_.ensure_ascii, &json_);
    std::string text;
    if (key.Is<None>()) {
      text = "null";
    } else if (key.Is<bool>()) {
      text = std::get<bool>(key.data) ? "true" : "false";
    } else if (key.IsNumber()) {
      text = NumberText(key);
    } else {
      throw Failure{fmt::format("a key of JSON must not be a {}", TypeName(key))};
    }
    AppendJsonText(text, style_.ensure_ascii, &json_);
  }

  void Separate(bool first, char open, int level) {
    if (first) {
      json_ += open;
    } else {
      json_ += style_.item_separator;
    }
    if (style_.indent) NewLine(level);
  }
  void End(bool empty, char open, char close, int level) {
    if (empty) {
      json_ += open;
    } else if (style_.indent) {
      NewLine(level - 1);
    }
    json_ += close;
  }
  void NewLine(int level) {
    json_ += '\n';
    budget_.SpendBytes(style_.indent->size() * static_cast<std::size_t>(level));
    for (int i = 0; i < level; ++i) json_ += *style_.indent;
  }

  const JsonStyle& style_;
  Budget& budget_;
  std::string json_;
  std::size_t limit_ = 0;  // Bytes paid for.
};

}  // namespace

std::string FormatPercent(std::string_view format, const Value& arguments, Budget& budget) {
  const Sequence* tuple = arguments.sequence();
  if (tuple != nullptr && tuple->kind != SequenceKind::kTuple) tuple = nullptr;
  const std::size_t count = tuple == nullptr ? 1 : tuple->items.size();
  std::size_t used = 0;
  std::string text;
  while (!format.empty()) {
    const std::size_t mark = std::min(format.find('%'), format.size());
    text += format.substr(0, mark);
    format.remove_prefix(mark);
    if (format.empty()) break;
    format.remove_prefix(1);
    if (format.starts_with('(')) throw Failure{"formats with %(name) are not supported"};
    const Conversion how = PercentConversion(&format);
    if (how.type == '%') {
      text += '%';
      continue;
    }
    if (used == count) throw Failure{"not enough arguments for format string"};
    text += Percent(how, tuple == nullptr ? arguments : tuple->items[used], budget);
    ++used;
    budget.SpendBytes(text.size());
  }
  const bool may_be_left =
      tuple == nullptr && (arguments.mapping() != nullptr || arguments.sequence() != nullptr);
  if (used < count && !may_be_left) {
    throw Failure{"not all arguments converted during string formatting"};
  }
  return text;
}

std::string FormatBraces(std::string_view format, const Arguments& arguments, Budget& budget) {
  std::string text;
  std::size_t automatic = 0;
  while (!format.empty()) {
    const char c = format[0];
    if (c != '{' && c != '}') {
      const std::size_t end = std::min(format.find_first_of("{}"), format.size());
      text += format.substr(0, end);
      format.remove_prefix(end);
      continue;
    }
    if (format.size() > 1 && format[1] == c) {
      text += c;
      format.remove_prefix(2);
      continue;
    }
    const std::size_t end = format.find('}');
    if (c == '}' || end == std::string_view::npos) throw Failure{"single brace in a format"};
    std::string_view field = format.substr(1, end - 1);
    format.remove_prefix(end + 1);
    if (field.find('{') != std::string_view::npos) {
      throw Failure{"formats within formats are not supported"};
    }
    const std::size_t colon = std::min(field.find(':'), field.size());
    std::string_view name = field.substr(0, colon);
    const std::string_view spec = field.substr(std::min(colon + 1, field.size()));
    const bool repr = name.ends_with("!r");
    if (repr || name.ends_with("!s")) name.remove_suffix(2);
    Value value = Field(name, arguments, &automatic, budget);
    if (repr) value = MakeText(Repr(value, budget), budget);
    text += Braces(value, spec, budget);
    budget.SpendBytes(text.size());
  }
  return text;
}

std::string DumpJson(const Value& value, const JsonStyle& style, Budget& budget) {
  return JsonDump(style, budget).Run(value);
}

}  // namespace dashf::jinja
