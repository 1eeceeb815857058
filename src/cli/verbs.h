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
    {"study", "Measure what a split costs in quality, against training all layers in one place"},
    {"coordinator", "Be a fleet's coordinator: register, plan, assign, record"},
    {"server", "Be an edge server: train layers k+1..L for its users"},
    {"user", "Be a mobile user: train layers 1..k, send, receive, evaluate"},
    {"kit", "Make, renew and revoke what the nodes of a fleet over several machines need"},
    {"ctl", "See and steer a fleet that runs, from any machine"},
    {"watch", "A fleet's live page in a terminal"},
#endif
};

// The subcommands of a planner's verb, `bench`, that are the engine's.
inline const std::vector<Verb> kEngineBenches = {
#ifdef DASHF_TRAIN
    {"train", "Speed and memory of training, beside PyTorch and PEFT on the same work"},
#endif
#ifdef DASHF_RUNTIME
    {"runtime", "One coordinator under the load of many users and servers without a model"},
#endif
};

// Adds the subcommand of an engine verb under its name and summary in the table above.
inline Command AddEngineVerb(Command app, std::string_view name) {
  const auto verb = std::ranges::find(kEngineVerbs, name, &Verb::name);
  DASHF_CHECK(verb != kEngineVerbs.end());
  return app.add_subcommand(verb->name, verb->summary);
}
inline Command AddEngineBench(Command app, std::string_view name) {
  const auto verb = std::ranges::find(kEngineBenches, name, &Verb::name);
  DASHF_CHECK(verb != kEngineBenches.end());
  Command bench = app.subcommand("bench");
  bench.require_subcommand();
  return bench.add_subcommand(verb->name, verb->summary);
}

}  // namespace dashf::cli
