#include "jinja/filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/sequence_filters.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

std::string_view Trimmed(std::string_view text) {
  return Strip(text, std::nullopt, Side::kBoth);
}

// Python's int(text, base); nothing where it raises ValueError.
std::optional<std::int64_t> ParseInteger(std::string_view text, std::int64_t base) {
  std::string digits(Trimmed(text));
  bool negative = false;
  if (digits.starts_with('+') || digits.starts_with('-')) {
    negative = digits[0] == '-';
    digits.erase(0, 1);
  }
  const char mark =
      digits.size() > 1 && digits[0] == '0' ? static_cast<char>(digits[1] | 0x20) : '\0';
  const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (marked != 0 && (base == marked || base == 0)) {
    digits.erase(0, 2);
    base = marked;
    if (digits.starts_with('_')) digits.erase(0, 1);
  }
  if (base == 0) throw Failure{"int with base 0 is not supported"};
  if (base < 2 || base > 36) return std::nullopt;
  if (digits.starts_with('_') || digits.ends_with('_') || digits.find("__") != std::string::npos) {
    return std::nullopt;
  }
  std::erase(digits, '_');
  if (digits.empty() || digits[0] == '-' || !IsAscii(digits)) return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, static_cast<int>(base));
  if (end != digits.data() + digits.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range) throw Failure{"an integer does not fit 64 bits"};
  if (error != std::errc()) return std::nullopt;
  return negative ? -number : number;
}

// Python's float(text).
std::optional<double> ParseFloat(std::string_view text) {
  std::string number(Trimmed(text));
  if (number.find('_') != std::string::npos) throw Failure{"a number with '_' is not supported"};
  std::string_view rest = number;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if (rest.empty() || rest.starts_with('+') || (rest[0] == '-' && number[0] == '+')) {
    return std::nullopt;
  }
  double value = 0.0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (end != rest.data() + rest.size() || rest.find('(') != std::string_view::npos) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) return std::strtod(number.c_str(), nullptr);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> Truncated(double number) {
  if (!std::isfinite(number)) return std::nullopt;
  if (std::abs(number) >= 9.2e18) throw Failure{"an integer does not fit 64 bits"};
  return static_cast<std::int64_t>(number);
}

void RefuseUndefined(const Value& value) {
  if (value.Is<Undefined>()) throw Failure{*std::get<Undefined>(value.data).why};
}

Value FilterInt(Arguments arguments, Budget&) {
  const Parameters given("int", {"value", "default", "base"}, std::move(arguments), 1);
  RefuseUndefined(given[0]);
  std::optional<std::int64_t> number;
  if (given[0].IsText()) {
    number = ParseInteger(given[0].text(), given.Integer(2, 10));
    if (!number) {
      if (const auto real = ParseFloat(given[0].text())) number = Truncated(*real);
    }
  } else if (given[0].IsWhole()) {
    number = given[0].whole();
  } else if (given[0].Is<double>()) {
    number = Truncated(given[0].number());
    if (!number && std::isinf(given[0].number())) {
      throw Failure{"cannot convert float infinity to integer"};
    }
  }
  if (number) return MakeInteger(*number);
  return given.Get(1) == nullptr ? MakeInteger(0) : given[1];
}

Value FilterFloat(Arguments arguments, Budget&) {
  const Parameters given("float", {"value", "default"}, std::move(arguments), 1);
  RefuseUndefined(given[0]);
  if (given[0].IsNumber()) return MakeFloat(given[0].number());
  if (given[0].IsText()) {
    if (const auto number = ParseFloat(given[0].text())) return MakeFloat(*number);
  }
  return given.Get(1) == nullptr ? MakeFloat(0.0) : given[1];
}

Value FilterAbs(Arguments arguments, Budget&) {
  const Parameters given("abs", {"value"}, std::move(arguments), 1);
  RefuseUndefined(given[0]);
  if (given[0].Is<double>()) return MakeFloat(std::abs(given[0].number()));
  if (!given[0].IsWhole()) throw Failure{"abs needs a number"};
  return given[0].whole() < 0 ? Negated(given[0]) : MakeInteger(given[0].whole());
}

Value FilterRound(Arguments arguments, Budget&) {
  const Parameters given("round", {"value", "precision", "method"}, std::move(arguments), 1);
  RefuseUndefined(given[0]);
  const std::string_view method = given.TextIfAny(2).value_or("common");
  const std::int64_t precision = given.Integer(1, 0);
  if (!given[0].IsNumber() || precision < 0 || precision > 20) {
    throw Failure{"round needs a number and a precision of 0 to 20"};
  }
  if (method == "common") {
    if (given[0].IsWhole()) return MakeInteger(given[0].whole());
    // Decimal digits of the exact value, rounded half to even, as Python's round.
    const std::string text = fmt::format("{:.{}f}", given[0].number(), static_cast<int>(precision));
    return MakeFloat(std::strtod(text.c_str(), nullptr));
  }
  if (method != "ceil" && method != "floor") {
    throw Failure{"method must be common, ceil or floor"};
  }
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = given[0].number() * scale;
  return MakeFloat((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

std::string SoftText(const Parameters& given, Budget& budget) {
  return Str(given[0], budget);
}

Value FilterString(Arguments arguments, Budget& budget) {
  const Parameters given("string", {"value"}, std::move(arguments), 1);
  return given[0].IsText() ? given[0] : MakeText(SoftText(given, budget), budget);
}

template <std::string (*Change)(std::string_view), bool keeps_safe>
Value FilterCase(Arguments arguments, Budget& budget) {
  const Parameters given("upper, lower, capitalize and title", {"s"}, std::move(arguments), 1);
  return MakeText(Change(SoftText(given, budget)), budget, keeps_safe && given[0].IsSafe());
}

Value FilterTrim(Arguments arguments, Budget& budget) {
  const Parameters given("trim", {"value", "chars"}, std::move(arguments), 1);
  const std::string text = SoftText(given, budget);
  return MakeText(
      std::string(Strip(text, given.TextIfAny(1), Side::kBoth)), budget, given[0].IsSafe());
}

Value FilterReplace(Arguments arguments, Budget& budget) {
  const Parameters given("replace", {"s", "old", "new", "count"}, std::move(arguments), 3);
  const std::string text = SoftText(given, budget);
  const std::string old = Str(given[1], budget), by = Str(given[2], budget);
  const bool all = given.Get(3) == nullptr || given[3].Is<None>();
  budget.SpendBytes(text.size() + Count(text, old) * by.size());
  return MakeText(Replaced(text, old, by, all ? -1 : given.Integer(3, -1)), budget);
}

Value FilterIndent(Arguments arguments, Budget& budget) {
  const Parameters given("indent", {"s", "width", "first", "blank"}, std::move(arguments), 1);
  if (!given[0].IsText()) throw Failure{"indent needs a string"};
  std::string indention;
  if (given.Get(1) != nullptr && given[1].IsText()) {
    indention = given[1].text();
  } else {
    const auto width = static_cast<std::size_t>(std::max<std::int64_t>(given.Integer(1, 4), 0));
    budget.SpendBytes(width);
    indention.assign(width, ' ');
  }
  const std::string text = std::string(given[0].text()) + "\n";
  const std::vector<std::string_view> lines = SplitLines(text, false);
  budget.SpendBytes(text.size());
  if (!indention.empty() && lines.size() > budget.limits().bytes / indention.size()) {
    budget.SpendBytes(budget.limits().bytes + 1);  // Fails.
  }
  std::string result;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) result += '\n';
    const bool indents = i == 0 ? given.Flag(2, false) : given.Flag(3, false) || !lines[i].empty();
    if (indents) result += indention;
    result += lines[i];
  }
  return MakeText(std::move(result), budget, given[0].IsSafe());
}

Value FilterCenter(Arguments arguments, Budget& budget) {
  const Parameters given("center", {"value", "width"}, std::move(arguments), 1);
  const Value text = MakeText(SoftText(given, budget), budget);
  Arguments width;
  width.positional.push_back(MakeInteger(given.Integer(1, 80)));
  return Call(*Method(text, "center", budget), std::move(width), budget);
}

Value FilterTruncate(Arguments arguments, Budget& budget) {
  const Parameters given(
      "truncate", {"s", "length", "killwords", "end", "leeway"}, std::move(arguments), 1);
  if (!given[0].IsText() || given[0].IsSafe()) throw Failure{"truncate needs a string"};
  const std::string_view text = given[0].text(), end = given.TextIfAny(3).value_or("...");
  const std::int64_t length = given.Integer(1, 255), leeway = given.Integer(4, 5);
  const auto end_length = static_cast<std::int64_t>(CharacterCount(end));
  if (length < end_length || leeway < 0) throw Failure{"truncate needs a length beyond its end's"};
  const auto size = static_cast<std::int64_t>(CharacterCount(text));
  if (size <= length || size - length <= leeway) return given[0];
  std::string_view kept =
      text.substr(0, ByteOffset(text, static_cast<std::size_t>(length - end_length)));
  if (!given.Flag(2, false)) kept = Split(kept, " ", 1, /*from_right=*/true).front();
  return MakeText(std::string(kept) + std::string(end), budget);
}

Value FilterFormat(Arguments arguments, Budget& budget) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    throw Failure{"format with named values is not supported"};
  }
  const std::string text = Str(arguments.positional[0], budget);
  std::vector<Value> values(arguments.positional.begin() + 1, arguments.positional.end());
  return MakeText(FormatPercent(text, MakeTuple(std::move(values), budget), budget), budget);
}

Value FilterLength(Arguments arguments, Budget& budget) {
  const Parameters given("length", {"obj"}, std::move(arguments), 1);
  if (const auto length = Length(given[0], budget)) return MakeInteger(*length);
  throw Failure{fmt::format("object of type '{}' has no len()", TypeName(given[0]))};
}

Value FilterDefault(Arguments arguments, Budget& budget) {
  const Parameters given("default", {"value", "default_value", "boolean"}, std::move(arguments), 1);
  const bool takes = given[0].Is<Undefined>() || (given.Flag(2, false) && !Truth(given[0]));
  if (!takes) return given[0];
  return given.Get(1) == nullptr ? MakeText("", budget) : given[1];
}

Value FilterItems(Arguments arguments, Budget& budget) {
  const Parameters given("items", {"value"}, std::move(arguments), 1);
  std::vector<Value> items;
  if (const Mapping* mapping = given[0].mapping()) {
    for (const auto& [key, value] : mapping->items) {
      items.push_back(MakeTuple({key, value}, budget));
    }
  } else if (!given[0].Is<Undefined>()) {
    throw Failure{"Can only get item pairs from a mapping."};
  }
  return MakeIteration(std::move(items), budget);
}

Value FilterList(Arguments arguments, Budget& budget) {
  const Parameters given("list", {"value"}, std::move(arguments), 1);
  return MakeList(Items(given[0], budget), budget);
}

Value FilterSafe(Arguments arguments, Budget& budget) {
  const Parameters given("safe", {"value"}, std::move(arguments), 1);
  return MakeText(SoftText(given, budget), budget, /*safe=*/true);
}

Value FilterEscape(Arguments arguments, Budget& budget) {
  const Parameters given("escape", {"value"}, std::move(arguments), 1);
  if (given[0].IsSafe()) return given[0];
  return MakeText(EscapedHtml(SoftText(given, budget)), budget, /*safe=*/true);
}

Value FilterToJson(Arguments arguments, Budget& budget) {
  const Parameters given("tojson",
                         {"x", "ensure_ascii", "indent", "separators", "sort_keys"},
                         std::move(arguments),
                         1);
  JsonStyle style;
  style.ensure_ascii = given.Flag(1, false);
  style.sort_keys = given.Flag(4, false);
  if (given.Get(2) != nullptr && !given[2].Is<None>()) {
    if (given[2].IsText()) {
      style.indent = std::string(given[2].text());
    } else {
      const std::int64_t width = std::max<std::int64_t>(given.Integer(2, 0), 0);
      if (width > 1000) throw Failure{"tojson indents by 1000 at most"};
      style.indent = std::string(static_cast<std::size_t>(width), ' ');
    }
    style.item_separator.pop_back();  // Lines end without a blank.
  }
  if (given.Get(3) != nullptr && !given[3].Is<None>()) {
    const std::vector<Value> both = Items(given[3], budget);
    if (both.size() != 2 || !both[0].IsText() || !both[1].IsText()) {
      throw Failure{"tojson needs two strings as separators"};
    }
    style.item_separator = both[0].text();
    style.key_separator = both[1].text();
  }
  return MakeText(DumpJson(given[0], style, budget), budget);
}

const std::map<std::string_view, FilterFunction>& Filters() {
  static const std::map<std::string_view, FilterFunction> kFilters = {
      {"abs", FilterAbs},
      {"batch", FilterBatch},
      {"capitalize", FilterCase<Capitalized, true>},
      {"center", FilterCenter},
      {"count", FilterLength},
      {"d", FilterDefault},
      {"default", FilterDefault},
      {"dictsort", FilterDictSort},
      {"e", FilterEscape},
      {"escape", FilterEscape},
      {"first", FilterFirst},
      {"float", FilterFloat},
      {"format", FilterFormat},
      {"indent", FilterIndent},
      {"int", FilterInt},
      {"items", FilterItems},
      {"join", FilterJoin},
      {"last", FilterLast},
      {"length", FilterLength},
      {"list", FilterList},
      {"lower", FilterCase<Lower, true>},
      {"map", FilterMap},
      {"max", FilterMaximum},
      {"min", FilterMinimum},
      {"reject", FilterReject},
      {"rejectattr", FilterRejectAttribute},
      {"replace", FilterReplace},
      {"reverse", FilterReverse},
      {"round", FilterRound},
      {"safe", FilterSafe},
      {"select", FilterSelect},
      {"selectattr", FilterSelectAttribute},
      {"slice", FilterSlice},
      {"sort", FilterSort},
      {"string", FilterString},
      {"sum", FilterSum},
      {"title", FilterCase<TitleFilter, false>},
      {"tojson", FilterToJson},
      {"trim", FilterTrim},
      {"truncate", FilterTruncate},
      {"unique", FilterUnique},
      {"upper", FilterCase<Upper, true>},
  };
  return kFilters;
}

constexpr std::string_view kOthers[] = {  // Jinja2's that are not carried out.
    "attr",
    "filesizeformat",
    "forceescape",
    "groupby",
    "pprint",
    "random",
    "striptags",
    "urlencode",
    "urlize",
    "wordcount",
    "wordwrap",
    "xmlattr"};

}  // namespace

bool IsFilter(std::string_view name) {
  return Filters().contains(name) || std::ranges::find(kOthers, name) != std::end(kOthers);
}

void CheckFilterName(std::string_view name, bool conditional, int line) {
  if (conditional || Filters().contains(name)) return;
  throw Failure{IsFilter(name) ? fmt::format("the filter '{}' is not supported", name)
                               : fmt::format("there is no filter '{}'", name),
                line};
}

Value ApplyFilter(std::string_view name, Arguments arguments, Budget& budget) {
  const auto found = Filters().find(name);
  if (found == Filters().end()) CheckFilterName(name, false, 0);
  const Descent descent(budget);
  budget.Spend();
  return found->second(std::move(arguments), budget);
}

}  // namespace dashf::jinja
