#include "jinja/sequence_filters.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "jinja/arguments.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/tests.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

// "a.b.0" or a number: one subscript after the other. None: the item itself.
class AttributePath {
 public:
  AttributePath(const Value* attribute, Budget& budget) {
    if (attribute == nullptr || attribute->Is<None>()) return;
    if (!attribute->IsText()) {
      keys_.push_back(*attribute);
      return;
    }
    for (const std::string_view part : Split(attribute->text(), ".", -1)) {
      const bool number = !part.empty() && part.size() < 10 &&
                          std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
      keys_.push_back(number ? MakeInteger(std::stoll(std::string(part)))
                             : MakeText(std::string(part), budget));
    }
  }

  Value Of(Value item, const Value* otherwise, Budget& budget) const {
    for (const Value& key : keys_) {
      item = GetItem(item, key, budget);
      if (otherwise != nullptr && item.Is<Undefined>()) item = *otherwise;
    }
    return item;
  }

 private:
  std::vector<Value> keys_;
};

Value Folded(const Value& value, bool case_sensitive, Budget& budget) {
  if (case_sensitive || !value.IsText()) return value;
  return MakeText(Lower(value.text()), budget);
}

// Stable merge sort: the order may fail midway, or be none (NaN).
void Sort(std::vector<std::pair<Value, Value>>* keyed,
          const std::function<bool(const Value&, const Value&)>& less) {
  std::vector<std::pair<Value, Value>> merged(keyed->size());
  for (std::size_t run = 1; run < keyed->size(); run *= 2) {
    for (std::size_t begin = 0; begin < keyed->size(); begin += 2 * run) {
      const std::size_t middle = std::min(begin + run, keyed->size());
      const std::size_t end = std::min(begin + 2 * run, keyed->size());
      std::size_t a = begin, b = middle;
      for (std::size_t to = begin; to < end; ++to) {
        const bool right = a == middle || (b < end && less((*keyed)[b].first, (*keyed)[a].first));
        merged[to] = (*keyed)[right ? b++ : a++];
      }
    }
    keyed->swap(merged);
  }
}

std::vector<Value> Sorted(std::vector<std::pair<Value, Value>> keyed,
                          bool reverse,
                          Budget& budget) {
  budget.Spend(keyed.size());
  Sort(&keyed, [&](const Value& a, const Value& b) {
    return reverse ? Compare(b, a, budget) == -1 : Compare(a, b, budget) == -1;
  });
  std::vector<Value> items;
  for (auto& [key, item] : keyed) items.push_back(std::move(item));
  return items;
}

// map's and select's own arguments: what is filtered, and what follows the name.
Arguments Following(const Arguments& arguments, std::size_t first, const Value& subject) {
  Arguments following{{subject}, arguments.named};
  for (std::size_t i = first; i < arguments.positional.size(); ++i) {
    following.positional.push_back(arguments.positional[i]);
  }
  return following;
}

std::string_view NameIn(const Arguments& arguments, std::size_t index, std::string_view what) {
  const Value& name = arguments.positional[index];
  if (name.Is<Undefined>()) throw Failure{*std::get<Undefined>(name.data).why};
  if (!name.IsText()) throw Failure{fmt::format("no {} of this name", what)};
  return name.text();
}

Value Selected(Arguments arguments, bool keep, bool by_attribute, Budget& budget) {
  if (arguments.positional.empty()) throw Failure{"select needs a sequence"};
  const std::size_t name = by_attribute ? 2 : 1;
  if (!Truth(arguments.positional[0])) return MakeIteration({}, budget);
  if (arguments.positional.size() < name) {
    throw Failure{"missing parameter for attribute name"};
  }
  const AttributePath path(by_attribute ? &arguments.positional[1] : nullptr, budget);
  std::vector<Value> kept;
  for (const Value& item : Items(arguments.positional[0], budget)) {
    const Value subject = path.Of(item, nullptr, budget);
    const bool holds =
        arguments.positional.size() == name
            ? Truth(subject)
            : PassesTest(
                  NameIn(arguments, name, "test"), Following(arguments, name + 1, subject), budget);
    if (holds == keep) kept.push_back(item);
  }
  return MakeIteration(std::move(kept), budget);
}

Value Extreme(Arguments arguments, int sign, Budget& budget) {
  const Parameters given(
      "min and max", {"value", "case_sensitive", "attribute"}, std::move(arguments), 1);
  const std::vector<Value> items = Items(given[0], budget);
  if (items.empty()) return MakeUndefined("No aggregated item, sequence was empty.");
  const AttributePath path(given.Get(2), budget);
  const auto key = [&](const Value& item) {
    return Folded(path.Of(item, nullptr, budget), given.Flag(1, false), budget);
  };
  const Value* best = &items.front();
  Value best_key = key(*best);
  for (std::size_t i = 1; i < items.size(); ++i) {
    Value next = key(items[i]);
    if (Compare(next, best_key, budget) != sign) continue;
    best = &items[i];
    best_key = std::move(next);
  }
  return *best;
}

std::size_t PartCount(const Parameters& given, std::size_t index, const Budget& budget) {
  const std::int64_t count = given.Integer(index, 0);
  if (count <= 0 || static_cast<std::uint64_t>(count) > budget.limits().steps) {
    throw Failure{fmt::format("batch and slice need a count above 0, got {}", count)};
  }
  return static_cast<std::size_t>(count);
}

}  // namespace

Value FilterFirst(Arguments arguments, Budget& budget) {
  const Parameters given("first", {"seq"}, std::move(arguments), 1);
  if (Iteration* iteration = given[0].iteration()) {
    if (iteration->next < iteration->items.size()) return iteration->items[iteration->next++];
  } else if (given[0].IsText() && !given[0].text().empty()) {
    return GetItem(given[0], MakeInteger(0), budget);
  } else if (const std::vector<Value> items = Items(given[0], budget); !items.empty()) {
    return items.front();
  }
  return MakeUndefined("No first item, sequence was empty.");
}

Value FilterLast(Arguments arguments, Budget& budget) {
  const Parameters given("last", {"seq"}, std::move(arguments), 1);
  if (given[0].iteration() != nullptr || given[0].Is<Undefined>()) {
    throw Failure{fmt::format("'{}' object is not reversible", TypeName(given[0]))};
  }
  const std::vector<Value> items = Items(given[0], budget);
  return items.empty() ? MakeUndefined("No last item, sequence was empty.") : items.back();
}

Value FilterJoin(Arguments arguments, Budget& budget) {
  const Parameters given("join", {"value", "d", "attribute"}, std::move(arguments), 1);
  const AttributePath path(given.Get(2), budget);
  const std::string separator = given.Get(1) == nullptr ? "" : Str(given[1], budget);
  std::string joined;
  bool first = true;
  for (const Value& item : Items(given[0], budget)) {
    if (!first) joined += separator;
    first = false;
    const std::size_t before = joined.size();
    joined += Str(path.Of(item, nullptr, budget), budget);
    budget.SpendBytes(separator.size() + joined.size() - before);
    if (joined.size() > budget.limits().bytes) budget.SpendBytes(joined.size());  // Fails.
  }
  return MakeText(std::move(joined), budget);
}

Value FilterMap(Arguments arguments, Budget& budget) {
  if (arguments.positional.empty()) throw Failure{"map needs a sequence"};
  const Value subject = arguments.positional[0];
  std::vector<Value> mapped;
  if (!Truth(subject)) return MakeIteration({}, budget);
  const bool by_attribute = arguments.positional.size() == 1 &&
                            std::ranges::any_of(arguments.named, [](const auto& each) {
                              return each.first == "attribute";
                            });
  if (by_attribute) {
    arguments.positional.clear();
    const Parameters given("map", {"attribute", "default"}, std::move(arguments));
    const AttributePath path(given.Get(0), budget);
    const Value* otherwise = given.Get(1);
    if (otherwise != nullptr && otherwise->Is<None>()) otherwise = nullptr;
    for (const Value& item : Items(subject, budget)) {
      mapped.push_back(path.Of(item, otherwise, budget));
    }
    return MakeIteration(std::move(mapped), budget);
  }
  if (arguments.positional.size() < 2) throw Failure{"map requires a filter argument"};
  for (const Value& item : Items(subject, budget)) {
    mapped.push_back(
        ApplyFilter(NameIn(arguments, 1, "filter"), Following(arguments, 2, item), budget));
  }
  return MakeIteration(std::move(mapped), budget);
}

Value FilterSelect(Arguments arguments, Budget& budget) {
  return Selected(std::move(arguments), true, false, budget);
}
Value FilterReject(Arguments arguments, Budget& budget) {
  return Selected(std::move(arguments), false, false, budget);
}
Value FilterSelectAttribute(Arguments arguments, Budget& budget) {
  return Selected(std::move(arguments), true, true, budget);
}
Value FilterRejectAttribute(Arguments arguments, Budget& budget) {
  return Selected(std::move(arguments), false, true, budget);
}

Value FilterSort(Arguments arguments, Budget& budget) {
  const Parameters given(
      "sort", {"value", "reverse", "case_sensitive", "attribute"}, std::move(arguments), 1);
  std::vector<AttributePath> paths;
  if (given.Get(3) != nullptr && given[3].IsText()) {
    for (const std::string_view part : Split(given[3].text(), ",", -1)) {
      const Value attribute = MakeText(std::string(part), budget);
      paths.emplace_back(&attribute, budget);
    }
  } else {
    paths.emplace_back(given.Get(3), budget);
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const Value& item : Items(given[0], budget)) {
    std::vector<Value> keys;
    for (const AttributePath& path : paths) {
      keys.push_back(Folded(path.Of(item, nullptr, budget), given.Flag(2, false), budget));
    }
    keyed.emplace_back(MakeList(std::move(keys), budget), item);
  }
  return MakeList(Sorted(std::move(keyed), given.Flag(1, false), budget), budget);
}

Value FilterDictSort(Arguments arguments, Budget& budget) {
  const Parameters given(
      "dictsort", {"value", "case_sensitive", "by", "reverse"}, std::move(arguments), 1);
  const std::string_view by = given.TextIfAny(2).value_or("key");
  if (by != "key" && by != "value") {
    throw Failure{"dictsort sorts by either \"key\" or \"value\""};
  }
  if (given[0].mapping() == nullptr) {
    throw Failure{fmt::format("'{}' object has no attribute 'items'", TypeName(given[0]))};
  }
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, value] : given[0].mapping()->items) {
    keyed.emplace_back(Folded(by == "key" ? key : value, given.Flag(1, false), budget),
                       MakeTuple({key, value}, budget));
  }
  return MakeList(Sorted(std::move(keyed), given.Flag(3, false), budget), budget);
}

Value FilterUnique(Arguments arguments, Budget& budget) {
  const Parameters given(
      "unique", {"value", "case_sensitive", "attribute"}, std::move(arguments), 1);
  const AttributePath path(given.Get(2), budget);
  std::vector<std::pair<Value, Value>> seen;
  std::vector<Value> kept;
  for (const Value& item : Items(given[0], budget)) {
    const std::size_t before = seen.size();
    Set(&seen,
        Folded(path.Of(item, nullptr, budget), given.Flag(1, false), budget),
        MakeNone(),
        budget);
    if (seen.size() > before) kept.push_back(item);
  }
  return MakeIteration(std::move(kept), budget);
}

Value FilterReverse(Arguments arguments, Budget& budget) {
  const Parameters given("reverse", {"value"}, std::move(arguments), 1);
  if (given[0].IsText()) {
    const Value back = MakeInteger(-1);
    return GetSlice(given[0], nullptr, nullptr, &back, budget);
  }
  std::vector<Value> items = Items(given[0], budget);
  std::ranges::reverse(items);
  const bool list = given[0].iteration() != nullptr || given[0].Is<Undefined>();
  return list ? MakeList(std::move(items), budget) : MakeIteration(std::move(items), budget);
}

Value FilterMinimum(Arguments arguments, Budget& budget) {
  return Extreme(std::move(arguments), -1, budget);
}
Value FilterMaximum(Arguments arguments, Budget& budget) {
  return Extreme(std::move(arguments), 1, budget);
}

Value FilterSum(Arguments arguments, Budget& budget) {
  const Parameters given("sum", {"iterable", "attribute", "start"}, std::move(arguments), 1);
  const AttributePath path(given.Get(1), budget);
  Value sum = given.Get(2) == nullptr ? MakeInteger(0) : given[2];
  if (sum.IsText()) throw Failure{"sum() can't sum strings"};
  for (const Value& item : Items(given[0], budget)) {
    sum = Arithmetic("+", sum, path.Of(item, nullptr, budget), budget);
  }
  return sum;
}

Value FilterBatch(Arguments arguments, Budget& budget) {
  const Parameters given("batch", {"value", "linecount", "fill_with"}, std::move(arguments), 2);
  const std::size_t count = PartCount(given, 1, budget);
  std::vector<Value> batches, batch;
  for (const Value& item : Items(given[0], budget)) {
    if (batch.size() == count) batches.push_back(MakeList(std::exchange(batch, {}), budget));
    batch.push_back(item);
  }
  if (!batch.empty()) {
    if (given.Get(2) != nullptr && !given[2].Is<None>()) {
      budget.Spend(count - batch.size());
      batch.resize(count, given[2]);
    }
    batches.push_back(MakeList(std::move(batch), budget));
  }
  return MakeIteration(std::move(batches), budget);
}

Value FilterSlice(Arguments arguments, Budget& budget) {
  const Parameters given("slice", {"value", "slices", "fill_with"}, std::move(arguments), 2);
  const std::vector<Value> items = Items(given[0], budget);
  const std::size_t slices = PartCount(given, 1, budget);
  const bool fills = given.Get(2) != nullptr && !given[2].Is<None>();
  std::vector<Value> made;
  auto next = items.begin();
  for (std::size_t i = 0; i < slices; ++i) {
    const bool extra = i < items.size() % slices;
    const auto end = next + static_cast<std::ptrdiff_t>(items.size() / slices + (extra ? 1 : 0));
    std::vector<Value> slice(next, end);
    next = end;
    if (fills && !extra) slice.push_back(given[2]);
    made.push_back(MakeList(std::move(slice), budget));
  }
  return MakeIteration(std::move(made), budget);
}

}  // namespace dashf::jinja
