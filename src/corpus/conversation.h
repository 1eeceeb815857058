// Conversations as data files hold them: who says what, and what of it is to be learnt.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace dashf::corpus {

enum class Role { kSystem, kUser, kAssistant, kTool };

std::string_view Name(Role role);  // "system", "user", "assistant", "tool".

struct Message {
  Role role = Role::kUser;
  std::string content;
  bool trained = true;  // Of the assistant's: the loss counts it.
  // Null, or an object of the members that a template may ask for beside these: "tool_calls".
  nlohmann::ordered_json extra = nullptr;

  friend bool operator==(const Message&, const Message&) = default;
};

struct Conversation {
  std::vector<Message> messages;
  // Null, or an object: what stands beside the messages and a template may ask for, as "tools".
  nlohmann::ordered_json extra = nullptr;

  friend bool operator==(const Conversation&, const Conversation&) = default;
};

}  // namespace dashf::corpus
