#include "jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/budget.h"
#include "jinja/expression_parser.h"

namespace dashf::jinja {
namespace {

using StatementPointer = std::unique_ptr<const Statement>;

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(Tokenize(source)) {}

  Program Run() {
    Program program;
    program.body = Until({});
    program.marks_generation = marks_generation_;
    return program;
  }

 private:
  static std::unique_ptr<Statement> Make(StatementKind kind, int line) {
    auto made = std::make_unique<Statement>();
    made->kind = kind;
    made->line = line;
    return made;
  }
  int Line() const { return tokens_.Current().line; }

  // Statements up to a tag of one of these names, whose name is then next; without names, to the
  // end.
  Body Until(std::initializer_list<std::string_view> ends) {
    tokens_.Descend();
    Body body;
    while (tokens_.Current().kind != TokenKind::kEnd) {
      const Token token = tokens_.Take();
      if (token.kind == TokenKind::kData) {
        auto data = Make(StatementKind::kData, token.line);
        data->text = token.text;
        body.push_back(std::move(data));
      } else if (token.kind == TokenKind::kOutputBegin) {
        auto output = Make(StatementKind::kOutput, token.line);
        output->value = tokens_.Tuple(/*conditional=*/true);
        tokens_.Expect(TokenKind::kOutputEnd, "'}}'");
        body.push_back(std::move(output));
      } else {  // The lexer gives nothing else between tags.
        if (std::ranges::any_of(ends, [this](auto name) { return tokens_.IsName(name); })) {
          tokens_.Ascend();
          return body;
        }
        body.push_back(Tag());
        tokens_.Expect(TokenKind::kBlockEnd, "'%}'");
      }
    }
    if (ends.size() > 0) {
      tokens_.Refuse(fmt::format("the template ends where {{% {} %}} is awaited", *ends.begin()));
    }
    tokens_.Ascend();
    return body;
  }

  // The body of a tag whose beginning has been read, and its ending tag's name.
  Body Block(std::initializer_list<std::string_view> ends) {
    tokens_.TakeOperator(":");
    tokens_.Expect(TokenKind::kBlockEnd, "'%}'");
    return Until(ends);
  }
  Body WholeBlock(std::string_view end) {
    Body body = Block({end});
    tokens_.Take();
    return body;
  }

  StatementPointer Tag() {
    const int line = Line();
    const std::string name = tokens_.ExpectName();
    if (name == "if") return If(line);
    if (name == "for") return For(line);
    if (name == "set") return Set(line);
    if (name == "with") return With(line);
    if (name == "filter") return FilterBlock(line);
    if (name == "macro") return Macro(line);
    if (name == "call") return CallBlock(line);
    if (name == "generation") return Generation(line);
    if (name == "break" || name == "continue") return Jump(line, name == "break");
    constexpr std::string_view kJinjas[] = {
        "extends", "block", "include", "import", "from", "autoescape", "print"};
    if (std::ranges::find(kJinjas, name) != std::end(kJinjas)) {
      throw Failure{fmt::format("the tag '{}' is not supported", name), line};
    }
    throw Failure{fmt::format("unknown tag '{}'", name), line};
  }

  StatementPointer If(int line) {
    auto made = Make(StatementKind::kIf, line);
    ++tokens_.conditions;
    made->conditions.push_back(tokens_.Tuple(/*conditional=*/false));
    for (;;) {
      made->bodies.push_back(Block({"elif", "else", "endif"}));
      if (!tokens_.TakeName("elif")) break;
      made->conditions.push_back(tokens_.Tuple(/*conditional=*/false));
    }
    if (tokens_.TakeName("else")) {
      made->bodies.push_back(WholeBlock("endif"));
    } else {
      tokens_.Take();
    }
    --tokens_.conditions;
    return made;
  }

  StatementPointer For(int line) {
    auto made = Make(StatementKind::kFor, line);
    made->target = tokens_.Target("in", /*namespace_items=*/false);
    RefuseLoop(*made->target);
    if (!tokens_.TakeName("in")) tokens_.Refuse("expected 'in'");
    made->value = tokens_.Tuple(/*conditional=*/false, "recursive");
    if (tokens_.TakeName("if")) made->test = tokens_.Expr();
    made->recursive = tokens_.TakeName("recursive");
    ++loops_;
    made->bodies.push_back(Block({"endfor", "else"}));
    --loops_;
    if (tokens_.TakeName("else")) {
      made->bodies.push_back(WholeBlock("endfor"));
    } else {
      tokens_.Take();
      made->bodies.emplace_back();
    }
    return made;
  }

  static void RefuseLoop(const Expression& target) {
    if (target.kind == ExpressionKind::kName && target.text == "loop") {
      throw Failure{"a loop's variable must not be named 'loop'", target.line};
    }
    for (const ExpressionPointer& part : target.parts) RefuseLoop(*part);
  }

  StatementPointer Set(int line) {
    ExpressionPointer target = tokens_.Target({}, /*namespace_items=*/true);
    const bool block = !tokens_.TakeOperator("=");
    auto made = Make(block ? StatementKind::kSetBlock : StatementKind::kSet, line);
    made->target = std::move(target);
    if (block) {
      made->value = tokens_.Filters(nullptr);
      made->bodies.push_back(WholeBlock("endset"));
    } else {
      made->value = tokens_.Tuple(/*conditional=*/true);
    }
    return made;
  }

  StatementPointer With(int line) {
    auto made = Make(StatementKind::kWith, line);
    while (tokens_.Current().kind != TokenKind::kBlockEnd && !tokens_.IsOperator(":")) {
      if (!made->targets.empty()) tokens_.ExpectOperator(",");
      made->targets.push_back(tokens_.Target({}, /*namespace_items=*/false));
      tokens_.ExpectOperator("=");
      made->conditions.push_back(tokens_.Expr());
    }
    made->bodies.push_back(WholeBlock("endwith"));
    return made;
  }

  StatementPointer FilterBlock(int line) {
    auto made = Make(StatementKind::kFilterBlock, line);
    made->value = tokens_.Filters(nullptr, /*inline_first=*/true);
    made->bodies.push_back(WholeBlock("endfilter"));
    return made;
  }

  void ReadSignature(Signature* signature) {
    tokens_.ExpectOperator("(");
    while (!tokens_.IsOperator(")")) {
      if (!signature->names.empty()) tokens_.ExpectOperator(",");
      std::string name = tokens_.ExpectName();
      if (std::ranges::find(signature->names, name) != signature->names.end()) {
        tokens_.Refuse(fmt::format("parameter '{}' is there twice", name));
      }
      signature->names.push_back(std::move(name));
      if (tokens_.TakeOperator("=")) {
        signature->defaults.push_back(tokens_.Expr());
      } else if (!signature->defaults.empty()) {
        tokens_.Refuse("a parameter without a default follows one with");
      }
    }
    tokens_.ExpectOperator(")");
  }

  // A body that is a function of its own: no loop around it can be left.
  Body FunctionBody(Signature* signature, std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    tokens_.macros.push_back(signature);
    Body body = WholeBlock(end);
    tokens_.macros.pop_back();
    loops_ = loops;
    return body;
  }

  StatementPointer Macro(int line) {
    auto made = Make(StatementKind::kMacro, line);
    made->text = tokens_.ExpectName();
    ReadSignature(&made->signature);
    made->bodies.push_back(FunctionBody(&made->signature, "endmacro"));
    return made;
  }

  StatementPointer CallBlock(int line) {
    auto made = Make(StatementKind::kCallBlock, line);
    if (tokens_.IsOperator("(")) ReadSignature(&made->signature);
    made->value = tokens_.Expr();
    if (made->value->kind != ExpressionKind::kCall) throw Failure{"expected a call", line};
    made->bodies.push_back(FunctionBody(&made->signature, "endcall"));
    return made;
  }

  StatementPointer Generation(int line) {
    auto made = Make(StatementKind::kGeneration, line);
    marks_generation_ = true;
    made->bodies.push_back(FunctionBody(&made->signature, "endgeneration"));
    return made;
  }

  StatementPointer Jump(int line, bool breaks) {
    if (loops_ == 0) throw Failure{"'break' or 'continue' outside of a loop", line};
    return Make(breaks ? StatementKind::kBreak : StatementKind::kContinue, line);
  }

  ExpressionParser tokens_;
  int loops_ = 0;  // Around, within the same function.
  bool marks_generation_ = false;
};

}  // namespace

Program ParseProgram(std::string_view source) {
  return Parser(source).Run();
}

}  // namespace dashf::jinja
