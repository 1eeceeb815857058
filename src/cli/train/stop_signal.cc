#include "cli/train/stop_signal.h"

#include <csignal>

namespace dashf::cli {
namespace {

volatile std::sig_atomic_t noted = 0;

void Note(int number) {
  noted = number;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  noted = 0;
  std::signal(SIGINT, Note);
  std::signal(SIGTERM, Note);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int StopSignal::received() {
  return noted;
}

}  // namespace dashf::cli
