// The `loop` of a for-statement. Internal to this module.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "jinja/arguments.h"

namespace dashf::jinja {

// As jinja2's LoopContext: items come one by one, and one is fetched ahead only where it is asked
// for.
class LoopContext : public Object {
 public:
  using Admit = std::function<bool(const Value&)>;          // The loop's own condition.
  using Recurse = std::function<Value(const Value&, int)>;  // With the depth; empty: not recursive.

  LoopContext(std::vector<Value> items, Admit admit, Recurse recurse, int depth0);

  std::string_view type() const override { return "LoopContext"; }
  std::optional<Value> Attribute(std::string_view name, Budget& budget) override;
  bool callable() const override { return true; }
  Value Call(Arguments arguments, Budget& budget) override;

  bool Advance();  // To the next item, if any.
  const Value& current() const { return current_; }

 private:
  std::optional<Value> Fetch();
  const std::optional<Value>& Ahead();
  std::int64_t Count();

  std::vector<Value> items_;
  std::size_t next_ = 0;
  Admit admit_;
  Recurse recurse_;
  int depth0_;
  std::int64_t index0_ = -1;
  std::int64_t length_ = -1;  // -1: not asked for yet.
  Value current_;
  Value before_;
  bool has_ahead_ = false;  // Ahead() was asked for, and ahead_ is what follows, or nothing.
  std::optional<Value> ahead_;
  std::optional<std::vector<Value>> changed_;
};

}  // namespace dashf::jinja
