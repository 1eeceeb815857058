// The functions that every template finds: range, dict, namespace, cycler, joiner, raise_exception
// and strftime_now, as transformers' environment has them. Internal to this module.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/arguments.h"

namespace dashf::jinja {

// What {% set ns.x = ... %} changes.
class Namespace : public Object {
 public:
  std::string_view type() const override { return "Namespace"; }
  std::optional<Value> Attribute(std::string_view name, Budget& budget) override;
  // Names that begin with an underscore are refused, as transformers does.
  void Assign(const std::string& name, Value value);

  std::map<std::string, Value, std::less<>> values;
};

// Owns the namespaces of one rendering, which may hold each other in a ring.
using Namespaces = std::vector<std::shared_ptr<Namespace>>;

// `now` must outlive what is made; so must `namespaces`.
std::map<std::string, Value, std::less<>> MakeEnvironment(const std::tm& now,
                                                          Namespaces* namespaces);

}  // namespace dashf::jinja
