// Files of JSON records: an array of objects, or JSON lines (one object per line), decided by the
// first character that is not white space. Internal to this module.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "corpus/dataset.h"

namespace dashf::corpus {

// Calls visit(object) for each record; what is wrong with one stays in its document and is told,
// with the file, and the line or the place in the array. kBadInput also where there is no record.
Expected<void> ForEachJsonRecord(const std::string& name,
                                 std::string_view bytes,
                                 const std::function<void(JsonReader)>& visit);

Record ReadRecord(JsonReader object);

}  // namespace dashf::corpus
