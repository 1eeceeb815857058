// dashf generate: text of a model, on stdout as it comes.
#include "train/generate.h"

#include <fmt/format.h>

#include <cstdio>
#include <optional>

#include "cli/command.h"
#include "cli/numbers.h"
#include "cli/train/data_options.h"
#include "cli/train/start_line.h"
#include "cli/train/storage_options.h"
#include "cli/verbs.h"
#include "corpus/text_stream.h"
#include "corpus/tokenizer.h"
#include "train/compute.h"
#include "train/model_folder.h"
#include "train/peft_io.h"

namespace dashf::cli {
namespace {

struct Flags {
  std::string model_dir;
  std::string adapter_dir;
  train::StorageChoice storage;
  std::string base_cache = "auto";
  std::string prompt;
  std::string system;
  std::string messages_path;
  std::string chat_template;
  bool chat = false;
  train::GenerateOptions options;
  std::optional<int> tokens_max;
  int threads = 1;
};

constexpr const char* kExamples =
    R"(Without --chat the text is continued as it stands and printed with its continuation. With --chat, or --messages,
the model answers in the form that its folder's chat template asks for, and the answer alone is printed. The most
probable token comes each time unless --temperature says otherwise.

Examples:
  dashf generate --model share/models/debian-3m --max-tokens 60 --prompt "Package: "
  dashf generate --model stories260K --max-tokens 200 --temperature 0.8 --top-p 0.9 --seed 7
  dashf generate --model BASE --adapter RUN/adapters/u0 --prompt "Hello" --max-tokens 40
  dashf generate --model CHAT --chat --system "Answer in one word." --prompt "Capital of Austria?"
  dashf generate --model CHAT --messages conversation.json
  dashf generate --model BASE --weights int8 --prompt "Hello")";

Expected<void> CheckFlags(const Flags& flags) {
  const train::SamplingOptions& sampling = flags.options.sampling;
  if (sampling.temperature == 0.0 && (sampling.top_k > 0 || sampling.top_p < 1.0)) {
    return Fail(ErrorKind::kUsage, "--top-k, --top-p", "need a --temperature above 0");
  }
  const bool chat = flags.chat || !flags.messages_path.empty();
  if (!chat && !flags.system.empty()) return Fail(ErrorKind::kUsage, "--system", "needs --chat");
  if (!chat && !flags.chat_template.empty()) {
    return Fail(ErrorKind::kUsage, "--template", "needs --chat or --messages");
  }
  return {};
}

// The conversation to be continued; nothing: there is none, and the prompt stands for itself.
Expected<std::optional<corpus::Conversation>> ConversationOf(const Flags& flags) {
  if (!flags.messages_path.empty()) {
    auto read = corpus::ReadPrompt(flags.messages_path);
    if (!read) return tl::unexpected(read.error());
    return std::optional(std::move(*read));
  }
  if (!flags.chat) return std::nullopt;
  corpus::Conversation conversation;
  if (!flags.system.empty()) conversation.messages.push_back({corpus::Role::kSystem, flags.system});
  conversation.messages.push_back({corpus::Role::kUser, flags.prompt});
  return std::optional(std::move(conversation));
}

// As asked for, or what is usual as far as the model has positions for it.
Expected<int> TokensMax(const Flags& flags, std::size_t prompt_tokens, int positions_max) {
  constexpr int kUsual = 256;
  const int room = positions_max - static_cast<int>(prompt_tokens);
  const int wanted = flags.tokens_max.value_or(kUsual);
  if (wanted <= room) return wanted;
  if (room < 1 || flags.tokens_max) {
    return Fail(
        ErrorKind::kBadInput,
        room < 1 ? "prompt" : "--max-tokens",
        fmt::format("the prompt's {} tokens leave room for {} of the model's {} positions{}",
                    prompt_tokens,
                    std::max(room, 0),
                    positions_max,
                    room < 1 ? "" : fmt::format(", got {}", wanted)));
  }
  fmt::print(stderr,
             "--max-tokens {}: the prompt's {} tokens leave no more of the model's {} positions\n",
             room,
             prompt_tokens,
             positions_max);
  return room;
}

Expected<int> RunGenerate(const Flags& flags) {
  if (auto sound = CheckFlags(flags); !sound) return tl::unexpected(sound.error());
  const auto conversation = ConversationOf(flags);
  if (!conversation) return tl::unexpected(conversation.error());
  if (auto sound = train::CheckModelFolder(flags.model_dir); !sound) {
    return tl::unexpected(sound.error());
  }
  train::SetThreads(flags.threads);
  const auto storage = ChosenStorage(flags.storage);
  if (!storage) return tl::unexpected(storage.error());
  SayStart(*storage);
  const auto model = LoadBase(flags.model_dir, *storage, flags.base_cache);
  if (!model) return tl::unexpected(model.error());
  const auto tokenizer = corpus::Tokenizer::Load(flags.model_dir);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  std::optional<train::Adapter> adapter;
  if (!flags.adapter_dir.empty()) {
    auto loaded = train::LoadAdapter(flags.adapter_dir, model->config());
    if (!loaded) return tl::unexpected(loaded.error());
    adapter = std::move(*loaded);
  }
  WarnIfEndless(flags.model_dir, *tokenizer);
  train::GenerateOptions options = flags.options;
  options.stop_tokens = tokenizer->stop_ids();
  corpus::TextStream text(*tokenizer);
  const auto print = [](const std::string& piece) {
    std::fwrite(piece.data(), 1, piece.size(), stdout);
    std::fflush(stdout);
  };
  std::vector<int> prompt;
  bool echoes = false;  // The prompt, once it is known not to be refused.
  const auto echo = [&] {
    if (std::exchange(echoes, false)) {
      for (const int token : prompt) print(text.Add(token));
    }
  };
  if (*conversation) {
    const auto chat = TemplateFor(flags.chat_template, flags.model_dir, *tokenizer);
    if (!chat) return tl::unexpected(chat.error());
    auto tokens = corpus::TokenizeChatPrompt(*chat, **conversation, *tokenizer);
    if (!tokens) return tl::unexpected(tokens.error());
    prompt = std::move(*tokens);
    const int end = corpus::EndOfTurn(*chat, *tokenizer);
    if (end >= 0) options.stop_tokens.push_back(end);
  } else {
    prompt = tokenizer->Encode(flags.prompt, /*add_bos=*/true);
    echoes = true;
  }
  options.on_token = [&](int token) {
    echo();
    print(text.Add(token));
  };
  const auto tokens_max = TokensMax(flags, prompt.size(), model->config().max_positions);
  if (!tokens_max) return tl::unexpected(tokens_max.error());
  options.tokens_max = *tokens_max;
  const auto generated = train::Generate(*model, adapter ? &*adapter : nullptr, prompt, options);
  if (!generated) return tl::unexpected(generated.error());
  echo();
  print(text.Finish() + "\n");
  return kExitOk;
}

}  // namespace

void AddGenerate(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  train::SamplingOptions& sampling = flags->options.sampling;
  Command verb = AddEngineVerb(app, "generate");
  verb.add_option("--model", flags->model_dir, "Hugging Face folder, or GGUF file").required();
  verb.add_option("--max-tokens",
                  flags->tokens_max,
                  "Most tokens to generate [256, or what the model's positions leave]")
      .check(Range(1, 1 << 20));
  Option prompt = verb.add_option(
      "--prompt", flags->prompt, "Text to continue; without it, from the beginning");
  verb.add_option("--adapter", flags->adapter_dir, "PEFT adapter folder to apply");
  verb.add_option("--temperature", sampling.temperature, "0: the most probable token; 1: as likely")
      .capture_default_str()
      .check(Within(0.0, 100.0));
  verb.add_option("--top-k", sampling.top_k, "Draw from the k most probable tokens; 0: from all")
      .capture_default_str()
      .check(Range(0, 1 << 20));
  verb.add_option("--top-p", sampling.top_p, "Draw from the most probable with this share")
      .capture_default_str()
      .check(Within(0.0, 1.0));
  verb.add_option("--seed", flags->options.seed, "Same seed, same text").capture_default_str();
  Option chat =
      verb.add_flag("--chat", flags->chat, "The prompt is a user's message to be answered");
  Option system = verb.add_option("--system", flags->system, "System message, with --chat");
  verb.add_option("--messages", flags->messages_path, "JSON file of a conversation to continue")
      .excludes(chat)
      .excludes(system)
      .excludes(prompt);
  AddTemplateOption(verb, &flags->chat_template);
  AddWeightsOption(verb, &flags->storage);
  AddBaseCacheOption(verb, &flags->base_cache);
  verb.add_option("--threads", flags->threads, "Threads")
      .capture_default_str()
      .check(Range(1, 1024));
  verb.footer(kExamples);
  verb.callback([flags, &run] { run = [flags] { return RunGenerate(*flags); }; });
}

}  // namespace dashf::cli
