#include "jinja/environment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "jinja/operators.h"

namespace dashf::jinja {
namespace {

constexpr std::int64_t kRangeMax = 100'000;  // Of the reference's sandbox.

Value MakeRange(Arguments arguments, Budget& budget) {
  std::vector<std::int64_t> bounds;
  for (const Value& each : arguments.positional) {
    if (!each.IsWhole()) {
      throw Failure{fmt::format("range needs integers, got '{}'", TypeName(each))};
    }
    bounds.push_back(each.whole());
  }
  if (bounds.empty() || bounds.size() > 3 || !arguments.named.empty()) {
    throw Failure{"range takes one to three integers"};
  }
  const std::int64_t begin = bounds.size() == 1 ? 0 : bounds[0];
  const std::int64_t end = bounds.size() == 1 ? bounds[0] : bounds[1];
  const std::int64_t step = bounds.size() == 3 ? bounds[2] : 1;
  if (step == 0) throw Failure{"range's step must not be zero"};
  std::vector<Value> items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<std::int64_t>(items.size()) == kRangeMax) {
      throw Failure{
          fmt::format("Range too big. The sandbox blocks ranges larger than {}.", kRangeMax)};
    }
    items.push_back(MakeInteger(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return MakeSequence(SequenceKind::kRange, std::move(items), budget);
}

// dict(mapping or pairs, name=value ...).
std::vector<std::pair<Value, Value>> Pairs(Arguments arguments, Budget& budget) {
  if (arguments.positional.size() > 1) throw Failure{"dict takes one argument and names"};
  std::vector<std::pair<Value, Value>> items;
  for (const Value& source : arguments.positional) {
    if (source.mapping() != nullptr) {
      items = source.mapping()->items;
      continue;
    }
    for (const Value& pair : Items(source, budget)) {
      const std::vector<Value> both = Items(pair, budget);
      if (both.size() != 2) throw Failure{"dict needs pairs"};
      Set(&items, both[0], both[1], budget);
    }
  }
  for (auto& [name, value] : arguments.named) {
    Set(&items, MakeText(name, budget), std::move(value), budget);
  }
  return items;
}

class Cycler : public Object {
 public:
  explicit Cycler(std::vector<Value> items) : items_(std::move(items)) {}
  std::string_view type() const override { return "Cycler"; }
  std::optional<Value> Attribute(std::string_view name, Budget&) override {
    if (name == "current") return items_[at_];
    if (name != "next" && name != "reset") return std::nullopt;
    const bool next = name == "next";
    return MakeObject(std::make_shared<Function>([this, next](Arguments arguments, Budget&) {
      const Parameters none("a cycler's method", {}, std::move(arguments));
      const std::size_t before = at_;
      at_ = next ? (at_ + 1) % items_.size() : 0;
      return next ? items_[before] : MakeNone();
    }));
  }

 private:
  std::vector<Value> items_;
  std::size_t at_ = 0;
};

std::string TimeText(const std::tm& now, std::string_view format) {
  constexpr std::string_view kKnown = "aAbBdHIjmMpSUwWxXyYcZzfeFTDRn%t";
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    ++i;
    if (i == format.size() || kKnown.find(format[i]) == std::string_view::npos ||
        format[i] == 'f') {
      throw Failure{fmt::format("strftime_now's format '{}' is not supported", format)};
    }
  }
  if (format.empty()) return {};
  std::string text(format.size() * 32 + 64, '\0');
  text.resize(std::strftime(text.data(), text.size(), std::string(format).c_str(), &now));
  return text;
}

Value Make(Function::Body body) {
  return MakeObject(std::make_shared<Function>(std::move(body)));
}

Value MakeNamespace(Arguments arguments, Namespaces* namespaces, Budget& budget) {
  auto made = std::make_shared<Namespace>();
  for (auto& [name, value] : Pairs(std::move(arguments), budget)) {
    if (!name.IsText()) throw Failure{"a namespace's names must be strings"};
    made->Assign(std::string(name.text()), std::move(value));
  }
  namespaces->push_back(made);
  budget.Spend(16);
  return MakeObject(made);
}

Value MakeCycler(Arguments arguments, Budget& budget) {
  if (arguments.positional.empty() || !arguments.named.empty()) {
    throw Failure{"at least one item has to be provided"};
  }
  const Value list = MakeList(arguments.positional, budget);
  auto made = std::make_shared<Cycler>(std::move(arguments.positional));
  made->depth = list.sequence()->depth;
  return MakeObject(std::move(made));
}

Value MakeJoiner(Arguments arguments, Budget& budget) {
  const Parameters given("joiner", {"sep"}, std::move(arguments));
  const Value separator = given.Get(0) == nullptr ? MakeText(", ", budget) : given[0];
  const Value nothing = MakeText("", budget);
  const Value list = MakeList({separator}, budget);
  auto joiner = std::make_shared<Function>(
      [separator, nothing, used = false](Arguments call, Budget&) mutable {
        const Parameters none("a joiner", {}, std::move(call));
        return std::exchange(used, true) ? separator : nothing;
      });
  joiner->depth = list.sequence()->depth;
  return MakeObject(std::move(joiner));
}

}  // namespace

std::optional<Value> Namespace::Attribute(std::string_view name, Budget&) {
  const auto found = values.find(name);
  return found == values.end() ? std::nullopt : std::optional(found->second);
}

void Namespace::Assign(const std::string& name, Value value) {
  if (name.starts_with('_')) {
    throw Failure{fmt::format("a namespace must not have '{}', which begins with '_'", name)};
  }
  values[name] = std::move(value);
}

std::map<std::string, Value, std::less<>> MakeEnvironment(const std::tm& now,
                                                          Namespaces* namespaces) {
  std::map<std::string, Value, std::less<>> made;
  made["range"] = Make(MakeRange);
  made["dict"] = Make([](Arguments arguments, Budget& budget) {
    return MakeMapping(Pairs(std::move(arguments), budget), budget);
  });
  made["namespace"] = Make([namespaces](Arguments arguments, Budget& budget) {
    return MakeNamespace(std::move(arguments), namespaces, budget);
  });
  made["cycler"] = Make(MakeCycler);
  made["joiner"] = Make(MakeJoiner);
  made["lipsum"] = Make(
      [](Arguments, Budget&) -> Value { throw Failure{"the function 'lipsum' is not supported"}; });
  made["raise_exception"] = Make([](Arguments arguments, Budget& budget) -> Value {
    const Parameters given("raise_exception", {"message"}, std::move(arguments), 1);
    throw Failure{Str(given[0], budget)};
  });
  made["strftime_now"] = Make([&now](Arguments arguments, Budget& budget) {
    const Parameters given("strftime_now", {"format"}, std::move(arguments), 1);
    return MakeText(TimeText(now, given.TextIfAny(0).value_or("")), budget);
  });
  return made;
}

}  // namespace dashf::jinja
