// The report's parts, each a piece of HTML from what the run directory says; an empty text where it
// says nothing about the part.
#pragma once

#include <string>

#include "report/run_directory.h"

namespace dashf::report {

std::string HeadlineSection(
    const RunDirectory& run);                      // Title and the few numbers that matter most.
std::string PlanSection(const RunDirectory& run);  // Map; server, split and shares per user.
std::string LearningSection(
    const RunDirectory& run);                         // Loss and matches, before, after, elsewhere.
std::string PhasesSection(const RunDirectory& run);   // Predicted and measured times.
std::string EnergySection(const RunDirectory& run);   // By the model, with the measured times.
std::string MethodsSection(const RunDirectory& run);  // DASHF among its baselines.
std::string HistorySection(const RunDirectory& run);  // How the planner got there.
std::string ProvenanceSection(const RunDirectory& run);

}  // namespace dashf::report
