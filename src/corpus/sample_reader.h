// Records of JSON as samples. Internal to this module.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "base/json.h"
#include "corpus/samples.h"

namespace dashf::corpus {

// What the object is, by its keys; nullopt: none of the kinds.
std::optional<DataFormat> FormatOf(const JsonReader& object);

// Breaks of a rule stay in the object's document. Keys that nothing reads are added to `ignored`.
Sample ReadSample(DataFormat format, JsonReader object, std::set<std::string>* ignored);

// Of "messages" or "conversations", whoever speaks last.
Conversation ReadMessages(JsonReader object);
// Whether a list is a conversation that stands without a name, as its first element tells.
bool BeginsWithMessage(const JsonReader& list);

Record ReadRecord(JsonReader object);

}  // namespace dashf::corpus
