#include "jinja/value.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

int DepthOf(const Value& value) {
  if (value.sequence() != nullptr) return value.sequence()->depth;
  if (value.mapping() != nullptr) return value.mapping()->depth;
  if (value.iteration() != nullptr) return value.iteration()->depth;
  return value.object() == nullptr ? 0 : value.object()->depth;
}

int DepthAround(int inner, const Budget& budget) {
  if (inner >= budget.limits().container_depth) {
    throw Failure{fmt::format("puts lists or dicts into each other more than {} deep",
                              budget.limits().container_depth)};
  }
  return inner + 1;
}

int DepthAround(const std::vector<Value>& items, Budget& budget) {
  budget.Spend(items.size() + 1);
  int inner = 0;
  for (const Value& item : items) inner = std::max(inner, DepthOf(item));
  return DepthAround(inner, budget);
}

bool IsHashable(const Value& value, Budget& budget) {
  if (value.mapping() != nullptr) return false;
  const Sequence* sequence = value.sequence();
  if (sequence == nullptr || sequence->kind == SequenceKind::kRange) return true;
  if (sequence->kind != SequenceKind::kTuple) return false;
  budget.Spend(sequence->items.size());
  return std::ranges::all_of(sequence->items,
                             [&](const Value& item) { return IsHashable(item, budget); });
}

void RequireHashable(const Value& value, Budget& budget) {
  if (!IsHashable(value, budget)) {
    throw Failure{fmt::format("unhashable type: '{}'", TypeName(value))};
  }
}

int Sign(long double difference) {
  return difference < 0 ? -1 : difference > 0 ? 1 : 0;
}

// A long double holds every int64_t and every double.
int CompareNumbers(const Value& left, const Value& right) {
  const auto exact = [](const Value& value) {
    return value.IsWhole() ? static_cast<long double>(value.whole())
                           : static_cast<long double>(value.number());
  };
  const long double a = exact(left), b = exact(right);
  if (a != a || b != b) return 2;
  return a < b ? -1 : Sign(a > b ? 1 : 0);
}

bool EqualMappings(const Mapping& left, const Mapping& right, Budget& budget) {
  if (left.items.size() != right.items.size()) return false;
  return std::ranges::all_of(left.items, [&](const auto& item) {
    const Value* other = Find(right, item.first, budget);
    return other != nullptr && Equal(item.second, *other, budget);
  });
}

bool IsOrdered(const Sequence& sequence) {
  return sequence.kind == SequenceKind::kList || sequence.kind == SequenceKind::kTuple;
}

std::string ReprOfItems(const std::vector<Value>& items, Budget& budget) {
  std::string text;
  for (const Value& item : items) {
    if (!text.empty()) text += ", ";
    text += Repr(item, budget);
  }
  return text;
}

std::string ReprOfSequence(const Sequence& sequence, Budget& budget) {
  const std::string items = ReprOfItems(sequence.items, budget);
  switch (sequence.kind) {
    case SequenceKind::kList:
      return fmt::format("[{}]", items);
    case SequenceKind::kTuple:
      return fmt::format("({}{})", items, sequence.items.size() == 1 ? "," : "");
    case SequenceKind::kKeys:
      return fmt::format("dict_keys([{}])", items);
    case SequenceKind::kValues:
      return fmt::format("dict_values([{}])", items);
    case SequenceKind::kItems:
      return fmt::format("dict_items([{}])", items);
    case SequenceKind::kRange:
      throw Failure{"printing a range is not supported"};
  }
  DASHF_CHECK(false);
}

std::string ReprOfMapping(const Mapping& mapping, Budget& budget) {
  std::string text = "{";
  for (const auto& [key, value] : mapping.items) {
    if (text.size() > 1) text += ", ";
    text += Repr(key, budget);
    text += ": ";
    text += Repr(value, budget);
  }
  return text + "}";
}

}  // namespace

std::optional<Value> Object::Attribute(std::string_view, Budget&) {
  return std::nullopt;
}
Value Object::Call(Arguments, Budget&) {
  DASHF_CHECK(false);
}

Value MakeUndefined(std::string why) {
  return {Undefined{std::make_shared<const std::string>(std::move(why))}};
}
Value MakeNone() {
  return {None{}};
}
Value MakeBool(bool flag) {
  return {flag};
}
Value MakeInteger(std::int64_t number) {
  return {number};
}
Value MakeFloat(double number) {
  return {number};
}

Value MakeText(std::string utf8, Budget& budget, bool safe) {
  budget.SpendBytes(utf8.size());
  return {Text{std::make_shared<const std::string>(std::move(utf8)), safe}};
}

Value MakeSequence(SequenceKind kind, std::vector<Value> items, Budget& budget) {
  const int depth = DepthAround(items, budget);
  return {std::make_shared<const Sequence>(Sequence{kind, std::move(items), depth})};
}
Value MakeList(std::vector<Value> items, Budget& budget) {
  return MakeSequence(SequenceKind::kList, std::move(items), budget);
}
Value MakeTuple(std::vector<Value> items, Budget& budget) {
  return MakeSequence(SequenceKind::kTuple, std::move(items), budget);
}

Value MakeMapping(std::vector<std::pair<Value, Value>> items, Budget& budget) {
  budget.Spend(items.size() + 1);
  int inner = 0;
  for (const auto& [key, value] : items) inner = std::max({inner, DepthOf(key), DepthOf(value)});
  const int depth = DepthAround(inner, budget);
  return {std::make_shared<const Mapping>(Mapping{std::move(items), depth})};
}

Value MakeIteration(std::vector<Value> items, Budget& budget) {
  const int depth = DepthAround(items, budget);
  return {std::make_shared<Iteration>(Iteration{std::move(items), 0, depth})};
}

Value MakeObject(std::shared_ptr<Object> object) {
  return {std::move(object)};
}

void Set(std::vector<std::pair<Value, Value>>* items, Value key, Value value, Budget& budget) {
  RequireHashable(key, budget);
  for (auto& [present, old] : *items) {
    if (!Equal(present, key, budget)) continue;
    old = std::move(value);
    return;
  }
  items->emplace_back(std::move(key), std::move(value));
}

const Value* Find(const Mapping& mapping, const Value& key, Budget& budget) {
  RequireHashable(key, budget);
  for (const auto& [present, value] : mapping.items) {
    if (Equal(present, key, budget)) return &value;
  }
  return nullptr;
}

const Value* Find(const Mapping& mapping, std::string_view key, Budget& budget) {
  budget.Spend(mapping.items.size());
  for (const auto& [present, value] : mapping.items) {
    if (present.IsText() && present.text() == key) return &value;
  }
  return nullptr;
}

std::string_view TypeName(const Value& value) {
  if (value.Is<Undefined>()) return "Undefined";
  if (value.Is<None>()) return "NoneType";
  if (value.Is<bool>()) return "bool";
  if (value.Is<std::int64_t>()) return "int";
  if (value.Is<double>()) return "float";
  if (value.IsText()) return value.IsSafe() ? "Markup" : "str";
  if (value.mapping() != nullptr) return "dict";
  if (value.iteration() != nullptr) return "generator";
  if (value.object() != nullptr) return value.object()->type();
  constexpr std::string_view kNames[] = {
      "list", "tuple", "range", "dict_keys", "dict_values", "dict_items"};
  return kNames[static_cast<std::size_t>(value.sequence()->kind)];
}

bool Truth(const Value& value) {
  if (value.Is<Undefined>() || value.Is<None>()) return false;
  if (value.IsNumber()) return value.number() != 0.0;
  if (value.IsText()) return !value.text().empty();
  if (value.sequence() != nullptr) return !value.sequence()->items.empty();
  return value.mapping() == nullptr || !value.mapping()->items.empty();
}

bool Equal(const Value& left, const Value& right, Budget& budget) {
  budget.Spend();
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right) == 0;
  if (left.data.index() != right.data.index()) return false;
  if (left.Is<Undefined>() || left.Is<None>()) return true;
  if (left.IsText()) {
    budget.Spend(std::min(left.text().size(), right.text().size()) / 64);
    return left.text() == right.text();
  }
  if (left.mapping() != nullptr) return EqualMappings(*left.mapping(), *right.mapping(), budget);
  const Sequence *a = left.sequence(), *b = right.sequence();
  if (a == nullptr) return left.iteration() == right.iteration() && left.object() == right.object();
  if (a->kind != b->kind) return false;
  if (a->IsView()) throw Failure{"comparing the views of dicts is not supported"};
  return a->items.size() == b->items.size() &&
         std::ranges::equal(a->items, b->items, [&](const Value& x, const Value& y) {
           return Equal(x, y, budget);
         });
}

int Compare(const Value& left, const Value& right, Budget& budget) {
  budget.Spend();
  if (left.IsNumber() && right.IsNumber()) return CompareNumbers(left, right);
  if (left.IsText() && right.IsText()) {  // UTF-8 has the order of its code points.
    budget.Spend(std::min(left.text().size(), right.text().size()) / 64);
    return Sign(left.text().compare(right.text()));
  }
  for (const Value* value : {&left, &right}) {
    if (value->Is<Undefined>()) throw Failure{*std::get<Undefined>(value->data).why};
  }
  const Sequence *a = left.sequence(), *b = right.sequence();
  if (a == nullptr || b == nullptr || a->kind != b->kind || !IsOrdered(*a)) {
    throw Failure{
        fmt::format("'{}' and '{}' have no order between them", TypeName(left), TypeName(right))};
  }
  for (std::size_t i = 0; i < std::min(a->items.size(), b->items.size()); ++i) {
    if (!Equal(a->items[i], b->items[i], budget)) {
      return Compare(a->items[i], b->items[i], budget);
    }
  }
  return a->items.size() < b->items.size() ? -1 : a->items.size() > b->items.size() ? 1 : 0;
}

bool Contains(const Value& container, const Value& item, Budget& budget) {
  budget.Spend();
  if (container.IsText()) {
    if (!item.IsText()) {
      throw Failure{
          fmt::format("'in <string>' requires string as left operand, not {}", TypeName(item))};
    }
    budget.Spend(container.text().size() / 64);
    return container.text().find(item.text()) != std::string_view::npos;
  }
  if (container.mapping() != nullptr) {
    return Find(*container.mapping(), item, budget) != nullptr;
  }
  if (Iteration* iteration = container.iteration()) {
    while (iteration->next < iteration->items.size()) {
      if (Equal(iteration->items[iteration->next++], item, budget)) return true;
    }
    return false;
  }
  if (!IsIterable(container)) {
    throw Failure{fmt::format("argument of type '{}' is not iterable", TypeName(container))};
  }
  const std::vector<Value> items = Items(container, budget);
  return std::ranges::any_of(items, [&](const Value& each) { return Equal(each, item, budget); });
}

std::optional<std::int64_t> Length(const Value& value, Budget& budget) {
  if (value.Is<Undefined>()) return 0;
  if (value.IsText()) {
    budget.Spend(value.text().size() / 64);
    return static_cast<std::int64_t>(CharacterCount(value.text()));
  }
  if (value.sequence() != nullptr) {
    return static_cast<std::int64_t>(value.sequence()->items.size());
  }
  if (value.mapping() != nullptr) return static_cast<std::int64_t>(value.mapping()->items.size());
  if (value.object() != nullptr && value.object()->type() == "LoopContext") {
    return value.object()->Attribute("length", budget)->whole();
  }
  return std::nullopt;
}

bool IsIterable(const Value& value) {
  return value.Is<Undefined>() || value.IsText() || value.sequence() != nullptr ||
         value.mapping() != nullptr || value.iteration() != nullptr;
}

std::vector<Value> Items(const Value& value, Budget& budget) {
  std::vector<Value> items;
  if (value.IsText()) {
    budget.Spend(value.text().size());
    for (std::string_view rest = value.text(); !rest.empty();) {
      const std::size_t bytes = FirstCharacter(rest).bytes;
      items.push_back(MakeText(std::string(rest.substr(0, bytes)), budget));
      rest.remove_prefix(bytes);
    }
  } else if (value.sequence() != nullptr) {
    items = value.sequence()->items;
  } else if (value.mapping() != nullptr) {
    for (const auto& [key, unused] : value.mapping()->items) items.push_back(key);
  } else if (Iteration* iteration = value.iteration()) {
    items.assign(iteration->items.begin() + static_cast<std::ptrdiff_t>(iteration->next),
                 iteration->items.end());
    iteration->next = iteration->items.size();
  } else if (!value.Is<Undefined>()) {
    throw Failure{fmt::format("'{}' object is not iterable", TypeName(value))};
  }
  budget.Spend(items.size());
  return items;
}

std::string Str(const Value& value, Budget& budget) {
  if (value.Is<Undefined>()) return {};
  if (!value.IsText()) return Repr(value, budget);
  budget.SpendBytes(value.text().size());
  return std::string(value.text());
}

std::string Repr(const Value& value, Budget& budget) {
  const Descent descent(budget);
  budget.Spend();
  std::string text;
  if (value.Is<Undefined>()) {
    text = "Undefined";
  } else if (value.Is<None>()) {
    text = "None";
  } else if (value.Is<bool>()) {
    text = std::get<bool>(value.data) ? "True" : "False";
  } else if (value.Is<std::int64_t>()) {
    text = fmt::to_string(value.whole());
  } else if (value.Is<double>()) {
    text = ReprOfFloat(value.number());
  } else if (value.IsText()) {
    text = ReprOfText(value.text());
    if (value.IsSafe()) text = fmt::format("Markup({})", text);
  } else if (value.mapping() != nullptr) {
    text = ReprOfMapping(*value.mapping(), budget);
  } else if (value.sequence() != nullptr) {
    text = ReprOfSequence(*value.sequence(), budget);
  } else {
    throw Failure{fmt::format("printing a {} is not supported", TypeName(value))};
  }
  budget.SpendBytes(text.size());
  return text;
}

}  // namespace dashf::jinja
