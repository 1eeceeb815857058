#include "jinja/loop.h"

#include <algorithm>

namespace dashf::jinja {

LoopContext::LoopContext(std::vector<Value> items, Admit admit, Recurse recurse, int depth0)
    : items_(std::move(items)),
      admit_(std::move(admit)),
      recurse_(std::move(recurse)),
      depth0_(depth0) {}

std::optional<Value> LoopContext::Fetch() {
  while (next_ < items_.size()) {
    Value item = items_[next_++];
    if (!admit_ || admit_(item)) return item;
  }
  return std::nullopt;
}

const std::optional<Value>& LoopContext::Ahead() {
  if (!has_ahead_) ahead_ = Fetch();
  has_ahead_ = true;
  return ahead_;
}

bool LoopContext::Advance() {
  std::optional<Value> next = has_ahead_ ? std::move(ahead_) : Fetch();
  has_ahead_ = false;
  ahead_.reset();
  if (!next) return false;
  ++index0_;
  before_ = std::move(current_);
  current_ = std::move(*next);
  return true;
}

std::int64_t LoopContext::Count() {
  if (length_ >= 0) return length_;
  if (admit_) {  // What is still to come is fetched and kept.
    std::vector<Value> rest;
    while (auto item = Fetch()) rest.push_back(std::move(*item));
    items_ = std::move(rest);
    next_ = 0;
    admit_ = nullptr;
    length_ = static_cast<std::int64_t>(items_.size()) + index0_ + 1 + (ahead_ ? 1 : 0);
  } else {
    length_ = static_cast<std::int64_t>(items_.size());
  }
  return length_;
}

std::optional<Value> LoopContext::Attribute(std::string_view name, Budget& budget) {
  if (name == "index") return MakeInteger(index0_ + 1);
  if (name == "index0") return MakeInteger(index0_);
  if (name == "first") return MakeBool(index0_ == 0);
  if (name == "last") return MakeBool(!Ahead());
  if (name == "length") return MakeInteger(Count());
  if (name == "revindex") return MakeInteger(Count() - index0_);
  if (name == "revindex0") return MakeInteger(Count() - index0_ - 1);
  if (name == "depth") return MakeInteger(depth0_ + 1);
  if (name == "depth0") return MakeInteger(depth0_);
  if (name == "previtem")
    return index0_ == 0 ? MakeUndefined("there is no previous item") : before_;
  if (name == "nextitem") return Ahead().value_or(MakeUndefined("there is no next item"));
  if (name == "cycle") {
    return MakeObject(std::make_shared<Function>([index = index0_](Arguments arguments, Budget&) {
      const std::vector<Value>& items = arguments.positional;
      if (items.empty()) throw Failure{"no items for cycling given"};
      return items[static_cast<std::size_t>(index) % items.size()];
    }));
  }
  if (name == "changed") {
    budget.Spend();
    return MakeObject(std::make_shared<Function>([this](Arguments arguments, Budget& spent) {
      const bool same =
          changed_ && std::ranges::equal(*changed_, arguments.positional, [&](auto& a, auto& b) {
            return Equal(a, b, spent);
          });
      changed_ = std::move(arguments.positional);
      return MakeBool(!same);
    }));
  }
  return std::nullopt;
}

Value LoopContext::Call(Arguments arguments, Budget&) {
  const Parameters given("loop", {"iterable"}, std::move(arguments), 1);
  if (!recurse_) {
    throw Failure{"the loop must have the 'recursive' marker to be called recursively"};
  }
  return recurse_(given[0], depth0_ + 1);
}

}  // namespace dashf::jinja
