// How fast libtorch's matrix products are here: they are OpenBLAS's, not the engine's.
#pragma once

#include <string>

namespace dashf::autograd {

// A sentence with the way out if they run below half of what a core can (train::MeasureProducts);
// empty if all is well. About 50 ms.
std::string ProductsWarning();

}  // namespace dashf::autograd
