// The expressions of a template.
#include <fmt/format.h>

#include "base/check.h"
#include "jinja/filters.h"
#include "jinja/interpreter.h"
#include "jinja/operators.h"
#include "jinja/tests.h"

namespace dashf::jinja {

Value Interpreter::Evaluate(const Expression& expression, const ScopePointer& scope) {
  const Descent descent(budget_);
  budget_.Spend();
  budget_.line = expression.line;
  const auto part = [&](std::size_t i) { return Evaluate(*expression.parts[i], scope); };
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.constant;
    case ExpressionKind::kName:
      return Lookup(expression.text, scope);
    case ExpressionKind::kAttribute: {
      const Value subject = part(0);
      budget_.line = expression.line;
      return GetAttribute(subject, expression.text, budget_);
    }
    case ExpressionKind::kItem: {
      const Value subject = part(0), key = part(1);
      budget_.line = expression.line;
      return GetItem(subject, key, budget_);
    }
    case ExpressionKind::kAnd: {
      const Value left = part(0);
      return Truth(left) ? part(1) : left;
    }
    case ExpressionKind::kOr: {
      const Value left = part(0);
      return Truth(left) ? left : part(1);
    }
    case ExpressionKind::kNot:
      return MakeBool(!Truth(part(0)));
    case ExpressionKind::kConditional:
      if (Truth(part(0))) return part(1);
      if (expression.parts[2] != nullptr) return part(2);
      return MakeUndefined("the inline if-expression evaluated to false and has no else");
    default:
      return EvaluateOperation(expression, scope);
  }
}

Value Interpreter::EvaluateOperation(const Expression& expression, const ScopePointer& scope) {
  const auto part = [&](std::size_t i) { return Evaluate(*expression.parts[i], scope); };
  switch (expression.kind) {
    case ExpressionKind::kSlice:
      return EvaluateSlice(expression, scope);
    case ExpressionKind::kCall: {
      const Value function = part(0);
      Arguments arguments = EvaluateArguments(expression.arguments, scope);
      budget_.line = expression.line;
      return Call(function, std::move(arguments), budget_);
    }
    case ExpressionKind::kFilter:
      return EvaluateFilter(expression, scope, nullptr);
    case ExpressionKind::kTest: {
      const Value subject = part(0);
      Arguments arguments = EvaluateArguments(expression.arguments, scope);
      arguments.positional.insert(arguments.positional.begin(), subject);
      budget_.line = expression.line;
      return MakeBool(PassesTest(expression.text, std::move(arguments), budget_));
    }
    case ExpressionKind::kList:
    case ExpressionKind::kTuple: {
      std::vector<Value> items;
      for (std::size_t i = 0; i < expression.parts.size(); ++i) items.push_back(part(i));
      return expression.kind == ExpressionKind::kList ? MakeList(std::move(items), budget_)
                                                      : MakeTuple(std::move(items), budget_);
    }
    case ExpressionKind::kDict:
      return EvaluateDict(expression, scope);
    case ExpressionKind::kNegative:
      return Negated(part(0));
    case ExpressionKind::kPositive: {
      const Value value = part(0);
      if (value.IsWhole()) return MakeInteger(value.whole());
      return value.Is<double>() ? value : Negated(value);  // Which fails.
    }
    case ExpressionKind::kConcat:
      return EvaluateConcat(expression, scope);
    case ExpressionKind::kArithmetic: {
      const Value left = part(0), right = part(1);
      budget_.line = expression.line;
      return Arithmetic(expression.text, left, right, budget_);
    }
    case ExpressionKind::kComparison:
      return MakeBool(Compares(expression, scope));
    default:
      DASHF_CHECK(false);
  }
}

Value Interpreter::EvaluateFilter(const Expression& expression,
                                  const ScopePointer& scope,
                                  const Value* block) {
  const Descent descent(budget_);
  Value subject;
  if (expression.parts[0] == nullptr) {
    subject = *block;
  } else if (block != nullptr) {
    subject = EvaluateFilter(*expression.parts[0], scope, block);
  } else {
    subject = Evaluate(*expression.parts[0], scope);
  }
  Arguments arguments = EvaluateArguments(expression.arguments, scope);
  arguments.positional.insert(arguments.positional.begin(), std::move(subject));
  budget_.line = expression.line;
  return ApplyFilter(expression.text, std::move(arguments), budget_);
}

Value Interpreter::EvaluateSlice(const Expression& expression, const ScopePointer& scope) {
  const Value subject = Evaluate(*expression.parts[0], scope);
  Value bounds[3];
  const Value* given[3] = {};
  for (std::size_t i = 0; i < 3; ++i) {
    if (expression.parts[i + 1] == nullptr) continue;
    bounds[i] = Evaluate(*expression.parts[i + 1], scope);
    given[i] = &bounds[i];
  }
  budget_.line = expression.line;
  return GetSlice(subject, given[0], given[1], given[2], budget_);
}

Value Interpreter::EvaluateDict(const Expression& expression, const ScopePointer& scope) {
  std::vector<std::pair<Value, Value>> items;
  for (std::size_t i = 0; i < expression.parts.size(); i += 2) {
    Value key = Evaluate(*expression.parts[i], scope);
    Set(&items, std::move(key), Evaluate(*expression.parts[i + 1], scope), budget_);
  }
  return MakeMapping(std::move(items), budget_);
}

Value Interpreter::EvaluateConcat(const Expression& expression, const ScopePointer& scope) {
  std::string text;
  for (const ExpressionPointer& part : expression.parts) {
    text += Str(Evaluate(*part, scope), budget_);
  }
  return MakeText(std::move(text), budget_);
}

bool Interpreter::Compares(const Expression& expression, const ScopePointer& scope) {
  Value left = Evaluate(*expression.parts[0], scope);
  for (std::size_t i = 0; i < expression.operators.size(); ++i) {
    const std::string& sign = expression.operators[i];
    Value right = Evaluate(*expression.parts[i + 1], scope);
    budget_.line = expression.line;
    bool holds = false;
    if (sign == "==" || sign == "!=") {
      holds = Equal(left, right, budget_) == (sign == "==");
    } else if (sign == "in" || sign == "not in") {
      holds = Contains(right, left, budget_) == (sign == "in");
    } else {
      const int order = Compare(left, right, budget_);
      holds = order != 2 && (sign == "<"    ? order < 0
                             : sign == "<=" ? order <= 0
                             : sign == ">"  ? order > 0
                                            : order >= 0);
    }
    if (!holds) return false;
    left = std::move(right);
  }
  return true;
}

Arguments Interpreter::EvaluateArguments(const CallArguments& call, const ScopePointer& scope) {
  Arguments arguments;
  for (const ExpressionPointer& each : call.positional) {
    arguments.positional.push_back(Evaluate(*each, scope));
  }
  for (const auto& [name, each] : call.named) {
    arguments.named.emplace_back(name, Evaluate(*each, scope));
  }
  if (call.more_positional != nullptr) {
    for (Value& each : Items(Evaluate(*call.more_positional, scope), budget_)) {
      arguments.positional.push_back(std::move(each));
    }
  }
  if (call.more_named != nullptr) {
    const Value more = Evaluate(*call.more_named, scope);
    if (more.mapping() == nullptr) throw Failure{"** needs a mapping"};
    for (const auto& [name, value] : more.mapping()->items) {
      if (!name.IsText()) throw Failure{"keywords must be strings"};
      for (const auto& [given, unused] : arguments.named) {
        if (given == name.text()) throw Failure{fmt::format("argument '{}' is given twice", given)};
      }
      arguments.named.emplace_back(std::string(name.text()), value);
    }
  }
  return arguments;
}

}  // namespace dashf::jinja
