#include "jinja/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "jinja/loop.h"
#include "jinja/operators.h"

namespace dashf::jinja {
namespace {

ScopePointer Inside(const ScopePointer& around) {
  auto scope = std::make_shared<Scope>();
  scope->around = around;
  return scope;
}

class Macro : public Object {
 public:
  Macro(Interpreter* interpreter, const Statement* statement, ScopePointer around)
      : interpreter_(interpreter), statement_(statement), around_(std::move(around)) {}
  std::string_view type() const override { return "Macro"; }
  bool callable() const override { return true; }
  std::optional<Value> Attribute(std::string_view name, Budget& budget) override {
    if (name == "name") return MakeText(statement_->text, budget);
    if (name == "arguments" || name == "catch_kwargs" || name == "catch_varargs" ||
        name == "caller") {
      throw Failure{fmt::format("the attribute '{}' of a macro is not supported", name)};
    }
    return std::nullopt;
  }
  Value Call(Arguments arguments, Budget&) override {
    return interpreter_->CallMacro(*statement_, around_, std::move(arguments));
  }

 private:
  Interpreter* interpreter_;
  const Statement* statement_;
  ScopePointer around_;
};

// The value of a named argument, if it is given; it goes from the arguments.
bool TakeNamed(Arguments* arguments, std::string_view name, Value* value) {
  const auto found = std::ranges::find_if(arguments->named,
                                          [name](const auto& each) { return each.first == name; });
  if (found == arguments->named.end()) return false;
  *value = std::move(found->second);
  arguments->named.erase(found);
  return true;
}

}  // namespace

Interpreter::Interpreter(const Program& program,
                         Variables variables,
                         const std::tm& now,
                         Budget& budget)
    : program_(program),
      variables_(std::move(variables)),
      environment_(MakeEnvironment(now, &namespaces_)),
      budget_(budget) {}

Interpreter::~Interpreter() {  // Namespaces and scopes may hold each other in a ring.
  for (const auto& each : namespaces_) std::exchange(each->values, {}).clear();
  for (const ScopePointer& scope : captured_scopes_) std::exchange(scope->names, {}).clear();
}

std::string Interpreter::Run() {
  std::string output;
  output_ = &output;
  const ScopePointer scope = Inside(nullptr);
  captured_scopes_.push_back(scope);
  Execute(program_.body, scope);
  return output;
}

void Interpreter::Write(std::string_view text) {
  budget_.SpendBytes(text.size());
  if (output_->size() + text.size() > budget_.limits().bytes) {
    budget_.SpendBytes(budget_.limits().bytes + 1);  // Fails.
  }
  *output_ += text;
}

std::optional<std::string> Interpreter::Captured(const Body& body,
                                                 const ScopePointer& scope,
                                                 Flow* flow) {
  std::string captured;
  std::string* const outside = std::exchange(output_, &captured);
  ++captures_;
  *flow = Execute(body, scope);
  --captures_;
  output_ = outside;
  return *flow == Flow::kOn ? std::optional(std::move(captured)) : std::nullopt;
}

Interpreter::Flow Interpreter::Execute(const Body& body, const ScopePointer& scope) {
  const Descent descent(budget_);
  for (const auto& statement : body) {
    budget_.Spend();
    budget_.line = statement->line;
    if (const Flow flow = Execute(*statement, scope); flow != Flow::kOn) return flow;
  }
  return Flow::kOn;
}

Interpreter::Flow Interpreter::Execute(const Statement& statement, const ScopePointer& scope) {
  Flow flow = Flow::kOn;
  switch (statement.kind) {
    case StatementKind::kData:
      Write(statement.text);
      return flow;
    case StatementKind::kOutput:
      Write(Str(Evaluate(*statement.value, scope), budget_));
      return flow;
    case StatementKind::kIf:
      return ExecuteIf(statement, scope);
    case StatementKind::kFor:
      return ExecuteFor(statement, scope);
    case StatementKind::kSet:
      Assign(*statement.target, Evaluate(*statement.value, scope), scope);
      return flow;
    case StatementKind::kSetBlock:
    case StatementKind::kFilterBlock: {
      auto text = Captured(statement.bodies[0], Inside(scope), &flow);
      if (!text) return flow;
      Value value = MakeText(std::move(*text), budget_);
      if (statement.value != nullptr) value = EvaluateFilter(*statement.value, scope, &value);
      if (statement.kind == StatementKind::kFilterBlock) {
        Write(Str(value, budget_));
      } else {
        Assign(*statement.target, value, scope);
      }
      return flow;
    }
    case StatementKind::kWith:
      return ExecuteWith(statement, scope);
    case StatementKind::kMacro:
      scope->names[statement.text] = MakeMacro(statement, scope);
      return flow;
    case StatementKind::kCallBlock:
      ExecuteCallBlock(statement, scope);
      return flow;
    case StatementKind::kGeneration:
      ExecuteGeneration(statement, scope);
      return flow;
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
  }
  DASHF_CHECK(false);
}

Interpreter::Flow Interpreter::ExecuteIf(const Statement& statement, const ScopePointer& scope) {
  for (std::size_t i = 0; i < statement.conditions.size(); ++i) {
    if (Truth(Evaluate(*statement.conditions[i], scope))) {
      return Execute(statement.bodies[i], scope);
    }
  }
  return statement.bodies.size() > statement.conditions.size()
             ? Execute(statement.bodies.back(), scope)
             : Flow::kOn;
}

Interpreter::Flow Interpreter::ExecuteWith(const Statement& statement, const ScopePointer& scope) {
  const ScopePointer inner = Inside(scope);
  for (std::size_t i = 0; i < statement.targets.size(); ++i) {
    Assign(*statement.targets[i], Evaluate(*statement.conditions[i], scope), inner);
  }
  return Execute(statement.bodies[0], inner);
}

Interpreter::Flow Interpreter::ExecuteFor(const Statement& statement, const ScopePointer& scope) {
  Loop(statement, scope, Evaluate(*statement.value, scope), 0);
  return Flow::kOn;
}

void Interpreter::Loop(const Statement& statement,
                       const ScopePointer& scope,
                       const Value& items,
                       int depth) {
  LoopContext::Admit admit;
  if (statement.test != nullptr) {
    admit = [&](const Value& item) {
      const ScopePointer inner = Inside(scope);
      Assign(*statement.target, item, inner);
      return Truth(Evaluate(*statement.test, inner));
    };
  }
  LoopContext::Recurse recurse;
  if (statement.recursive) {
    recurse = [this, &statement, scope](const Value& inner, int inner_depth) {
      return CallLoop(statement, scope, inner, inner_depth);
    };
  }
  const auto loop = std::make_shared<LoopContext>(
      Items(items, budget_), std::move(admit), std::move(recurse), depth);
  loop->depth = items.sequence() != nullptr ? items.sequence()->depth + 1 : 2;
  bool any = false;
  while (loop->Advance()) {
    any = true;
    budget_.Spend();
    const ScopePointer inner = Inside(scope);
    Assign(*statement.target, loop->current(), inner);
    inner->names["loop"] = MakeObject(loop);
    if (Execute(statement.bodies[0], inner) == Flow::kBreak) break;
  }
  if (!any) Execute(statement.bodies[1], Inside(scope));
}

Value Interpreter::CallLoop(const Statement& loop,
                            const ScopePointer& around,
                            const Value& items,
                            int depth) {
  std::string text;
  std::string* const outside = std::exchange(output_, &text);
  ++captures_;
  Loop(loop, around, items, depth);
  --captures_;
  output_ = outside;
  return MakeText(std::move(text), budget_);
}

Value Interpreter::MakeMacro(const Statement& statement, const ScopePointer& scope) {
  captured_scopes_.push_back(scope);
  return MakeObject(std::make_shared<Macro>(this, &statement, scope));
}

Value Interpreter::CallMacro(const Statement& macro,
                             const ScopePointer& around,
                             Arguments arguments) {
  const Signature& signature = macro.signature;
  const ScopePointer scope = Inside(around);
  const std::size_t count = signature.names.size();
  const std::size_t first_default = count - signature.defaults.size();
  bool has_caller = false;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& name = signature.names[i];
    has_caller |= name == "caller";
    if (i < arguments.positional.size()) {
      scope->names[name] = arguments.positional[i];
    } else if (TakeNamed(&arguments, name, &scope->names[name])) {
      continue;
    } else if (i < first_default) {
      scope->names[name] = MakeUndefined(fmt::format("parameter '{}' was not provided", name));
    } else {
      scope->names.erase(name);  // A default sees what stands around, not itself.
      scope->names[name] = Evaluate(*signature.defaults[i - first_default], scope);
    }
  }
  if (signature.uses_caller && !has_caller) {
    Value& caller = scope->names["caller"];
    if (!TakeNamed(&arguments, "caller", &caller)) caller = MakeUndefined("No caller defined");
  }
  if (signature.uses_kwargs) {
    std::vector<std::pair<Value, Value>> named;
    for (auto& [name, value] : arguments.named) {
      named.emplace_back(MakeText(name, budget_), std::move(value));
    }
    scope->names["kwargs"] = MakeMapping(std::move(named), budget_);
  } else if (!arguments.named.empty()) {
    throw Failure{fmt::format(
        "macro '{}' takes no argument '{}' here", macro.text, arguments.named.front().first)};
  }
  std::vector<Value> more;
  for (std::size_t i = count; i < arguments.positional.size(); ++i) {
    more.push_back(std::move(arguments.positional[i]));
  }
  if (!more.empty() && !signature.uses_varargs) {
    throw Failure{fmt::format("macro '{}' takes not more than {} arguments", macro.text, count)};
  }
  if (signature.uses_varargs) scope->names["varargs"] = MakeTuple(std::move(more), budget_);
  Flow flow = Flow::kOn;
  return MakeText(Captured(macro.bodies[0], scope, &flow).value_or(""), budget_);
}

void Interpreter::ExecuteCallBlock(const Statement& statement, const ScopePointer& scope) {
  const Expression& call = *statement.value;
  const Value function = Evaluate(*call.parts[0], scope);
  Arguments arguments = EvaluateArguments(call.arguments, scope);
  arguments.named.emplace_back("caller", MakeMacro(statement, scope));
  Write(Str(Call(function, std::move(arguments), budget_), budget_));
}

void Interpreter::ExecuteGeneration(const Statement& statement, const ScopePointer& scope) {
  if (captures_ > 0) {
    throw Failure{"{% generation %} within a macro or a captured block is not supported"};
  }
  const std::size_t begin = output_->size();
  Execute(statement.bodies[0], Inside(scope));
  generations_.emplace_back(begin, output_->size());
}

Value Interpreter::Lookup(const std::string& name, const ScopePointer& scope) {
  for (const Scope* at = scope.get(); at != nullptr; at = at->around.get()) {
    if (const auto found = at->names.find(name); found != at->names.end()) return found->second;
  }
  for (const Variables* names : {&variables_, &environment_}) {
    if (const auto found = names->find(name); found != names->end()) return found->second;
  }
  return MakeUndefined(fmt::format("'{}' is undefined", name));
}

void Interpreter::Assign(const Expression& target, const Value& value, const ScopePointer& scope) {
  if (target.kind == ExpressionKind::kName) {
    scope->names[target.text] = value;
    return;
  }
  if (target.kind == ExpressionKind::kNamespaceItem) {
    const Value subject = Evaluate(*target.parts[0], scope);
    auto* found = dynamic_cast<Namespace*>(subject.object());
    if (found == nullptr) throw Failure{"cannot assign attribute on non-namespace object"};
    found->Assign(target.text, value);
    return;
  }
  const std::vector<Value> items = Items(value, budget_);
  if (items.size() != target.parts.size()) {
    throw Failure{
        fmt::format("{} values cannot be unpacked to {} names", items.size(), target.parts.size())};
  }
  for (std::size_t i = 0; i < items.size(); ++i) Assign(*target.parts[i], items[i], scope);
}

}  // namespace dashf::jinja
