// Chat templates: which one a model folder has, and what they are given (chat.h).
#include <fmt/format.h>

#include <cstdlib>

#include "base/check.h"
#include "base/json.h"
#include "corpus/chat.h"
#include "gguf/model_folder.h"

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kConfigBytesMax = std::uint64_t{1} << 26;

struct Form {
  std::string_view name;
  std::string_view jinja;
  std::vector<std::string> needed;
};

// The forms of three families, for folders without a template.
const std::vector<Form>& Forms() {
  static const std::vector<Form> kForms = {
      {"llama3",
       R"({{- '<|begin_of_text|>' }}
{%- for message in messages %}
    {{- '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' }}
    {{- message.content | trim ~ '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %})",
       {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"}},
      {"chatml",
       R"({%- for message in messages %}
    {{- '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
{%- endif %})",
       {"<|im_start|>", "<|im_end|>"}},
      // The marks are text to the tokenizer, so a message must not hold them.
      {"llama2",
       R"({%- set ns = namespace(system='', user=true) %}
{%- for message in messages %}
    {%- for mark in ['[INST]', '[/INST]', '<<SYS>>', '<</SYS>>'] if mark in message.content %}
        {{- raise_exception('a message must not hold "' ~ mark ~ '", a mark of this form') }}
    {%- endfor %}
    {%- if message.role == 'system' and loop.first %}
        {%- set ns.system = '<<SYS>>\n' ~ message.content ~ '\n<</SYS>>\n\n' %}
    {%- elif message.role != ('user' if ns.user else 'assistant') %}
        {{- raise_exception('user and assistant must take turns from the user on, got ' ~ message.role) }}
    {%- elif ns.user %}
        {{- '<s>[INST] ' ~ (ns.system ~ message.content) | trim ~ ' [/INST]' }}
        {%- set ns.user = false %}
        {%- set ns.system = '' %}
    {%- else %}
        {{- ' ' ~ message.content | trim ~ ' </s>' }}
        {%- set ns.user = true %}
    {%- endif %}
{%- endfor %})",
       {"<s>", "</s>"}}};
  return kForms;
}

ChatTemplate Make(const Form& form) {
  auto chat =
      ChatTemplate::Parse(std::string(form.name), form.jinja, nlohmann::ordered_json::object());
  DASHF_CHECK(chat.has_value());
  chat->needed = form.needed;
  return std::move(*chat);
}

// The clock that templates may ask: SOURCE_DATE_EPOCH (seconds, in UTC) where the environment has
// it, so that what depends on the day can be made again, else the local time.
std::tm Now() {
  std::tm now{};
  if (const char* given = std::getenv("SOURCE_DATE_EPOCH"); given != nullptr && *given != '\0') {
    const std::time_t seconds = std::strtoll(given, nullptr, 10);
    gmtime_r(&seconds, &now);
  } else {
    const std::time_t seconds = std::time(nullptr);
    localtime_r(&seconds, &now);
  }
  return now;
}

nlohmann::ordered_json ToJson(const Message& message) {
  nlohmann::ordered_json json;
  json["role"] = Name(message.role);
  const bool calls = message.extra.is_object() && message.extra.contains("tool_calls");
  // The reference leaves out what is null, as the content beside a call is.
  if (!calls || !message.content.empty()) json["content"] = message.content;
  if (message.extra.is_object()) json.update(message.extra);
  return json;
}

// What one of the folder's files says of a template.
struct FolderTemplate {
  std::string place;
  std::string jinja;
  std::string for_tools;
};

Expected<JsonDocument> ReadJson(const gguf::ModelFolder& folder, const char* name) {
  const auto text = folder.Read(name, kConfigBytesMax);
  if (!text) return tl::unexpected(text.error());
  return JsonDocument::Parse(folder.Place(name), *text);
}

Expected<void> ReadConfigTemplate(const gguf::ModelFolder& folder,
                                  const char* name,
                                  FolderTemplate* found) {
  const auto document = ReadJson(folder, name);
  if (!document) return tl::unexpected(document.error());
  JsonReader root = document->Root();
  if (root.HasValue("chat_template")) {
    found->place = folder.Place(name);
    if (root.raw()["chat_template"].is_array()) {
      root.ForEach("chat_template", [found](JsonReader named) {
        std::string text = named.String("template");
        const std::string use = named.String("name");
        if (use == "default") found->jinja = std::move(text);
        if (use == "tool_use") found->for_tools = std::move(text);
      });
      if (found->jinja.empty() && !root.failed()) {
        root.Reject("chat_template", "must have one named \"default\"");
      }
    } else {
      found->jinja = root.String("chat_template");
    }
  }
  if (document->error()) return tl::unexpected(*document->error());
  return {};
}

Expected<FolderTemplate> FindTemplate(const gguf::ModelFolder& folder) {
  FolderTemplate found;
  if (const char* const name = "chat_template.jinja"; folder.Has(name)) {
    auto text = folder.Read(name, kConfigBytesMax);
    if (!text) return tl::unexpected(text.error());
    return FolderTemplate{folder.Place(name), std::move(*text), {}};
  }
  for (const char* name : {"chat_template.json", "tokenizer_config.json"}) {
    if (!found.jinja.empty() || !folder.Has(name)) continue;
    if (auto read = ReadConfigTemplate(folder, name, &found); !read) {
      return tl::unexpected(read.error());
    }
  }
  return found;
}

// The special tokens that templates ask for by name, as transformers hands them on: those of
// tokenizer_config.json and special_tokens_map.json, texts or objects with "content"; where neither
// speaks of BOS or EOS, the tokenizer's.
Expected<nlohmann::ordered_json> SpecialTokens(const gguf::ModelFolder& folder,
                                               const Tokenizer& tokenizer) {
  nlohmann::ordered_json tokens = nlohmann::ordered_json::object();
  for (const char* file : {"tokenizer_config.json", "special_tokens_map.json"}) {
    if (!folder.Has(file)) continue;
    const auto document = ReadJson(folder, file);
    if (!document) return tl::unexpected(document.error());
    const nlohmann::json raw = document->Root().raw();
    if (!raw.is_object()) continue;
    for (const char* name : {"bos_token",
                             "eos_token",
                             "unk_token",
                             "sep_token",
                             "pad_token",
                             "cls_token",
                             "mask_token"}) {
      const auto given = raw.find(name);
      if (given == raw.end() || tokens.contains(name)) continue;
      const bool object = given->is_object() && given->contains("content");
      const nlohmann::json& text = object ? (*given)["content"] : *given;
      tokens[name] = text.is_string() ? nlohmann::ordered_json(text.get<std::string>()) : nullptr;
    }
  }
  for (const auto& [name, id] :
       {std::pair{"bos_token", tokenizer.bos_id()}, std::pair{"eos_token", tokenizer.eos_id()}}) {
    if (!tokens.contains(name) && id >= 0) tokens[name] = std::string(tokenizer.Piece(id));
  }
  nlohmann::ordered_json given = nlohmann::ordered_json::object();
  for (const auto& [name, text] : tokens.items()) {
    if (!text.is_null()) given[name] = text;  // To a template, none is not there.
  }
  return given;
}

Expected<ChatTemplate> FromSpecialTokens(const std::string& model_dir, const Tokenizer& tokenizer) {
  for (const char* name : {"llama3", "chatml"}) {
    ChatTemplate chat = *ChatTemplateNamed(name);
    if (CheckChatTemplate(chat, tokenizer)) return chat;
  }
  return Fail(ErrorKind::kBadInput,
              model_dir,
              "has no chat template (in chat_template.jinja, chat_template.json or "
              "tokenizer_config.json), and its special tokens tell none; name one by --template: "
              "llama2, llama3 or chatml");
}

}  // namespace

ChatTemplate::ChatTemplate(jinja::Template main, nlohmann::ordered_json variables)
    : template_(std::move(main)), variables_(std::move(variables)), now_(Now()) {}

Expected<ChatTemplate> ChatTemplate::Parse(const std::string& name,
                                           std::string_view jinja,
                                           nlohmann::ordered_json variables) {
  auto parsed = jinja::Template::Parse(name, jinja);
  if (!parsed) return tl::unexpected(parsed.error());
  return ChatTemplate(std::move(*parsed), std::move(variables));
}

Expected<jinja::Rendering> ChatTemplate::Render(const Conversation& conversation,
                                                bool prompt) const {
  nlohmann::ordered_json variables;
  variables["messages"] = nlohmann::ordered_json::array();
  for (const Message& message : conversation.messages) {
    variables["messages"].push_back(ToJson(message));
  }
  variables["tools"] = nullptr;
  variables["documents"] = nullptr;
  variables["add_generation_prompt"] = prompt;
  variables.update(variables_);
  if (conversation.extra.is_object()) variables.update(conversation.extra);
  const bool tools = !variables["tools"].is_null() && for_tools_;
  return (tools ? *for_tools_ : template_).Render(variables, now_);
}

std::optional<ChatTemplate> ChatTemplateNamed(std::string_view name) {
  for (const Form& form : Forms()) {
    if (form.name == name) return Make(form);
  }
  return std::nullopt;
}

Expected<void> CheckChatTemplate(const ChatTemplate& chat, const Tokenizer& tokenizer) {
  for (const std::string& token : chat.needed) {
    if (tokenizer.SpecialId(token) >= 0) continue;
    return Fail(ErrorKind::kBadInput,
                "chat template",
                fmt::format("needs the special token {}, which the tokenizer has not", token));
  }
  return {};
}

Expected<ChatTemplate> LoadChatTemplate(const std::string& model_dir, const Tokenizer& tokenizer) {
  const auto folder = gguf::ModelFolder::Open(model_dir);
  if (!folder) return tl::unexpected(folder.error());
  const auto found = FindTemplate(*folder);
  if (!found) return tl::unexpected(found.error());
  if (found->jinja.empty()) return FromSpecialTokens(model_dir, tokenizer);
  auto variables = SpecialTokens(*folder, tokenizer);
  if (!variables) return tl::unexpected(variables.error());
  auto chat = ChatTemplate::Parse(found->place, found->jinja, std::move(*variables));
  if (!chat || found->for_tools.empty()) return chat;
  auto for_tools = jinja::Template::Parse(found->place + ": tool_use", found->for_tools);
  if (!for_tools) return tl::unexpected(for_tools.error());
  chat->SetForTools(std::move(*for_tools));
  return chat;
}

}  // namespace dashf::corpus
