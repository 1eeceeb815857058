// What a study of held-out loss over rounds says, for people, spreadsheets and other programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "study/round_losses.h"

namespace dashf::cli {

struct LossesTitle {
  std::string model, data;
  int users = 0, rounds = 0, seeds = 0;
  double records_per_round = 0.0;
  std::vector<int> after;  // Rounds.
};

std::string LossesMarkdown(const LossesTitle& title, const std::vector<study::LossRow>& rows);
// One row per policy and number of rounds; a half-width of one seed, and what is not there, is
// null.
nlohmann::ordered_json LossesRows(const LossesTitle& title,
                                  const std::vector<study::LossRow>& rows);
std::string LossesSvg(const LossesTitle& title, const std::vector<study::LossRow>& rows);

}  // namespace dashf::cli
