#include "corpus/sample_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace dashf::corpus {
namespace {

std::optional<Role> RoleNamed(std::string_view name) {
  if (name == "system") return Role::kSystem;
  if (name == "user" || name == "human") return Role::kUser;
  if (name == "assistant" || name == "gpt") return Role::kAssistant;
  if (name == "tool") return Role::kTool;
  return std::nullopt;
}

// A string, null, or parts of text: [{"type": "text", "text": ...}, ...].
std::string ReadContent(JsonReader* message, const char* key) {
  if (!message->HasValue(key)) return {};
  if (!message->HasArray(key)) return message->String(key);
  std::string content;
  message->ForEach(key, [&](JsonReader part) {
    if (part.Has("type") && part.String("type") != "text") {
      part.Reject("type", "only parts of text are supported");
    }
    content += part.String("text");
  });
  return content;
}

// Spelled {"role", "content"} or, as ShareGPT's users export them, {"from", "value"}.
Message ReadMessage(JsonReader object) {
  Message message;
  const char* const role_key = object.Has("role") || !object.Has("from") ? "role" : "from";
  const char* const key = object.Has("content") || !object.Has("value") ? "content" : "value";
  const auto role = RoleNamed(object.String(role_key));
  if (!role) object.Reject(role_key, "must be system, user, assistant or tool");
  message.role = role.value_or(Role::kUser);
  const bool said = object.HasValue(key);
  if (said || object.Has(key)) {
    message.content = ReadContent(&object, key);
  } else if (!object.Has("tool_calls")) {
    object.String(key);  // Tells that it is missing.
  }
  const std::optional<double> weight = object.NumberIfAny("weight");
  if (weight && *weight != 0.0 && *weight != 1.0) object.Reject("weight", "must be 0 or 1");
  if (const auto others = object.UnaskedKeys(); !others.empty()) {
    nlohmann::ordered_json members = object.RawInOrder();
    for (const std::string& name : others) message.extra[name] = std::move(members[name]);
  }
  const bool calls = message.extra.contains("tool_calls") && !message.extra["tool_calls"].empty();
  message.trained = weight ? *weight == 1.0 : said || calls;  // Else nothing was said.
  return message;
}

void ReadMessageList(JsonReader* object,
                     const char* key,
                     bool trained,
                     Conversation* conversation) {
  object->ForEach(key, [&](JsonReader message) {
    conversation->messages.push_back(ReadMessage(message));
    conversation->messages.back().trained &= trained;
  });
}

// A system message that stands beside the messages, which begins them then.
void ReadSystem(JsonReader* object, Conversation* conversation) {
  const std::string system = object->StringIfAny("system").value_or("");
  if (system.empty()) return;
  std::vector<Message>& messages = conversation->messages;
  if (messages.empty() || messages.front().role != Role::kSystem) {
    messages.insert(messages.begin(), Message{Role::kSystem, system});
  } else if (messages.front().content != system) {
    object->Reject("system", "the conversation begins with another system message");
  }
}

// What templates ask for beside the messages; LLaMA-Factory's files hold it as text of JSON.
void ReadTools(JsonReader* object, Conversation* conversation) {
  if (!object->HasValue("tools")) return;
  nlohmann::ordered_json tools = std::move(object->RawInOrder()["tools"]);
  if (tools.is_string()) {
    const std::string text = tools.get<std::string>();
    if (text.empty()) return;
    tools = nlohmann::ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
  }
  if (!tools.is_array()) return object->Reject("tools", "must be a list of tools");
  if (!tools.empty()) conversation->extra["tools"] = std::move(tools);
}

void CheckAnswered(const JsonReader& object, const Conversation& conversation) {
  const bool answered = std::ranges::any_of(conversation.messages, [](const Message& message) {
    return message.role == Role::kAssistant && message.trained;
  });
  if (answered || object.failed()) return;
  object.Reject("must have one message of the assistant's at least that is to be learnt");
}

Conversation ReadConversation(JsonReader object) {
  Conversation conversation = ReadMessages(object);
  CheckAnswered(object, conversation);
  return conversation;
}

Document ReadDocument(JsonReader object) {
  Document document{object.String("text")};
  if (document.text.empty() && !object.failed()) object.Reject("text", "must not be empty");
  return document;
}

// As TRL has them: two strings, or two lists of messages, of which the second is learnt.
Sample ReadCompletion(JsonReader object) {
  if (!object.HasArray("prompt") && !object.HasArray("completion")) {
    return Completion{object.String("prompt"), object.String("completion")};
  }
  Conversation conversation;
  ReadMessageList(&object, "prompt", /*trained=*/false, &conversation);
  ReadMessageList(&object, "completion", /*trained=*/true, &conversation);
  ReadTools(&object, &conversation);
  CheckAnswered(object, conversation);
  return conversation;
}

}  // namespace

bool BeginsWithMessage(const JsonReader& list) {
  bool begins = false, first = true;
  list.ForEach([&](const JsonReader& message) {
    if (!std::exchange(first, false)) return;
    begins = (message.Has("role") && message.Has("content")) ||
             (message.Has("from") && message.Has("value"));
  });
  return begins;
}

std::optional<DataFormat> FormatOf(const JsonReader& object) {
  if (object.Has("messages") || object.Has("conversations")) return DataFormat::kChat;
  if (object.Has("prompt") && object.Has("completion")) return DataFormat::kCompletion;
  if (object.Has("instruction")) return DataFormat::kAlpaca;
  if (object.Has("text")) return DataFormat::kDocuments;
  if (object.raw().is_array() && BeginsWithMessage(object)) return DataFormat::kChat;
  return std::nullopt;
}

Record ReadRecord(JsonReader object) {
  Record record;
  record.instruction = object.String("instruction");
  record.input = object.StringIfAny("input").value_or("");
  record.output = object.String("output");
  record.system = object.StringIfAny("system").value_or("");
  if (!object.HasValue("history")) return record;
  object.ForEach("history", [&](const JsonReader& turn) {
    std::vector<std::string> texts;
    turn.ForEach([&texts](const JsonReader& text) { texts.push_back(text.AsString()); });
    if (texts.size() != 2) return turn.Reject("must be an instruction and its answer");
    record.history.push_back({std::move(texts[0]), std::move(texts[1])});
  });
  return record;
}

Conversation ReadMessages(JsonReader object) {
  Conversation conversation;
  const bool named = object.Has("messages") || object.Has("conversations");
  if (!named && object.raw().is_array()) {
    object.ForEach(
        [&](JsonReader message) { conversation.messages.push_back(ReadMessage(message)); });
    return conversation;
  }
  const bool older = object.Has("conversations") && !object.Has("messages");
  ReadMessageList(&object, older ? "conversations" : "messages", /*trained=*/true, &conversation);
  ReadSystem(&object, &conversation);
  ReadTools(&object, &conversation);
  return conversation;
}

Sample ReadSample(DataFormat format, JsonReader object, std::set<std::string>* ignored) {
  const auto read = [&]() -> Sample {
    switch (format) {
      case DataFormat::kChat:
        return ReadConversation(object);
      case DataFormat::kCompletion:
        return ReadCompletion(object);
      case DataFormat::kDocuments:
        return ReadDocument(object);
      default:
        return ReadRecord(object);
    }
  };
  Sample sample = read();
  for (std::string& key : object.UnaskedKeys()) ignored->insert(std::move(key));
  return sample;
}

}  // namespace dashf::corpus
