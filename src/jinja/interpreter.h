// Carries a parsed template out. Internal to this module.
#pragma once

#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/environment.h"
#include "jinja/parser.h"

namespace dashf::jinja {

// The names of one block; those that are not there are looked for around it.
struct Scope {
  std::shared_ptr<Scope> around;
  std::map<std::string, Value, std::less<>> names;
};
using ScopePointer = std::shared_ptr<Scope>;

// One rendering. Throws Failure.
class Interpreter {
 public:
  using Variables = std::map<std::string, Value, std::less<>>;
  Interpreter(const Program& program, Variables variables, const std::tm& now, Budget& budget);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  std::string Run();
  // Where {% generation %} blocks stand in what Run gave, in bytes.
  const std::vector<std::pair<std::size_t, std::size_t>>& generations() const {
    return generations_;
  }

  // A macro or the body of a call block, with its parameters set by `arguments`.
  Value CallMacro(const Statement& macro, const ScopePointer& around, Arguments arguments);
  // A recursive loop, called with what it is to go through.
  Value CallLoop(const Statement& loop, const ScopePointer& around, const Value& items, int depth);

 private:
  enum class Flow { kOn, kBreak, kContinue };

  Flow Execute(const Body& body, const ScopePointer& scope);
  Flow Execute(const Statement& statement, const ScopePointer& scope);
  Flow ExecuteIf(const Statement& statement, const ScopePointer& scope);
  Flow ExecuteFor(const Statement& statement, const ScopePointer& scope);
  void Loop(const Statement& statement, const ScopePointer& scope, const Value& items, int depth);
  Flow ExecuteWith(const Statement& statement, const ScopePointer& scope);
  void ExecuteCallBlock(const Statement& statement, const ScopePointer& scope);
  void ExecuteGeneration(const Statement& statement, const ScopePointer& scope);
  // The output of a body, instead of the rendering's; nothing if the body leaves its loop.
  std::optional<std::string> Captured(const Body& body, const ScopePointer& scope, Flow* flow);
  void Write(std::string_view text);

  Value Evaluate(const Expression& expression, const ScopePointer& scope);
  Value EvaluateOperation(const Expression& expression, const ScopePointer& scope);
  Value EvaluateFilter(const Expression& expression, const ScopePointer& scope, const Value* block);
  Value EvaluateSlice(const Expression& expression, const ScopePointer& scope);
  Value EvaluateDict(const Expression& expression, const ScopePointer& scope);
  Value EvaluateConcat(const Expression& expression, const ScopePointer& scope);
  bool Compares(const Expression& expression, const ScopePointer& scope);
  Arguments EvaluateArguments(const CallArguments& arguments, const ScopePointer& scope);
  Value Lookup(const std::string& name, const ScopePointer& scope);
  void Assign(const Expression& target, const Value& value, const ScopePointer& scope);
  Value MakeMacro(const Statement& statement, const ScopePointer& scope);

  const Program& program_;
  Variables variables_;
  Namespaces namespaces_;
  Variables environment_;
  Budget& budget_;
  std::vector<ScopePointer> captured_scopes_;  // Of macros, which may hold them in turn.
  std::string* output_ = nullptr;
  int captures_ = 0;
  std::vector<std::pair<std::size_t, std::size_t>> generations_;
};

}  // namespace dashf::jinja
