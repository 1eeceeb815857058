// Mutations that keep JSON well-formed, so that they reach what lies behind the syntax: a value is
// replaced by a nasty one or by a copy of another, or removed. Every other time the bytes are
// mutated as libFuzzer would. A text of several documents (fuzz/plan.cc) has one of them mutated.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t size_max);

namespace {

using nlohmann::ordered_json;

constexpr std::string_view kBetween = "\n=\n";
constexpr double kNumbers[] = {0.0,
                               -0.0,
                               1.0,
                               -1.0,
                               0.5,
                               2.0,
                               3.0,
                               1e-320,
                               5e-324,
                               1e-308,
                               1e-154,
                               1e-30,
                               1e-18,
                               1e-9,
                               1e9,
                               1e18,
                               1e30,
                               1e154,
                               1e300,
                               1.7e308,
                               1 + 1e-15,
                               4294967296.0,
                               9007199254740993.0};

void Collect(ordered_json& value, std::vector<ordered_json*>* found) {
  found->push_back(&value);
  if (!value.is_structured()) return;
  for (ordered_json& child : value) Collect(child, found);
}

void MutateValue(std::minstd_rand& random, ordered_json* document) {
  std::vector<ordered_json*> values;
  Collect(*document, &values);
  const auto any = [&]() -> ordered_json& { return *values[random() % values.size()]; };
  ordered_json& value = any();
  switch (random() % 6) {
    case 0:
      value = ordered_json(any());
      break;
    case 1:
      if (value.is_structured() && !value.empty()) {
        auto at = value.begin();
        std::advance(at, static_cast<std::ptrdiff_t>(random() % value.size()));
        value.erase(at);
      }
      break;
    case 2:
      if (value.is_array() && value.size() < 8) value.push_back(ordered_json(any()));
      break;
    case 3:
      if (value.is_number()) value = value.get<double>() * (random() % 2 ? 2.0 : 0.999999);
      break;
    default:  // Numbers are most of what a file holds.
      if (value.is_number() || random() % 8 == 0) {
        value = kNumbers[random() % std::size(kNumbers)];
      }
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data,
                                               std::size_t size,
                                               std::size_t size_max,
                                               unsigned seed) {
  std::minstd_rand random(seed);
  if (random() % 2 == 0) return LLVMFuzzerMutate(data, size, size_max);
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t at = text.find(kBetween);
  const std::size_t second = at == std::string_view::npos ? size : at + kBetween.size();
  const bool mutate_second = second < size && random() % 2 == 0;
  const std::string_view part =
      mutate_second ? text.substr(second) : text.substr(0, std::min(at, size));
  ordered_json document = ordered_json::parse(part, nullptr, false);
  if (document.is_discarded()) return LLVMFuzzerMutate(data, size, size_max);
  for (std::size_t count = 1 + random() % 3; count > 0; --count) MutateValue(random, &document);
  const std::string part_now = document.dump(-1, ' ', false, ordered_json::error_handler_t::ignore);
  const std::string now = mutate_second ? std::string(text.substr(0, second)) + part_now
                                        : part_now + std::string(text.substr(std::min(at, size)));
  if (now.size() > size_max) return LLVMFuzzerMutate(data, size, size_max);
  std::memcpy(data, now.data(), now.size());
  return now.size();
}
