// The methods of str, list, tuple and dict.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jinja/arguments.h"
#include "jinja/operators.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

using Names = std::initializer_list<std::string_view>;

bool IsIn(std::string_view name, Names names) {
  return std::ranges::find(names, name) != names.end();
}

Value MethodOf(const Value& subject, Function::Body body) {
  auto method = std::make_shared<Function>(std::move(body));
  method->depth = subject.sequence() != nullptr  ? subject.sequence()->depth + 1
                  : subject.mapping() != nullptr ? subject.mapping()->depth + 1
                                                 : 1;
  return MakeObject(std::move(method));
}

// Part of a text, given as code points, as str.find's and startswith's second and third argument.
std::string_view Part(std::string_view text, const Parameters& given, std::size_t first) {
  const auto size = static_cast<std::int64_t>(CharacterCount(text));
  const auto bound = [&](std::size_t index, std::int64_t otherwise) {
    std::int64_t at = given.Get(index) == nullptr || given[index].Is<None>()
                          ? otherwise
                          : given.Integer(index, otherwise);
    if (at < 0) at = at < -size ? 0 : at + size;
    return at;
  };
  const std::int64_t begin = bound(first, 0), end = std::min(bound(first + 1, size), size);
  if (begin > end) return {nullptr, 0};
  const std::size_t from = ByteOffset(text, static_cast<std::size_t>(begin));
  return text.substr(from, ByteOffset(text, static_cast<std::size_t>(end)) - from);
}

std::string_view RequiredText(const Parameters& given, std::size_t index) {
  const auto text = given.TextIfAny(index);
  if (!text) throw Failure{"a string is needed, got 'NoneType'"};
  return *text;
}

Value Begins(std::string_view text, std::string_view name, Arguments arguments) {
  const Parameters given(name, {"prefix", "start", "end"}, std::move(arguments), 1);
  const std::string_view part = Part(text, given, 1);
  const auto matches = [&](const Value& affix) {
    if (!affix.IsText()) throw Failure{fmt::format("{} needs strings", name)};
    if (part.data() == nullptr) return false;
    return name == "startswith" ? part.starts_with(affix.text()) : part.ends_with(affix.text());
  };
  const Sequence* several = given[0].sequence();
  if (several == nullptr) return MakeBool(matches(given[0]));
  if (several->kind != SequenceKind::kTuple) {
    throw Failure{fmt::format("{} needs a string or a tuple of them", name)};
  }
  return MakeBool(std::ranges::any_of(several->items, matches));
}

Value Found(std::string_view text, std::string_view name, Arguments arguments) {
  const Parameters given(name, {"sub", "start", "end"}, std::move(arguments), 1);
  const std::string_view part = Part(text, given, 1), sought = RequiredText(given, 0);
  if (name == "count") {
    return MakeInteger(part.data() == nullptr ? 0 : static_cast<std::int64_t>(Count(part, sought)));
  }
  std::size_t at = std::string_view::npos;
  if (part.data() != nullptr) {
    at = name == "find" || name == "index" ? part.find(sought) : part.rfind(sought);
  }
  if (at == std::string_view::npos) {
    if (name == "index" || name == "rindex") throw Failure{"substring not found"};
    return MakeInteger(-1);
  }
  const auto before = static_cast<std::size_t>(part.data() - text.data()) + at;
  return MakeInteger(static_cast<std::int64_t>(CharacterCount(text.substr(0, before))));
}

Value SplitText(const Value& subject, std::string_view name, Arguments arguments, Budget& budget) {
  const Parameters given(name, {"sep", "maxsplit"}, std::move(arguments));
  const auto separator = given.TextIfAny(0);
  if (separator && separator->empty()) throw Failure{"empty separator"};
  std::vector<Value> parts;
  for (const std::string_view part :
       Split(subject.text(), separator, given.Integer(1, -1), name == "rsplit")) {
    parts.push_back(MakeText(std::string(part), budget, subject.IsSafe()));
  }
  return MakeList(std::move(parts), budget);
}

Value PartitionText(const Value& subject,
                    std::string_view name,
                    Arguments arguments,
                    Budget& budget) {
  const Parameters given(name, {"sep"}, std::move(arguments), 1);
  const std::string_view text = subject.text(), separator = RequiredText(given, 0);
  if (separator.empty()) throw Failure{"empty separator"};
  const bool right = name == "rpartition";
  const std::size_t at = right ? text.rfind(separator) : text.find(separator);
  const auto make = [&](std::string_view part) {
    return MakeText(std::string(part), budget, subject.IsSafe());
  };
  if (at == std::string_view::npos) {
    return right ? MakeTuple({make(""), make(""), make(text)}, budget)
                 : MakeTuple({make(text), make(""), make("")}, budget);
  }
  return MakeTuple(
      {make(text.substr(0, at)), make(separator), make(text.substr(at + separator.size()))},
      budget);
}

Value ReplaceText(const Value& subject, Arguments arguments, Budget& budget) {
  const Parameters given("replace", {"old", "new", "count"}, std::move(arguments), 2);
  const std::string_view text = subject.text();
  const std::string_view old = RequiredText(given, 0), by = RequiredText(given, 1);
  budget.SpendBytes(text.size() + Count(text, old) * by.size());
  return MakeText(Replaced(text, old, by, given.Integer(2, -1)), budget);
}

Value JoinTexts(const Value& subject, Arguments arguments, Budget& budget) {
  const Parameters given("join", {"iterable"}, std::move(arguments), 1);
  std::string joined;
  bool first = true;
  for (const Value& item : Items(given[0], budget)) {
    if (!item.IsText()) {
      throw Failure{fmt::format("join needs strings, got '{}'", TypeName(item))};
    }
    if (!first) joined += subject.text();
    first = false;
    joined += item.text();
    budget.SpendBytes(joined.size());
  }
  return MakeText(std::move(joined), budget);
}

Value PadText(const Value& subject, std::string_view name, Arguments arguments, Budget& budget) {
  const Parameters given(name, {"width", "fillchar"}, std::move(arguments), 1);
  const std::string_view text = subject.text();
  const std::string_view fill = given.TextIfAny(1).value_or(name == "zfill" ? "0" : " ");
  if (CharacterCount(fill) != 1) throw Failure{"the fill character must be one character"};
  const auto missing = given.Integer(0, 0) - static_cast<std::int64_t>(CharacterCount(text));
  if (missing <= 0) return subject;
  if (static_cast<std::uint64_t>(missing) > budget.limits().bytes) {
    budget.SpendBytes(budget.limits().bytes + 1);  // Fails.
  }
  const auto pad = static_cast<std::size_t>(missing);
  // CPython gives the odd one to the left where the width is odd.
  const std::size_t half = pad / 2 + (pad & static_cast<std::size_t>(given.Integer(0, 0)) & 1);
  const std::size_t left = name == "ljust" ? 0 : name == "center" ? half : pad;
  std::string padded;
  const bool signed_number = name == "zfill" && (text.starts_with('-') || text.starts_with('+'));
  if (signed_number) padded += text[0];
  for (std::size_t i = 0; i < left; ++i) padded += fill;
  padded += text.substr(signed_number ? 1 : 0);
  for (std::size_t i = left; i < pad; ++i) padded += fill;
  return MakeText(std::move(padded), budget);
}

Value Stripped(const Value& subject, std::string_view name, Arguments arguments, Budget& budget) {
  const Parameters given(name, {"chars"}, std::move(arguments));
  const Side side = name == "lstrip" ? Side::kLeft : name == "rstrip" ? Side::kRight : Side::kBoth;
  budget.Spend(subject.text().size() / 64);
  return MakeText(
      std::string(Strip(subject.text(), given.TextIfAny(0), side)), budget, subject.IsSafe());
}

Value WithoutAffix(const Value& subject,
                   std::string_view name,
                   Arguments arguments,
                   Budget& budget) {
  const Parameters given(name, {"affix"}, std::move(arguments), 1);
  std::string_view text = subject.text();
  const std::string_view affix = RequiredText(given, 0);
  if (name == "removeprefix" && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (name == "removesuffix" && text.ends_with(affix)) text.remove_suffix(affix.size());
  return MakeText(std::string(text), budget, subject.IsSafe());
}

Value Lines(const Value& subject, Arguments arguments, Budget& budget) {
  const Parameters given("splitlines", {"keepends"}, std::move(arguments));
  std::vector<Value> lines;
  for (const std::string_view line : SplitLines(subject.text(), given.Flag(0, false))) {
    lines.push_back(MakeText(std::string(line), budget, subject.IsSafe()));
  }
  return MakeList(std::move(lines), budget);
}

std::string WithCase(std::string_view text, std::string_view name) {
  if (name == "upper") return Upper(text);
  if (name == "lower") return Lower(text);
  return name == "title" ? Title(text) : Capitalized(text);
}

Value CallTextMethod(const Value& subject,
                     const std::string& name,
                     Arguments arguments,
                     Budget& budget) {
  budget.Spend(subject.text().size() / 64);
  if (IsIn(name, {"strip", "lstrip", "rstrip"})) {
    return Stripped(subject, name, std::move(arguments), budget);
  }
  if (name == "split" || name == "rsplit") {
    return SplitText(subject, name, std::move(arguments), budget);
  }
  if (name == "startswith" || name == "endswith") {
    return Begins(subject.text(), name, std::move(arguments));
  }
  if (IsIn(name, {"find", "rfind", "index", "rindex", "count"})) {
    return Found(subject.text(), name, std::move(arguments));
  }
  if (name == "splitlines") return Lines(subject, std::move(arguments), budget);
  if (name == "partition" || name == "rpartition") {
    return PartitionText(subject, name, std::move(arguments), budget);
  }
  if (name == "removeprefix" || name == "removesuffix") {
    return WithoutAffix(subject, name, std::move(arguments), budget);
  }
  if (IsIn(name, {"upper", "lower", "title", "capitalize"})) {
    const Parameters none(name, {}, std::move(arguments));
    return MakeText(WithCase(subject.text(), name), budget, subject.IsSafe());
  }
  if (const auto property = HasProperty(subject.text(), name)) {
    const Parameters none(name, {}, std::move(arguments));
    return MakeBool(*property);
  }
  if (subject.IsSafe()) {
    throw Failure{fmt::format("the method '{}' of a safe string is not supported", name)};
  }
  if (name == "replace") return ReplaceText(subject, std::move(arguments), budget);
  if (name == "join") return JoinTexts(subject, std::move(arguments), budget);
  if (name == "format") return MakeText(FormatBraces(subject.text(), arguments, budget), budget);
  if (IsIn(name, {"ljust", "rjust", "center", "zfill"})) {
    return PadText(subject, name, std::move(arguments), budget);
  }
  throw Failure{fmt::format("the method '{}' of str is not supported", name)};
}

constexpr std::string_view kTextMethods[] = {
    "capitalize",   "casefold",    "center",    "count",      "encode",       "endswith",
    "expandtabs",   "find",        "format",    "format_map", "index",        "isalnum",
    "isalpha",      "isascii",     "isdecimal", "isdigit",    "isidentifier", "islower",
    "isnumeric",    "isprintable", "isspace",   "istitle",    "isupper",      "join",
    "ljust",        "lower",       "lstrip",    "maketrans",  "partition",    "removeprefix",
    "removesuffix", "replace",     "rfind",     "rindex",     "rjust",        "rpartition",
    "rsplit",       "rstrip",      "split",     "splitlines", "startswith",   "strip",
    "swapcase",     "title",       "translate", "upper",      "zfill"};

Value CallMappingMethod(const Value& subject,
                        const std::string& name,
                        Arguments arguments,
                        Budget& budget) {
  const Mapping& mapping = *subject.mapping();
  if (name == "get") {
    const Parameters given("get", {"key", "default"}, std::move(arguments), 1);
    const Value* found = Find(mapping, given[0], budget);
    return found != nullptr ? *found : given.Get(1) != nullptr ? given[1] : MakeNone();
  }
  const Parameters none(name, {}, std::move(arguments));
  if (name == "copy") return MakeMapping(mapping.items, budget);
  std::vector<Value> items;
  for (const auto& [key, value] : mapping.items) {
    items.push_back(name == "keys"     ? key
                    : name == "values" ? value
                                       : MakeTuple({key, value}, budget));
  }
  return MakeSequence(name == "keys"     ? SequenceKind::kKeys
                      : name == "values" ? SequenceKind::kValues
                                         : SequenceKind::kItems,
                      std::move(items),
                      budget);
}

Value CallSequenceMethod(const Value& subject,
                         const std::string& name,
                         Arguments arguments,
                         Budget& budget) {
  const std::vector<Value>& items = subject.sequence()->items;
  if (name == "copy") {
    const Parameters none(name, {}, std::move(arguments));
    return MakeList(items, budget);
  }
  const Parameters given(name, {"value"}, std::move(arguments), 1);
  const auto is_it = [&](const Value& item) { return Equal(item, given[0], budget); };
  if (name == "count") return MakeInteger(std::ranges::count_if(items, is_it));
  const auto found = std::ranges::find_if(items, is_it);
  if (found == items.end()) throw Failure{"the value is not in the list"};
  return MakeInteger(found - items.begin());
}

// Methods that change what they are called on, which the reference's sandbox keeps from templates.
Value Unsafe(const Value& subject, std::string_view name) {
  return MakeUndefined(
      fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(subject)));
}

}  // namespace

std::optional<Value> Method(const Value& subject, std::string_view name, Budget&) {
  const std::string method(name);
  if (subject.IsText()) {
    if (std::ranges::find(kTextMethods, name) == std::end(kTextMethods)) return std::nullopt;
    return MethodOf(subject, [subject, method](Arguments arguments, Budget& budget) {
      return CallTextMethod(subject, method, std::move(arguments), budget);
    });
  }
  if (subject.mapping() != nullptr) {
    if (IsIn(name, {"clear", "pop", "popitem", "setdefault", "update"})) {
      return Unsafe(subject, name);
    }
    if (name == "fromkeys") throw Failure{"the method 'fromkeys' of dict is not supported"};
    if (!IsIn(name, {"copy", "get", "items", "keys", "values"})) return std::nullopt;
    return MethodOf(subject, [subject, method](Arguments arguments, Budget& budget) {
      return CallMappingMethod(subject, method, std::move(arguments), budget);
    });
  }
  const Sequence* sequence = subject.sequence();
  if (sequence == nullptr || sequence->kind > SequenceKind::kTuple) return std::nullopt;
  const bool list = sequence->kind == SequenceKind::kList;
  if (list &&
      IsIn(name, {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})) {
    return Unsafe(subject, name);
  }
  if (name != "count" && name != "index" && !(list && name == "copy")) return std::nullopt;
  return MethodOf(subject, [subject, method](Arguments arguments, Budget& budget) {
    return CallSequenceMethod(subject, method, std::move(arguments), budget);
  });
}

}  // namespace dashf::jinja
