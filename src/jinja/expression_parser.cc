#include "jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "jinja/budget.h"
#include "jinja/filters.h"
#include "jinja/tests.h"

namespace dashf::jinja {
namespace {

constexpr int kDepthMax = 200;
constexpr std::string_view kConstants[] = {"true", "True", "false", "False", "none", "None"};

bool IsConstant(std::string_view name) {
  return std::ranges::find(kConstants, name) != std::end(kConstants);
}

void Deepen(Expression* around, const ExpressionPointer& part) {
  if (part != nullptr) around->depth = std::max(around->depth, part->depth + 1);
}

std::vector<ExpressionPointer> Parts(ExpressionPointer first, ExpressionPointer second = nullptr) {
  std::vector<ExpressionPointer> parts;
  parts.push_back(std::move(first));
  if (second != nullptr) parts.push_back(std::move(second));
  return parts;
}

std::int64_t Integer(const Token& token) {
  std::string_view digits = token.text;
  int base = 10;
  if (digits.size() > 2 && digits[0] == '0') {
    const char mark = static_cast<char>(digits[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base != 10) digits.remove_prefix(2);
  }
  std::int64_t number = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
  if (error != std::errc()) {
    throw Failure{fmt::format("integer {} does not fit 64 bits", token.text), token.line};
  }
  return number;
}

}  // namespace

Token ExpressionParser::Take() {
  Token token = tokens_[at_];
  if (at_ + 1 < tokens_.size()) ++at_;
  return token;
}

void ExpressionParser::Refuse(std::string rule) const {
  throw Failure{std::move(rule), Current().line};
}

bool ExpressionParser::IsName(std::string_view name) const {
  return Current().kind == TokenKind::kName && Current().text == name;
}
bool ExpressionParser::IsOperator(std::string_view sign) const {
  return Current().kind == TokenKind::kOperator && Current().text == sign;
}
bool ExpressionParser::TakeName(std::string_view name) {
  if (!IsName(name)) return false;
  Take();
  return true;
}
bool ExpressionParser::TakeOperator(std::string_view sign) {
  if (!IsOperator(sign)) return false;
  Take();
  return true;
}
std::string ExpressionParser::ExpectName() {
  if (Current().kind != TokenKind::kName) {
    Refuse(fmt::format("expected a name, got '{}'", Current().text));
  }
  return Take().text;
}
void ExpressionParser::ExpectOperator(std::string_view sign) {
  if (!TakeOperator(sign)) Refuse(fmt::format("expected '{}', got '{}'", sign, Current().text));
}
void ExpressionParser::Expect(TokenKind kind, std::string_view what) {
  if (Current().kind != kind) Refuse(fmt::format("expected {}, got '{}'", what, Current().text));
  Take();
}

void ExpressionParser::Descend() {
  if (++depth_ > kDepthMax) Refuse(fmt::format("nested deeper than {} levels", kDepthMax));
}

std::unique_ptr<Expression> ExpressionParser::Make(ExpressionKind kind,
                                                   std::vector<ExpressionPointer> parts) const {
  auto made = std::make_unique<Expression>();
  made->kind = kind;
  made->line = Current().line;
  for (const ExpressionPointer& part : parts) Deepen(made.get(), part);
  if (made->depth > kDepthMax) {
    Refuse(fmt::format("an expression is nested deeper than {} levels", kDepthMax));
  }
  made->parts = std::move(parts);
  return made;
}

ExpressionPointer ExpressionParser::Expr(bool conditional) {
  Descend();
  ExpressionPointer value = Or();
  while (conditional && TakeName("if")) {
    ++conditions;
    std::vector<ExpressionPointer> parts = Parts(Or(), std::move(value));
    parts.push_back(TakeName("else") ? Expr() : nullptr);
    --conditions;
    value = Make(ExpressionKind::kConditional, std::move(parts));
  }
  Ascend();
  return value;
}

ExpressionPointer ExpressionParser::Or() {
  ExpressionPointer left = And();
  while (TakeName("or")) left = Make(ExpressionKind::kOr, Parts(std::move(left), And()));
  return left;
}

ExpressionPointer ExpressionParser::And() {
  ExpressionPointer left = Not();
  while (TakeName("and")) left = Make(ExpressionKind::kAnd, Parts(std::move(left), Not()));
  return left;
}

ExpressionPointer ExpressionParser::Not() {
  if (!TakeName("not")) return Comparison();
  Descend();
  ExpressionPointer negated = Make(ExpressionKind::kNot, Parts(Not()));
  Ascend();
  return negated;
}

ExpressionPointer ExpressionParser::Comparison() {
  constexpr std::string_view kSigns[] = {"==", "!=", "<", "<=", ">", ">="};
  std::vector<ExpressionPointer> parts = Parts(Sum());
  std::vector<std::string> operators;
  for (;;) {
    const bool negated = IsName("not") && Next().kind == TokenKind::kName && Next().text == "in";
    if (negated) Take();
    if (TakeName("in")) {
      operators.emplace_back(negated ? "not in" : "in");
    } else if (Current().kind == TokenKind::kOperator &&
               std::ranges::find(kSigns, Current().text) != std::end(kSigns)) {
      operators.push_back(Take().text);
    } else {
      break;
    }
    parts.push_back(Sum());
  }
  if (operators.empty()) return std::move(parts.front());
  auto comparison = Make(ExpressionKind::kComparison, std::move(parts));
  comparison->operators = std::move(operators);
  return comparison;
}

ExpressionPointer ExpressionParser::Sum() {
  ExpressionPointer left = Concat();
  while (IsOperator("+") || IsOperator("-")) {
    const std::string sign = Take().text;
    auto sum = Make(ExpressionKind::kArithmetic, Parts(std::move(left), Concat()));
    sum->text = sign;
    left = std::move(sum);
  }
  return left;
}

ExpressionPointer ExpressionParser::Concat() {
  std::vector<ExpressionPointer> parts = Parts(Product());
  while (TakeOperator("~")) parts.push_back(Product());
  if (parts.size() == 1) return std::move(parts.front());
  return Make(ExpressionKind::kConcat, std::move(parts));
}

ExpressionPointer ExpressionParser::Product() {
  ExpressionPointer left = Power();
  while (IsOperator("*") || IsOperator("/") || IsOperator("//") || IsOperator("%")) {
    const std::string sign = Take().text;
    auto product = Make(ExpressionKind::kArithmetic, Parts(std::move(left), Power()));
    product->text = sign;
    left = std::move(product);
  }
  return left;
}

ExpressionPointer ExpressionParser::Power() {
  ExpressionPointer left = Unary();
  while (TakeOperator("**")) {
    auto power = Make(ExpressionKind::kArithmetic, Parts(std::move(left), Unary()));
    power->text = "**";
    left = std::move(power);
  }
  return left;
}

ExpressionPointer ExpressionParser::Unary(bool filters) {
  Descend();
  ExpressionPointer value;
  if (TakeOperator("-")) {
    value = Make(ExpressionKind::kNegative, Parts(Unary(false)));
  } else if (TakeOperator("+")) {
    value = Make(ExpressionKind::kPositive, Parts(Unary(false)));
  } else {
    value = Primary();
  }
  value = Postfix(std::move(value));
  if (filters) value = FilterExpression(std::move(value));
  Ascend();
  return value;
}

void ExpressionParser::NoteSpecial(std::string_view name) {
  for (Signature* macro : macros) {
    macro->uses_caller |= name == "caller";
    macro->uses_varargs |= name == "varargs";
    macro->uses_kwargs |= name == "kwargs";
  }
}

ExpressionPointer ExpressionParser::NameOrConstant() {
  auto made = Make(ExpressionKind::kConstant, {});
  const std::string name = Take().text;
  if (!IsConstant(name)) {
    if (name == "self") throw Failure{"the name 'self' is not supported", made->line};
    NoteSpecial(name);
    made->kind = ExpressionKind::kName;
    made->text = name;
  } else if (name == "none" || name == "None") {
    made->constant = MakeNone();
  } else {
    made->constant = MakeBool(name == "true" || name == "True");
  }
  return made;
}

ExpressionPointer ExpressionParser::Primary() {
  const Token token = Current();
  if (token.kind == TokenKind::kName) return NameOrConstant();
  auto constant = Make(ExpressionKind::kConstant, {});
  if (token.kind == TokenKind::kString) {
    std::string text;
    while (Current().kind == TokenKind::kString) text += Take().text;
    constant->constant = {Text{std::make_shared<const std::string>(std::move(text))}};
    return constant;
  }
  if (token.kind == TokenKind::kInteger) {
    constant->constant = MakeInteger(Integer(Take()));
    return constant;
  }
  if (token.kind == TokenKind::kFloat) {
    constant->constant = MakeFloat(std::strtod(Take().text.c_str(), nullptr));
    return constant;
  }
  if (TakeOperator("(")) {
    ExpressionPointer inner = Tuple(/*conditional=*/true, {}, /*in_brackets=*/true);
    ExpectOperator(")");
    return inner;
  }
  if (IsOperator("[")) return List();
  if (IsOperator("{")) return Dict();
  Refuse(fmt::format("unexpected '{}'", token.text));
}

bool ExpressionParser::IsTupleEnd(std::string_view end_name) const {
  return Current().kind == TokenKind::kOutputEnd || Current().kind == TokenKind::kBlockEnd ||
         IsOperator(")") || (!end_name.empty() && IsName(end_name));
}

ExpressionPointer ExpressionParser::Tuple(bool conditional,
                                          std::string_view end_name,
                                          bool in_brackets) {
  std::vector<ExpressionPointer> parts;
  bool is_tuple = false;
  for (;;) {
    if (!parts.empty()) ExpectOperator(",");
    if (IsTupleEnd(end_name)) break;
    parts.push_back(Expr(conditional));
    if (!IsOperator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !parts.empty()) return std::move(parts.front());
  if (!is_tuple && !in_brackets) {
    Refuse(fmt::format("expected an expression, got '{}'", Current().text));
  }
  return Make(ExpressionKind::kTuple, std::move(parts));
}

void ExpressionParser::CheckTarget(const Expression& target) const {
  if (target.kind == ExpressionKind::kName || target.kind == ExpressionKind::kNamespaceItem) return;
  if (target.kind != ExpressionKind::kTuple) throw Failure{"cannot assign to this", target.line};
  for (const ExpressionPointer& part : target.parts) CheckTarget(*part);
}

ExpressionPointer ExpressionParser::Target(std::string_view end_name, bool namespace_items) {
  std::vector<ExpressionPointer> parts;
  bool is_tuple = false;
  for (;;) {
    if (!parts.empty()) ExpectOperator(",");
    if (IsTupleEnd(end_name)) break;
    ExpressionPointer part = Primary();
    if (namespace_items && part->kind == ExpressionKind::kName && TakeOperator(".")) {
      auto item = Make(ExpressionKind::kNamespaceItem, Parts(std::move(part)));
      item->text = ExpectName();
      part = std::move(item);
    }
    parts.push_back(std::move(part));
    if (!IsOperator(",")) break;
    is_tuple = true;
  }
  if (parts.empty()) Refuse(fmt::format("expected a name, got '{}'", Current().text));
  ExpressionPointer target =
      is_tuple ? Make(ExpressionKind::kTuple, std::move(parts)) : std::move(parts.front());
  CheckTarget(*target);
  return target;
}

ExpressionPointer ExpressionParser::List() {
  ExpectOperator("[");
  std::vector<ExpressionPointer> parts;
  while (!IsOperator("]")) {
    if (!parts.empty()) ExpectOperator(",");
    if (IsOperator("]")) break;
    parts.push_back(Expr());
  }
  ExpectOperator("]");
  return Make(ExpressionKind::kList, std::move(parts));
}

ExpressionPointer ExpressionParser::Dict() {
  ExpectOperator("{");
  std::vector<ExpressionPointer> parts;
  while (!IsOperator("}")) {
    if (!parts.empty()) ExpectOperator(",");
    if (IsOperator("}")) break;
    parts.push_back(Expr());
    ExpectOperator(":");
    parts.push_back(Expr());
  }
  ExpectOperator("}");
  return Make(ExpressionKind::kDict, std::move(parts));
}

ExpressionPointer ExpressionParser::Postfix(ExpressionPointer subject) {
  for (;;) {
    if (IsOperator(".") || IsOperator("[")) {
      subject = Subscript(std::move(subject));
    } else if (IsOperator("(")) {
      subject = Call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExpressionPointer ExpressionParser::FilterExpression(ExpressionPointer subject) {
  for (;;) {
    if (IsOperator("|")) {
      subject = Filters(std::move(subject));
    } else if (IsName("is")) {
      subject = Test(std::move(subject));
    } else if (IsOperator("(")) {
      subject = Call(std::move(subject));
    } else {
      return subject;
    }
  }
}

ExpressionPointer ExpressionParser::Subscript(ExpressionPointer subject) {
  if (TakeOperator(".")) {
    if (Current().kind == TokenKind::kInteger) {
      auto index = Make(ExpressionKind::kConstant, {});
      index->constant = MakeInteger(Integer(Take()));
      return Make(ExpressionKind::kItem, Parts(std::move(subject), std::move(index)));
    }
    auto attribute = Make(ExpressionKind::kAttribute, Parts(std::move(subject)));
    attribute->text = ExpectName();
    return attribute;
  }
  ExpectOperator("[");
  std::vector<ExpressionPointer> bounds;
  while (!IsOperator("]") && bounds.size() < 3) {
    bounds.push_back(IsOperator(":") ? nullptr : Expr());
    if (!TakeOperator(":")) break;
    if (IsOperator("]")) bounds.push_back(nullptr);
  }
  if (IsOperator(",")) Refuse("several subscripts are not supported");
  ExpectOperator("]");
  if (bounds.empty()) Refuse("expected a subscript");
  if (bounds.size() == 1) {
    return Make(ExpressionKind::kItem, Parts(std::move(subject), std::move(bounds.front())));
  }
  std::vector<ExpressionPointer> parts = Parts(std::move(subject));
  for (ExpressionPointer& bound : bounds) parts.push_back(std::move(bound));
  parts.resize(4);
  return Make(ExpressionKind::kSlice, std::move(parts));
}

CallArguments ExpressionParser::Arguments() {
  CallArguments arguments;
  ExpectOperator("(");
  bool more = false;
  while (!IsOperator(")")) {
    if (more) ExpectOperator(",");
    if (IsOperator(")")) break;
    more = true;
    if (arguments.more_named != nullptr) Refuse("an argument follows **");
    if (TakeOperator("*")) {
      if (arguments.more_positional != nullptr) Refuse("two * in a call");
      arguments.more_positional = Expr();
    } else if (TakeOperator("**")) {
      arguments.more_named = Expr();
    } else if (Current().kind == TokenKind::kName && Next().kind == TokenKind::kOperator &&
               Next().text == "=") {
      std::string name = Take().text;
      Take();
      const auto same = [&name](const auto& each) { return each.first == name; };
      if (std::ranges::any_of(arguments.named, same)) {
        Refuse(fmt::format("argument '{}' is given twice", name));
      }
      arguments.named.emplace_back(std::move(name), Expr());
    } else {
      if (!arguments.named.empty() || arguments.more_positional != nullptr) {
        Refuse("a positional argument follows others");
      }
      arguments.positional.push_back(Expr());
    }
  }
  ExpectOperator(")");
  return arguments;
}

namespace {

void DeepenByArguments(Expression* call, CallArguments arguments) {
  for (const ExpressionPointer& each : arguments.positional) Deepen(call, each);
  for (const auto& [name, each] : arguments.named) Deepen(call, each);
  Deepen(call, arguments.more_positional);
  Deepen(call, arguments.more_named);
  call->arguments = std::move(arguments);
}

}  // namespace

ExpressionPointer ExpressionParser::Call(ExpressionPointer subject) {
  auto call = Make(ExpressionKind::kCall, Parts(std::move(subject)));
  DeepenByArguments(call.get(), Arguments());
  return call;
}

ExpressionPointer ExpressionParser::Filters(ExpressionPointer subject, bool inline_first) {
  while (IsOperator("|") || inline_first) {
    if (!inline_first) Take();
    inline_first = false;
    auto filter = Make(ExpressionKind::kFilter, Parts(std::move(subject)));
    filter->text = ExpectName();
    CheckFilterName(filter->text, conditions > 0, filter->line);
    if (IsOperator("(")) DeepenByArguments(filter.get(), Arguments());
    subject = std::move(filter);
  }
  return subject;
}

ExpressionPointer ExpressionParser::Test(ExpressionPointer subject) {
  Take();  // "is"
  const bool negated = TakeName("not");
  auto test = Make(ExpressionKind::kTest, Parts(std::move(subject)));
  test->text = ExpectName();
  CheckTestName(test->text, conditions > 0, test->line);
  const TokenKind next = Current().kind;
  const bool begins_value = next == TokenKind::kName || next == TokenKind::kString ||
                            next == TokenKind::kInteger || next == TokenKind::kFloat ||
                            IsOperator("[") || IsOperator("{");
  if (IsOperator("(")) {
    DeepenByArguments(test.get(), Arguments());
  } else if (begins_value && !IsName("else") && !IsName("or") && !IsName("and")) {
    if (IsName("is")) Refuse("tests cannot be chained with 'is'");
    Descend();
    CallArguments arguments;
    arguments.positional.push_back(Postfix(Primary()));
    Ascend();
    DeepenByArguments(test.get(), std::move(arguments));
  }
  if (!negated) return test;
  return Make(ExpressionKind::kNot, Parts(std::move(test)));
}

}  // namespace dashf::jinja
