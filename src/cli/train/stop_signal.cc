#include "cli/train/stop_signal.h"

#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <thread>

namespace dashf::cli {
namespace {

volatile std::sig_atomic_t noted = 0;

void Note(int number) {
  noted = number;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

}  // namespace

void TakeStopSignalsAside() {
  sigset_t stops;
  sigemptyset(&stops);
  sigaddset(&stops, SIGINT);
  sigaddset(&stops, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  std::thread([stops] {
    pthread_sigmask(SIG_UNBLOCK, &stops, nullptr);
    for (;;) ::pause();
  }).detach();
}

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
