#include "cli/train/products_line.h"

#include <fmt/format.h>

namespace dashf::cli {

train::Products SayProducts() {
  train::Products products = train::MeasureProducts();
  fmt::print(stderr, "matrix products: {}\n", train::Describe(products));
  const std::string slow = train::ProductsWarning(products);
  if (!slow.empty()) fmt::print(stderr, "warning: {}\n", slow);
  return products;
}

nlohmann::ordered_json ProductsJson(const train::Products& products) {
  return {{"library", products.library},
          {"kernels", products.kernels},
          {"flop_per_s", products.flop_per_s},
          {"peak_flop_per_s", products.peak_flop_per_s}};
}

}  // namespace dashf::cli
