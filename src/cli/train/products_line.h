// What multiplies matrices on this machine, said where a verb begins.
#pragma once

#include <nlohmann/json.hpp>

#include "train/compute.h"

namespace dashf::cli {

// Measures it, says it on stderr, and warns there if it is slow for this processor.
train::Products SayProducts();
nlohmann::ordered_json ProductsJson(const train::Products& products);

}  // namespace dashf::cli
