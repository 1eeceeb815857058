// dashf report: one self-contained HTML page about a run directory, or what TensorBoard reads.
#include "report/report.h"

#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/counted.h"
#include "cli/command.h"
#include "report/event_files.h"

namespace dashf::cli {

void AddReport(Command app, Run& run) {
  const auto folder = std::make_shared<std::string>(), events = std::make_shared<std::string>();
  Command verb = app.add_subcommand("report", "Write RUN_DIR/report.html from the run's files");
  verb.add_option("RUN_DIR",
                  *folder,
                  "Folder with scenario.json and plan.json, and comparison.json and round.json "
                  "where they exist")
      .required();
  verb.add_option("--tensorboard",
                  *events,
                  "Instead of the page, write each user's held-out losses over the rounds to "
                  "event files in this folder");
  verb.footer(
      "Examples:\n"
      "  dashf report runs/today\n"
      "  dashf compare s/scenario.json --json > s/comparison.json && dashf report s\n"
      "  dashf report runs/today --tensorboard events && tensorboard --logdir events");
  verb.callback([folder, events, &run] {
    run = [folder, events]() -> Expected<int> {
      if (!events->empty()) {
        const auto files = report::WriteEventFiles(*folder, *events);
        if (!files) return tl::unexpected(files.error());
        fmt::print("{}: event files of {}\n", *events, Counted(*files, "user"));
        return kExitOk;
      }
      const auto path = report::WriteReport(*folder);
      if (!path) return tl::unexpected(path.error());
      fmt::print("{}\n", path->string());
      return kExitOk;
    };
  });
}

}  // namespace dashf::cli
