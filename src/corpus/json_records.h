// Files of JSON records: an array of objects, lines of one object each, one object over several
// lines, or an object whose "data" is such an array. Internal to this module.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

namespace dashf::corpus {

// Calls visit(object) for each record; what is wrong with one stays in its document and is told,
// with the file, and the line or the place in the array. kBadInput also where there is no record.
// `text` has no byte order mark (data_text.h).
Expected<void> ForEachJsonRecord(const std::string& name,
                                 std::string_view text,
                                 const std::function<void(JsonReader)>& visit);

}  // namespace dashf::corpus
