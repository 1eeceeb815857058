// The verbs of the one command line, in the order --help lists them. The planner's are in the
// program `dashf` itself. The others are in programs under libexec/, one of which `dashf` becomes
// when such a verb is called: dashf-engine needs oneDNN and gRPC, dashf-pretrain libtorch, whose
// loading alone takes about a second.
#pragma once

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "cli/command.h"

namespace dashf::cli {

struct Verb {
  const char* name;
  const char* summary;
  const char* program = "dashf-engine";
};

// What --mpi is an option of, and what it does: in the program libexec/dashf-mpi, which `dashf`
// becomes where it is given.
#ifdef DASHF_MPI
inline constexpr std::array kMpiVerbs = {"solve", "sweep"};
#else
inline constexpr std::array<const char*, 0> kMpiVerbs = {};
#endif

inline const std::vector<Verb> kEngineVerbs = {
#ifdef DASHF_TRAIN
    {"generate", "Continue a prompt or a conversation, greedily or by sampling"},
    {"score", "Measure a model with its adapter on data: loss, perplexity, exact match, labels"},
    {"merge", "Write a model folder: a LoRA adapter merged into its base, or a GGUF file as it is"},
    {"export", "Write an adapter as llama.cpp's LoRA file (GGUF), or such a file for PEFT"},
#ifdef DASHF_TORCH
    {"pretrain", "Pre-train a small Llama from a text file", "dashf-pretrain"},
#endif
    {"train", "Fine-tune a LoRA or LLaMA-Adapter on this machine and write it for PEFT"},
    {"profile", "Measure what each split costs on this machine and write a split profile"},
#endif
#ifdef DASHF_RUNTIME
    {"run", "Plan a scenario and carry the plan out for real on this machine"},
    {"coordinator", "Be a fleet's coordinator: register, plan, assign, record"},
    {"server", "Be an edge server: train layers k+1..L for its users"},
    {"user", "Be a mobile user: train layers 1..k, send, receive, evaluate"},
    {"kit", "Make, renew and revoke what the nodes of a fleet over several machines need"},
    {"ctl", "See and steer a fleet that runs, from any machine"},
    {"watch", "A fleet's live page in a terminal"},
#endif
};

// The subcommands of the planner's verbs that are the engine's.
struct EngineSubcommand {
  const char* verb;
  const char* name;
  const char* summary;
};
inline const std::vector<EngineSubcommand> kEngineSubcommands = {
#ifdef DASHF_TRAIN
    {"bench", "train", "Speed and memory of training, beside PyTorch and PEFT on the same work"},
#endif
#ifdef DASHF_RUNTIME
    {"bench",
     "runtime",
     "One coordinator under the load of many users and servers without a model"},
    {"study", "split", "Every split and schedule against training all layers in one place"},
    {"study", "losses", "Held-out loss over the rounds that a study of rounds has planned"},
#endif
};

// Adds the subcommand of an engine verb under its name and summary in the table above.
inline Command AddEngineVerb(Command app, std::string_view name) {
  const auto verb = std::ranges::find(kEngineVerbs, name, &Verb::name);
  DASHF_CHECK(verb != kEngineVerbs.end());
  return app.add_subcommand(verb->name, verb->summary);
}
inline Command AddEngineSubcommand(Command app, std::string_view verb, std::string_view name) {
  const auto sub = std::ranges::find_if(kEngineSubcommands, [&](const EngineSubcommand& one) {
    return one.verb == verb && one.name == name;
  });
  DASHF_CHECK(sub != kEngineSubcommands.end());
  Command above = app.subcommand(sub->verb);
  above.require_subcommand();
  return above.add_subcommand(sub->name, sub->summary);
}
// In --help of the planner's verb.
inline void ListEngineSubcommands(Command verb, std::string_view name) {
  for (const EngineSubcommand& one : kEngineSubcommands) {
    if (one.verb == name) verb.add_subcommand(one.name, one.summary);
  }
}

}  // namespace dashf::cli
