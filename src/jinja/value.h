// The values of a template while it is carried out: Python's, as far as templates meet them. Texts,
// sequences and mappings never change (the reference's environment is immutable, too), so they are
// shared. Internal to this module.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "jinja/budget.h"

namespace dashf::jinja {

class Object;
struct Sequence;
struct Mapping;
struct Iteration;

// What a name or an attribute that is not there gives; most uses of it fail, and say why.
struct Undefined {
  std::shared_ptr<const std::string> why;
};
struct None {};
// Valid UTF-8. `safe`: markupsafe's Markup, which escapes what is added to it.
struct Text {
  std::shared_ptr<const std::string> utf8;
  bool safe = false;
};

struct Value {
  using Data = std::variant<Undefined,
                            None,
                            bool,
                            std::int64_t,
                            double,
                            Text,
                            std::shared_ptr<const Sequence>,
                            std::shared_ptr<const Mapping>,
                            std::shared_ptr<Iteration>,
                            std::shared_ptr<Object>>;
  Data data;

  template <class T>
  bool Is() const {
    return std::holds_alternative<T>(data);
  }
  bool IsText() const { return Is<Text>(); }
  bool IsSafe() const { return IsText() && std::get<Text>(data).safe; }
  std::string_view text() const { return *std::get<Text>(data).utf8; }
  // Null unless it is one.
  const Sequence* sequence() const { return Pointer<std::shared_ptr<const Sequence>>(); }
  const Mapping* mapping() const { return Pointer<std::shared_ptr<const Mapping>>(); }
  Iteration* iteration() const { return Pointer<std::shared_ptr<Iteration>>(); }
  Object* object() const { return Pointer<std::shared_ptr<Object>>(); }
  bool IsNumber() const { return Is<bool>() || Is<std::int64_t>() || Is<double>(); }
  bool IsWhole() const {
    return Is<bool>() || Is<std::int64_t>();
  }  // bool is one of Python's ints.
  std::int64_t whole() const {
    return Is<bool>() ? static_cast<std::int64_t>(std::get<bool>(data))
                      : std::get<std::int64_t>(data);
  }
  double number() const {
    return Is<double>() ? std::get<double>(data) : static_cast<double>(whole());
  }

 private:
  template <class P>
  typename P::element_type* Pointer() const {
    const P* found = std::get_if<P>(&data);
    return found == nullptr ? nullptr : found->get();
  }
};

enum class SequenceKind { kList, kTuple, kRange, kKeys, kValues, kItems };

struct Sequence {
  SequenceKind kind = SequenceKind::kList;
  std::vector<Value> items;
  int depth = 1;  // Containers within each other, this one included.

  bool IsView() const {
    return kind >= SequenceKind::kKeys;
  }  // Of a dict: neither index nor slice.
};

struct Mapping {
  std::vector<std::pair<Value, Value>> items;  // In the order of insertion, as Python's dict.
  int depth = 1;
};

// Python's generators and iterators: each item can be had once.
struct Iteration {
  std::vector<Value> items;
  std::size_t next = 0;
  int depth = 1;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// What a template can call or ask for attributes, beside the values above.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type() const = 0;  // Python's name of it.
  virtual std::optional<Value> Attribute(std::string_view name, Budget& budget);
  virtual bool callable() const { return false; }
  virtual Value Call(Arguments arguments, Budget& budget);  // Only if callable.
  int depth = 1;
};

Value MakeUndefined(std::string why);
Value MakeNone();
Value MakeBool(bool flag);
Value MakeInteger(std::int64_t number);
Value MakeFloat(double number);
// Each pays for what it makes and refuses what goes beyond the limits.
Value MakeText(std::string utf8, Budget& budget, bool safe = false);
Value MakeSequence(SequenceKind kind, std::vector<Value> items, Budget& budget);
Value MakeList(std::vector<Value> items, Budget& budget);
Value MakeTuple(std::vector<Value> items, Budget& budget);
Value MakeMapping(std::vector<std::pair<Value, Value>> items, Budget& budget);  // Keys differ.
Value MakeIteration(std::vector<Value> items, Budget& budget);
Value MakeObject(std::shared_ptr<Object> object);

// Sets the key's value, in its place if it is there. Keys must be hashable.
void Set(std::vector<std::pair<Value, Value>>* items, Value key, Value value, Budget& budget);
// Null where the key is not there; fails if it is not hashable.
const Value* Find(const Mapping& mapping, const Value& key, Budget& budget);
const Value* Find(const Mapping& mapping, std::string_view key, Budget& budget);

std::string_view TypeName(const Value& value);  // Python's: "str", "NoneType", "dict", ...
bool Truth(const Value& value);
// Python's == and its order; Compare fails where Python has none. -1, 0, 1; 2: not comparable
// (NaN).
bool Equal(const Value& left, const Value& right, Budget& budget);
int Compare(const Value& left, const Value& right, Budget& budget);
bool Contains(const Value& container, const Value& item, Budget& budget);
// len(); nothing where the type has none.
std::optional<std::int64_t> Length(const Value& value, Budget& budget);
bool IsIterable(const Value& value);
// What a loop over the value meets; an Iteration is used up by it.
std::vector<Value> Items(const Value& value, Budget& budget);

std::string Str(const Value& value, Budget& budget);   // Python's str().
std::string Repr(const Value& value, Budget& budget);  // Python's repr().

}  // namespace dashf::jinja
