// A template as a tree. Internal to this module.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace dashf::jinja {

struct Expression;
using ExpressionPointer = std::unique_ptr<const Expression>;

enum class ExpressionKind {
  kConstant,
  kName,           // text
  kAttribute,      // parts[0] . text
  kItem,           // parts[0] [ parts[1] ]
  kSlice,          // parts[0] [ parts[1] : parts[2] : parts[3] ], each of the three may be null
  kCall,           // parts[0] ( arguments )
  kFilter,         // parts[0] | text ( arguments ); parts[0] null: of a block
  kTest,           // parts[0] is text ( arguments )
  kList,           // parts
  kTuple,          // parts
  kDict,           // parts: key, value, key, value ...
  kNot,            // parts[0]
  kNegative,       // parts[0]
  kPositive,       // parts[0]
  kAnd,            // parts[0], parts[1]
  kOr,             // parts[0], parts[1]
  kConcat,         // parts, as texts
  kArithmetic,     // parts[0] text parts[1]
  kComparison,     // parts[0] operators[0] parts[1] operators[1] parts[2] ...
  kConditional,    // parts[1] if parts[0] else parts[2], which may be null
  kNamespaceItem,  // parts[0] . text, as what is assigned to
};

struct CallArguments {
  std::vector<ExpressionPointer> positional;
  std::vector<std::pair<std::string, ExpressionPointer>> named;
  ExpressionPointer more_positional;  // *expression, or null.
  ExpressionPointer more_named;       // **expression, or null.
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  int line = 1;
  int depth = 1;  // Of the tree from here on.
  std::string text;
  Value constant;
  std::vector<ExpressionPointer> parts;
  std::vector<std::string> operators;
  CallArguments arguments;
};

struct Statement;
using Body = std::vector<std::unique_ptr<const Statement>>;

enum class StatementKind {
  kData,         // text
  kOutput,       // value
  kIf,           // branches: conditions[i] guards bodies[i]; one body more: else
  kFor,          // target in value if test: bodies[0], else bodies[1]
  kSet,          // target = value
  kSetBlock,     // target = bodies[0], through the filters of value (or null)
  kWith,         // targets = conditions, for bodies[0]
  kFilterBlock,  // bodies[0] through the filters of value
  kMacro,        // text ( signature ): bodies[0]
  kCallBlock,    // value is the call, signature its caller's: bodies[0]
  kGeneration,   // bodies[0] is the assistant's
  kBreak,
  kContinue,
};

// Parameters from `names.size() - defaults.size()` on have defaults.
struct Signature {
  std::vector<std::string> names;
  std::vector<ExpressionPointer> defaults;
  // What the body asks for beyond the names.
  bool uses_caller = false;
  bool uses_varargs = false;
  bool uses_kwargs = false;
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  int line = 1;
  std::string text;
  ExpressionPointer target;
  ExpressionPointer value;
  ExpressionPointer test;
  bool recursive = false;
  std::vector<ExpressionPointer> targets;
  std::vector<ExpressionPointer> conditions;
  std::vector<Body> bodies;
  Signature signature;
};

}  // namespace dashf::jinja
