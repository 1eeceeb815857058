// What carrying out a template may cost, and how it ends early. Failures are thrown within this
// module only: Template turns them into errors. Internal to this module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "jinja/limits.h"

namespace dashf::jinja {

struct Failure {
  std::string rule;
  int line = 0;  // 0: the line that is being carried out.
};

// Of one rendering. Every step, item and 64 bytes made are paid for.
class Budget {
 public:
  explicit Budget(const Limits& limits) : limits_(limits) {}

  void Spend(std::size_t steps = 1);
  void SpendBytes(std::size_t bytes);  // Also the size of one text: at most limits.bytes.
  void Descend();
  void Ascend() { --depth_; }
  const Limits& limits() const { return limits_; }

  int line = 1;  // That is being carried out.

 private:
  Limits limits_;
  std::size_t steps_ = 0;
  int depth_ = 0;
};

// One level of nesting, for as long as it lives.
class Descent {
 public:
  explicit Descent(Budget& budget) : budget_(budget) { budget_.Descend(); }
  ~Descent() { budget_.Ascend(); }
  Descent(const Descent&) = delete;
  Descent& operator=(const Descent&) = delete;

 private:
  Budget& budget_;
};

}  // namespace dashf::jinja
