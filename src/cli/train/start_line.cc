#include "cli/train/start_line.h"

#include <fmt/format.h>

namespace dashf::cli {
namespace {

std::string ProductsText(const train::Products& products) {
  return "matrix products: " + train::Describe(products);
}

std::string StorageText(const llama::Storage& storage) {
  return fmt::format("; weights in {}, arithmetic in {}",
                     train::Name(storage.projections),
                     train::Name(storage.arithmetic));
}

train::Products Say(const std::string& storage) {
  train::Products products = train::MeasureProducts();
  fmt::print(stderr, "{}{}\n", ProductsText(products), storage);
  const std::string slow = train::ProductsWarning(products);
  if (!slow.empty()) fmt::print(stderr, "warning: {}\n", slow);
  return products;
}

}  // namespace

train::Products SayStart(const llama::Storage& storage) {
  return Say(StorageText(storage));
}

std::string StartText(const train::Products& products, const llama::Storage& storage) {
  return ProductsText(products) + StorageText(storage);
}

train::Products SayProducts() {
  return Say("");
}

nlohmann::ordered_json ProductsJson(const train::Products& products) {
  return {{"library", products.library},
          {"kernels", products.kernels},
          {"flop_per_s", products.flop_per_s},
          {"peak_flop_per_s", products.peak_flop_per_s}};
}

}  // namespace dashf::cli
