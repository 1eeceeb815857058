// What a verb computes with, said where it begins.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "llama/weights.h"
#include "train/compute.h"

namespace dashf::cli {

// Measures what multiplies matrices on this machine, says on stderr what it is, how the base's
// weights are held and which arithmetic they are multiplied in, and warns there if products are
// slow for this processor. `storage` as it is asked for: a limit of memory may change it.
train::Products SayStart(const llama::Storage& storage);
// The line that it says, for those who write it elsewhere.
std::string StartText(const train::Products& products, const llama::Storage& storage);
// The rate and kernels alone, for a verb that computes in several ways.
train::Products SayProducts();
nlohmann::ordered_json ProductsJson(const train::Products& products);

}  // namespace dashf::cli
