#include "jinja/tests.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "jinja/arguments.h"
#include "jinja/filters.h"
#include "jinja/operators.h"
#include "jinja/text.h"

namespace dashf::jinja {
namespace {

using Test = bool (*)(const Value&, const Value*, Budget&);

struct TestRow {
  Test test;
  bool takes_other = false;
};

bool IsObject(const Value& value, std::string_view type) {
  return value.object() != nullptr && value.object()->type() == type;
}

// Python's "is". Equal texts may be one object or two: CPython does not say.
bool IsSame(const Value& value, const Value* other, Budget& budget) {
  if (value.data.index() != other->data.index()) return false;
  if (value.Is<None>()) return true;
  if (value.Is<bool>()) return value.whole() == other->whole();
  if (value.sequence() != nullptr) return value.sequence() == other->sequence();
  if (value.mapping() != nullptr) return value.mapping() == other->mapping();
  if (value.object() != nullptr) return value.object() == other->object();
  if (!Equal(value, *other, budget)) return false;
  throw Failure{
      fmt::format("'sameas' between values of type {} is not supported", TypeName(value))};
}

bool HasRemainder(const Value& value, std::int64_t by, std::int64_t remainder, Budget& budget) {
  const Value rest = Arithmetic("%", value, MakeInteger(by), budget);
  return Equal(rest, MakeInteger(remainder), budget);
}

bool HasCase(const Value& value, std::string_view name, Budget& budget) {
  return *HasProperty(Str(value, budget), name);
}

template <class Holds>
bool Ordered(const Value& value, const Value* other, Budget& budget, Holds holds) {
  const int order = Compare(value, *other, budget);
  return order != 2 && holds(order);
}

const std::map<std::string_view, TestRow>& Tests() {
  using V = const Value&;
  using O = const Value*;
  static const TestRow kEqual{[](V v, O o, Budget& b) { return Equal(v, *o, b); }, true};
  static const TestRow kUnequal{[](V v, O o, Budget& b) { return !Equal(v, *o, b); }, true};
  static const TestRow kGreater{
      [](V v, O o, Budget& b) { return Ordered(v, o, b, [](int c) { return c > 0; }); }, true};
  static const TestRow kGreaterEqual{
      [](V v, O o, Budget& b) { return Ordered(v, o, b, [](int c) { return c >= 0; }); }, true};
  static const TestRow kLess{
      [](V v, O o, Budget& b) { return Ordered(v, o, b, [](int c) { return c < 0; }); }, true};
  static const TestRow kLessEqual{
      [](V v, O o, Budget& b) { return Ordered(v, o, b, [](int c) { return c <= 0; }); }, true};
  static const std::map<std::string_view, TestRow> kTests = {
      {"boolean", {[](V v, O, Budget&) { return v.Is<bool>(); }}},
      {"callable", {[](V v, O, Budget&) {
         return v.Is<Undefined>() || (v.object() != nullptr && v.object()->callable());
       }}},
      {"defined", {[](V v, O, Budget&) { return !v.Is<Undefined>(); }}},
      {"divisibleby",
       {[](V v, O o, Budget& b) { return Equal(Arithmetic("%", v, *o, b), MakeInteger(0), b); },
        true}},
      {"eq", kEqual},
      {"equalto", kEqual},
      {"escaped", {[](V v, O, Budget&) { return v.IsSafe(); }}},
      {"even", {[](V v, O, Budget& b) { return HasRemainder(v, 2, 0, b); }}},
      {"false", {[](V v, O, Budget&) { return v.Is<bool>() && !Truth(v); }}},
      {"filter", {[](V v, O, Budget&) { return v.IsText() && IsFilter(v.text()); }}},
      {"float", {[](V v, O, Budget&) { return v.Is<double>(); }}},
      {"ge", kGreaterEqual},
      {"greaterthan", kGreater},
      {"gt", kGreater},
      {"in", {[](V v, O o, Budget& b) { return Contains(*o, v, b); }, true}},
      {"integer", {[](V v, O, Budget&) { return v.Is<std::int64_t>(); }}},
      {"iterable", {[](V v, O, Budget&) { return IsIterable(v) || IsObject(v, "LoopContext"); }}},
      {"le", kLessEqual},
      {"lessthan", kLess},
      {"lower", {[](V v, O, Budget& b) { return HasCase(v, "islower", b); }}},
      {"lt", kLess},
      {"mapping", {[](V v, O, Budget&) { return v.mapping() != nullptr; }}},
      {"ne", kUnequal},
      {"none", {[](V v, O, Budget&) { return v.Is<None>(); }}},
      {"number", {[](V v, O, Budget&) { return v.IsNumber(); }}},
      {"odd", {[](V v, O, Budget& b) { return HasRemainder(v, 2, 1, b); }}},
      {"sameas", {IsSame, true}},
      {"sequence", {[](V v, O, Budget&) {
         return v.Is<Undefined>() || v.IsText() || v.mapping() != nullptr ||
                (v.sequence() != nullptr && !v.sequence()->IsView());
       }}},
      {"string", {[](V v, O, Budget&) { return v.IsText(); }}},
      {"test", {[](V v, O, Budget&) { return v.IsText() && Tests().contains(v.text()); }}},
      {"true", {[](V v, O, Budget&) { return v.Is<bool>() && Truth(v); }}},
      {"undefined", {[](V v, O, Budget&) { return v.Is<Undefined>(); }}},
      {"upper", {[](V v, O, Budget& b) { return HasCase(v, "isupper", b); }}},
      {"==", kEqual},
      {"!=", kUnequal},
      {">", kGreater},
      {">=", kGreaterEqual},
      {"<", kLess},
      {"<=", kLessEqual},
  };
  return kTests;
}

}  // namespace

void CheckTestName(std::string_view name, bool conditional, int line) {
  if (conditional || Tests().contains(name)) return;
  throw Failure{fmt::format("there is no test '{}'", name), line};
}

bool PassesTest(std::string_view name, Arguments arguments, Budget& budget) {
  const auto found = Tests().find(name);
  if (found == Tests().end()) CheckTestName(name, false, 0);
  budget.Spend();
  const auto& [test, takes_other] = found->second;
  const std::size_t count = takes_other ? 2 : 1;
  if (arguments.positional.size() != count || !arguments.named.empty()) {
    throw Failure{
        fmt::format("the test '{}' takes {} argument{}", name, count - 1, takes_other ? "" : "s")};
  }
  return test(arguments.positional[0], takes_other ? &arguments.positional[1] : nullptr, budget);
}

}  // namespace dashf::jinja
