#include "jinja/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "jinja/text.h"

namespace dashf::jinja {
namespace {

[[noreturn]] void FailUndefined(const Value& value) {
  throw Failure{*std::get<Undefined>(value.data).why};
}

[[noreturn]] void FailOperands(std::string_view sign, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->Is<Undefined>()) FailUndefined(*value);
  }
  throw Failure{fmt::format(
      "unsupported operand types for {}: '{}' and '{}'", sign, TypeName(left), TypeName(right))};
}

Value Power(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) throw Failure{"0 cannot be raised to a negative power"};
    return MakeFloat(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      throw Failure{"an integer does not fit 64 bits"};
    }
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) {
      throw Failure{"an integer does not fit 64 bits"};
    }
  }
  return MakeInteger(result);
}

Value WholeArithmetic(std::string_view sign, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool overflow = false;
  if (sign == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (sign == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (sign == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (sign == "**") {
    return Power(a, b);
  } else {
    if (b == 0) throw Failure{"division by zero"};
    if (sign == "/") return MakeFloat(static_cast<double>(a) / static_cast<double>(b));
    overflow = a == std::numeric_limits<std::int64_t>::min() && b == -1;
    if (!overflow) {  // Python rounds down, and the remainder has the divisor's sign.
      const bool below = a % b != 0 && ((a < 0) != (b < 0));
      result = sign == "//" ? a / b - (below ? 1 : 0) : a % b + (below ? b : 0);
    }
  }
  if (overflow) throw Failure{"an integer does not fit 64 bits"};
  return MakeInteger(result);
}

Value FloatArithmetic(std::string_view sign, double a, double b) {
  if (sign == "+") return MakeFloat(a + b);
  if (sign == "-") return MakeFloat(a - b);
  if (sign == "*") return MakeFloat(a * b);
  if (sign == "**") {
    const double power = std::pow(a, b);
    if (std::isfinite(a) && std::isfinite(b) && !std::isfinite(power)) {
      throw Failure{"a power is no finite number"};
    }
    return MakeFloat(power);
  }
  if (b == 0.0) throw Failure{"float division by zero"};
  if (sign == "/") return MakeFloat(a / b);
  double remainder = std::fmod(a, b);
  double quotient = (a - remainder) / b;
  if (remainder != 0.0 && ((b < 0) != (remainder < 0))) {
    remainder += b;
    quotient -= 1.0;
  } else if (remainder == 0.0) {
    remainder = std::copysign(0.0, b);
  }
  if (sign == "%") return MakeFloat(remainder);
  if (quotient == 0.0) return MakeFloat(std::copysign(0.0, a / b));
  double floor = std::floor(quotient);
  if (quotient - floor > 0.5) floor += 1.0;
  return MakeFloat(floor);
}

Value Joined(const Value& left, const Value& right, Budget& budget) {  // Of texts.
  const bool safe = left.IsSafe() || right.IsSafe();
  const auto part = [safe](const Value& value) {
    return safe && !value.IsSafe() ? EscapedHtml(value.text()) : std::string(value.text());
  };
  budget.SpendBytes(left.text().size() + right.text().size());
  return MakeText(part(left) + part(right), budget, safe);
}

// A text or sequence so many times.
Value Repeated(const Value& value, std::int64_t times, Budget& budget) {
  const auto count = static_cast<std::size_t>(std::max<std::int64_t>(times, 0));
  if (value.IsText()) {
    const std::string_view text = value.text();
    if (!text.empty() && count > budget.limits().bytes / text.size()) {
      budget.SpendBytes(budget.limits().bytes + 1);  // Fails.
    }
    std::string result;
    for (std::size_t i = 0; i < count && !text.empty(); ++i) result += text;
    return MakeText(std::move(result), budget, value.IsSafe());
  }
  const std::vector<Value>& items = value.sequence()->items;
  std::vector<Value> result;
  for (std::size_t i = 0; i < count && !items.empty(); ++i) {
    budget.Spend(items.size());
    result.insert(result.end(), items.begin(), items.end());
  }
  return MakeSequence(value.sequence()->kind, std::move(result), budget);
}

bool IsRepeatable(const Value& value) {
  return value.IsText() ||
         (value.sequence() != nullptr && value.sequence()->kind <= SequenceKind::kTuple);
}

// Where an index that may count from the end points; nothing outside.
std::optional<std::size_t> Index(std::int64_t index, std::size_t size) {
  const auto count = static_cast<std::int64_t>(size);
  if (index < 0) index += count;
  if (index < 0 || index >= count) return std::nullopt;
  return static_cast<std::size_t>(index);
}

// Attributes that Python's types have and templates are not given, which must not be taken for
// items or for nothing.
void RefuseKnownAttribute(const Value& subject, std::string_view name) {
  const bool number = subject.IsNumber();
  constexpr std::string_view kNumbers[] = {"real",
                                           "imag",
                                           "numerator",
                                           "denominator",
                                           "conjugate",
                                           "bit_length",
                                           "bit_count",
                                           "to_bytes",
                                           "from_bytes",
                                           "as_integer_ratio",
                                           "is_integer",
                                           "hex",
                                           "fromhex"};
  constexpr std::string_view kRange[] = {"start", "stop", "step", "count", "index"};
  constexpr std::string_view kIteration[] = {
      "send", "throw", "close", "gi_frame", "gi_code", "gi_running", "gi_yieldfrom"};
  const bool range =
      subject.sequence() != nullptr && subject.sequence()->kind == SequenceKind::kRange;
  const auto has = [name](const auto& names) {
    return std::ranges::find(names, name) != std::end(names);
  };
  const bool view = subject.sequence() != nullptr && subject.sequence()->IsView() &&
                    (name == "mapping" || name == "isdisjoint");
  if ((number && has(kNumbers)) || (range && has(kRange)) || view ||
      (subject.iteration() != nullptr && has(kIteration))) {
    throw Failure{
        fmt::format("the attribute '{}' of {} is not supported", name, TypeName(subject))};
  }
}

// What Python's getattr finds.
std::optional<Value> Attribute(const Value& subject, std::string_view name, Budget& budget) {
  if (subject.object() != nullptr) return subject.object()->Attribute(name, budget);
  if (name.starts_with("__") && name.ends_with("__")) {
    return MakeUndefined(
        fmt::format("access to attribute '{}' of '{}' object is unsafe.", name, TypeName(subject)));
  }
  RefuseKnownAttribute(subject, name);
  return Method(subject, name, budget);
}

// What Python's subscript finds.
std::optional<Value> Item(const Value& subject, const Value& key, Budget& budget) {
  if (const Mapping* mapping = subject.mapping()) {
    if (key.mapping() != nullptr ||
        (key.sequence() != nullptr && key.sequence()->kind == SequenceKind::kList)) {
      return std::nullopt;  // Unhashable: Python's TypeError is passed over.
    }
    const Value* found =
        key.IsText() ? Find(*mapping, key.text(), budget) : Find(*mapping, key, budget);
    return found == nullptr ? std::nullopt : std::optional(*found);
  }
  if (!key.IsWhole()) return std::nullopt;
  if (subject.IsText()) {
    const std::string_view text = subject.text();
    budget.Spend(text.size() / 64);
    const auto index = Index(key.whole(), CharacterCount(text));
    if (!index) return std::nullopt;
    const std::string_view from = text.substr(ByteOffset(text, *index));
    return MakeText(
        std::string(from.substr(0, FirstCharacter(from).bytes)), budget, subject.IsSafe());
  }
  if (subject.sequence() == nullptr || subject.sequence()->IsView()) return std::nullopt;
  const auto index = Index(key.whole(), subject.sequence()->items.size());
  return index ? std::optional(subject.sequence()->items[*index]) : std::nullopt;
}

std::int64_t Bound(const Value* given, std::int64_t otherwise, std::int64_t size, bool backwards) {
  if (given == nullptr || given->Is<None>()) return otherwise;
  if (!given->IsWhole()) throw Failure{"slice indices must be integers or none"};
  std::int64_t bound = given->whole();
  if (bound < 0) bound = bound < -size ? -1 : bound + size;
  if (bound < 0) return backwards ? -1 : 0;
  return std::min(bound, backwards ? size - 1 : size);
}

std::string Quoted(const Value& key, Budget& budget) {
  return key.IsText()     ? ReprOfText(key.text())
         : key.IsNumber() ? Str(key, budget)
                          : std::string(TypeName(key));
}

}  // namespace

Value Arithmetic(std::string_view sign, const Value& left, const Value& right, Budget& budget) {
  if (left.IsWhole() && right.IsWhole()) return WholeArithmetic(sign, left.whole(), right.whole());
  if (left.IsNumber() && right.IsNumber()) {
    return FloatArithmetic(sign, left.number(), right.number());
  }
  if (sign == "+" && left.IsText() && right.IsText()) return Joined(left, right, budget);
  if (sign == "+" && IsRepeatable(left) && IsRepeatable(right) && !left.IsText() &&
      !right.IsText() && left.sequence()->kind == right.sequence()->kind) {
    std::vector<Value> items = left.sequence()->items;
    const std::vector<Value>& more = right.sequence()->items;
    items.insert(items.end(), more.begin(), more.end());
    return MakeSequence(left.sequence()->kind, std::move(items), budget);
  }
  if (sign == "*" && IsRepeatable(left) && right.IsWhole()) {
    return Repeated(left, right.whole(), budget);
  }
  if (sign == "*" && left.IsWhole() && IsRepeatable(right)) {
    return Repeated(right, left.whole(), budget);
  }
  if (sign == "%" && left.IsText()) {
    if (left.IsSafe()) throw Failure{"% on a safe string is not supported"};
    return MakeText(FormatPercent(left.text(), right, budget), budget);
  }
  FailOperands(sign, left, right);
}

Value Negated(const Value& value) {
  if (value.IsWhole()) return WholeArithmetic("-", 0, value.whole());
  if (value.Is<double>()) return MakeFloat(-value.number());
  if (value.Is<Undefined>()) FailUndefined(value);
  throw Failure{fmt::format("bad operand type for unary -: '{}'", TypeName(value))};
}

Value GetAttribute(const Value& subject, std::string_view name, Budget& budget) {
  budget.Spend();
  if (subject.Is<Undefined>()) FailUndefined(subject);
  if (auto attribute = Attribute(subject, name, budget)) return std::move(*attribute);
  if (subject.mapping() != nullptr) {
    if (const Value* item = Find(*subject.mapping(), name, budget)) return *item;
  }
  return MakeUndefined(fmt::format("'{} object' has no attribute '{}'", TypeName(subject), name));
}

Value GetItem(const Value& subject, const Value& key, Budget& budget) {
  budget.Spend();
  if (subject.Is<Undefined>()) FailUndefined(subject);
  if (auto item = Item(subject, key, budget)) return std::move(*item);
  if (key.IsText()) {
    if (auto attribute = Attribute(subject, key.text(), budget)) return std::move(*attribute);
  }
  return MakeUndefined(
      fmt::format("{} object has no element {}", TypeName(subject), Quoted(key, budget)));
}

Value GetSlice(
    const Value& subject, const Value* begin, const Value* end, const Value* step, Budget& budget) {
  if (subject.Is<Undefined>()) FailUndefined(subject);
  const bool text = subject.IsText();
  if (!text && (subject.sequence() == nullptr || subject.sequence()->IsView())) {
    throw Failure{fmt::format("'{}' object cannot be sliced", TypeName(subject))};
  }
  std::int64_t by = 1;
  if (step != nullptr && !step->Is<None>()) {
    if (!step->IsWhole()) throw Failure{"slice indices must be integers or none"};
    by = step->whole();
    if (by == 0) throw Failure{"slice step cannot be zero"};
  }
  const std::int64_t size = *Length(subject, budget);
  const bool backwards = by < 0;
  const std::int64_t first = Bound(begin, backwards ? size - 1 : 0, size, backwards);
  const std::int64_t last = Bound(end, backwards ? -1 : size, size, backwards);
  if (text && by == 1) {
    const std::string_view whole = subject.text();
    const std::size_t from = ByteOffset(whole, static_cast<std::size_t>(first));
    const std::size_t to = ByteOffset(whole, static_cast<std::size_t>(std::max(first, last)));
    return MakeText(std::string(whole.substr(from, to - from)), budget, subject.IsSafe());
  }
  const std::vector<Value> items = Items(subject, budget);
  std::vector<Value> taken;
  for (std::int64_t i = first; backwards ? i > last : i < last;) {
    taken.push_back(items[static_cast<std::size_t>(i)]);
    if (__builtin_add_overflow(i, by, &i)) break;
  }
  if (!text) return MakeSequence(subject.sequence()->kind, std::move(taken), budget);
  std::string joined;
  for (const Value& each : taken) joined += each.text();
  return MakeText(std::move(joined), budget, subject.IsSafe());
}

Value Call(const Value& function, Arguments arguments, Budget& budget) {
  if (function.Is<Undefined>()) FailUndefined(function);
  if (function.object() == nullptr || !function.object()->callable()) {
    throw Failure{fmt::format("'{}' object is not callable", TypeName(function))};
  }
  const Descent descent(budget);
  budget.Spend();
  const std::shared_ptr<Object> kept = std::get<std::shared_ptr<Object>>(function.data);
  return kept->Call(std::move(arguments), budget);
}

}  // namespace dashf::jinja
