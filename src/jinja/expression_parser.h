// The expressions of a template, by jinja2's grammar. Internal to this module.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/syntax.h"

namespace dashf::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Current() const { return tokens_[at_]; }
  const Token& Next() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token Take();
  bool IsName(std::string_view name) const;
  bool IsOperator(std::string_view sign) const;
  bool TakeName(std::string_view name);      // If it is next.
  bool TakeOperator(std::string_view sign);  // If it is next.
  std::string ExpectName();
  void ExpectOperator(std::string_view sign);
  void Expect(TokenKind kind, std::string_view what);
  [[noreturn]] void Refuse(std::string rule) const;

  ExpressionPointer Expr(bool conditional = true);
  // One expression, or several with commas between them, which are a tuple.
  ExpressionPointer Tuple(bool conditional,
                          std::string_view end_name = {},
                          bool in_brackets = false);
  // What a value can be assigned to: a name, a tuple of them or, with `namespace_items`, "a.b".
  ExpressionPointer Target(std::string_view end_name, bool namespace_items);
  // "| name(arguments) | ..." on `subject`, which may be null; with `inline_first` the first bar is
  // left out.
  ExpressionPointer Filters(ExpressionPointer subject, bool inline_first = false);

  // Deeper ones are refused.
  void Descend();
  void Ascend() { --depth_; }

  // Unknown filters and tests are refused at once, except where a condition may avoid them, as in
  // jinja2.
  int conditions = 0;
  // The special names that the macros around ask for.
  std::vector<Signature*> macros;

 private:
  std::unique_ptr<Expression> Make(ExpressionKind kind, std::vector<ExpressionPointer> parts) const;
  ExpressionPointer Or();
  ExpressionPointer And();
  ExpressionPointer Not();
  ExpressionPointer Comparison();
  ExpressionPointer Sum();
  ExpressionPointer Concat();
  ExpressionPointer Product();
  ExpressionPointer Power();
  ExpressionPointer Unary(bool filters = true);
  ExpressionPointer Primary();
  ExpressionPointer NameOrConstant();
  ExpressionPointer List();
  ExpressionPointer Dict();
  ExpressionPointer Postfix(ExpressionPointer subject);
  ExpressionPointer FilterExpression(ExpressionPointer subject);
  ExpressionPointer Subscript(ExpressionPointer subject);
  ExpressionPointer Call(ExpressionPointer subject);
  ExpressionPointer Test(ExpressionPointer subject);
  CallArguments Arguments();
  bool IsTupleEnd(std::string_view end_name) const;
  void CheckTarget(const Expression& target) const;
  void NoteSpecial(std::string_view name);

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace dashf::jinja
