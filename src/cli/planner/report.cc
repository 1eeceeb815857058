// dashf report: one self-contained HTML page about a run directory.
#include "report/report.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "cli/command.h"

namespace dashf::cli {

void AddReport(Command app, Run& run) {
  const auto folder = std::make_shared<std::string>();
  Command verb = app.add_subcommand("report", "Write RUN_DIR/report.html from the run's files");
  verb.add_option("RUN_DIR",
                  *folder,
                  "Folder with scenario.json and plan.json, and comparison.json and round.json "
                  "where they exist")
      .required();
  verb.footer(
      "Examples:\n"
      "  dashf report runs/today\n"
      "  dashf compare s/scenario.json --json > s/comparison.json && dashf report s");
  verb.callback([folder, &run] {
    run = [folder]() -> Expected<int> {
      const auto path = report::WriteReport(*folder);
      if (!path) return tl::unexpected(path.error());
      fmt::print("{}\n", path->string());
      return kExitOk;
    };
  });
}

}  // namespace dashf::cli
