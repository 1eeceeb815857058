// What a training tells on stderr while it goes on.
#pragma once

#include <optional>
#include <string>

#include "train/train_options.h"

namespace dashf::cli {

// "90 s", "12 min 05 s", "3 h 20 min".
std::string Duration(double seconds);

// A line once a second, later whenever the training has become 2 % longer. Rates leave out the
// first step, before which hidden states may have been computed.
class ProgressLines {
 public:
  void Show(const train::StepReport& report);

 private:
  std::optional<train::StepReport> first_;
  double losses_ = 0.0;  // Since the last line.
  int summed_ = 0;
  double next_s_ = 0.0;
};

}  // namespace dashf::cli
