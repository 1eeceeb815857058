// dashf export: an adapter as llama.cpp's file, and back.
#include <fmt/format.h>

#include <filesystem>

#include "base/file.h"
#include "cli/command.h"
#include "cli/train/out_place.h"
#include "cli/verbs.h"
#include "train/gguf_adapter.h"
#include "train/model_config.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string adapter;
  std::string model_dir;
  std::string gguf_path;
  std::string peft_dir;
};

constexpr const char* kExamples =
    R"(ADAPTER is a PEFT folder or a llama.cpp LoRA file (GGUF); BASE tells widths and architecture. What
llama.cpp's one alpha cannot say (rank-stabilised scales, alpha patterns) is multiplied into the file's lora_b.

Examples:
  dashf export RUN/adapters/u0 --model BASE --gguf u0.gguf        # llama-cli -m BASE.gguf --lora u0.gguf
  dashf export u0.gguf --model BASE --peft u0)";

// A GGUF file may lie in its adapter's folder, or in its base's.
Expected<void> CheckPlaces(const Flags& flags) {
  const InputPlace adapter{"ADAPTER", flags.adapter};
  if (flags.gguf_path.empty()) {
    return CheckApart("--peft", flags.peft_dir, {adapter, {"--model", flags.model_dir, true}});
  }
  const bool replaced = std::filesystem::path(flags.gguf_path).extension() != ".gguf";
  return CheckApart("--gguf",
                    flags.gguf_path,
                    {{"ADAPTER", flags.adapter, replaced}, {"--model", flags.model_dir, replaced}});
}

Expected<int> RunExport(const Flags& flags) {
  if (flags.gguf_path.empty() == flags.peft_dir.empty()) {
    return Fail(ErrorKind::kUsage, "--gguf, --peft", "exactly one of them says what to write");
  }
  if (auto apart = CheckPlaces(flags); !apart) return tl::unexpected(apart.error());
  const auto config = train::LoadModelConfig(flags.model_dir);
  if (!config) return tl::unexpected(config.error());
  const auto adapter = train::LoadAdapter(flags.adapter, *config);
  if (!adapter) return tl::unexpected(adapter.error());
  if (!flags.peft_dir.empty()) {
    std::error_code unknown;
    const auto base = std::filesystem::absolute(flags.model_dir, unknown).lexically_normal();
    auto saved = train::SaveAdapter(
        *adapter, *config, unknown ? flags.model_dir : base.string(), flags.peft_dir);
    if (!saved) return tl::unexpected(saved.error());
    return kExitOk;
  }
  const auto bytes = train::EncodeGgufAdapter(*adapter, *config);
  if (!bytes) {
    const Error& error = bytes.error();
    return Fail(error.kind, flags.adapter, error.Text());
  }
  auto written = WriteFileAtomically(flags.gguf_path, *bytes);
  if (!written) return tl::unexpected(written.error());
  return kExitOk;
}

}  // namespace

void AddExport(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "export");
  verb.add_option("adapter", flags->adapter, "PEFT folder, or a llama.cpp LoRA file").required();
  verb.add_option("--model", flags->model_dir, "The base: Hugging Face folder or GGUF file")
      .required();
  verb.add_option("--gguf", flags->gguf_path, "llama.cpp LoRA file to write");
  verb.add_option("--peft", flags->peft_dir, "PEFT folder to write");
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunExport(*flags); }; });
}

}  // namespace dashf::cli
