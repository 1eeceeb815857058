// What a study says, for people (Markdown, which reads well on a terminal, too), spreadsheets and
// other programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "report/interval_chart.h"
#include "study/summary.h"

namespace dashf::cli {

struct StudyTitle {
  std::string model, data;
  int users = 0, repetitions = 0, layers = 0, passes = 0;
  double user_share = 0.5;  // Of a schedule that names none.
};

std::string StudyMarkdown(const StudyTitle& title, const study::Summary& summary);

// One row per schedule, objective and split, SI units, full precision.
nlohmann::ordered_json StudyRows(const StudyTitle& title, const study::Summary& summary);
std::string StudyCsv(const nlohmann::ordered_json& rows);

// Lost loss over k, a series per schedule and objective.
std::string StudySvg(const StudyTitle& title, const study::Summary& summary);

}  // namespace dashf::cli
