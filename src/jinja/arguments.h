// What filters, tests, methods and functions are called with. Internal to this module.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/value.h"

namespace dashf::jinja {

// A call's arguments by the parameters' names; the first `required` must be there. Throws Failure
// as Python would: too many, unknown, twice or missing.
class Parameters {
 public:
  Parameters(std::string_view function,
             std::initializer_list<std::string_view> names,
             Arguments arguments,
             std::size_t required = 0);

  // Null where it is not given.
  const Value* Get(std::size_t index) const { return given_[index] ? &values_[index] : nullptr; }
  const Value& operator[](std::size_t index) const { return values_[index]; }
  // What is given, or else `otherwise`; fails for another type than the name says.
  bool Flag(std::size_t index, bool otherwise) const;  // By its truth.
  std::int64_t Integer(std::size_t index, std::int64_t otherwise) const;
  // Nothing where it is not given or none.
  std::optional<std::string_view> TextIfAny(std::size_t index) const;

 private:
  std::string function_;
  std::vector<Value> values_;
  std::vector<bool> given_;
};

// A function of the template's environment or a method of a value.
class Function : public Object {
 public:
  using Body = std::function<Value(Arguments, Budget&)>;
  explicit Function(Body body) : body_(std::move(body)) {}
  std::string_view type() const override { return "function"; }
  bool callable() const override { return true; }
  Value Call(Arguments arguments, Budget& budget) override {
    return body_(std::move(arguments), budget);
  }

 private:
  Body body_;
};

}  // namespace dashf::jinja
