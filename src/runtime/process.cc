#include "runtime/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/descriptor.h"

namespace dashf::runtime {
namespace {

constexpr int kLookMs = 20;

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&set, signal);
  return set;
}

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void BecomeChild(pid_t parent,
                              pid_t group,
                              char* const* arguments,
                              char* const* environment,
                              int log,
                              int report) {
  ::setpgid(0, group);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // It died before the line above.
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null >= 0) ::dup2(null, STDIN_FILENO);
  if (log >= 0) ::dup2(log, STDERR_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  ::execve(arguments[0], arguments, environment);
  const int reason = errno;
  const ssize_t written = ::write(report, &reason, sizeof reason);
  ::_exit(written == sizeof reason ? 127 : 126);
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string ThisProcess() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("process {} on {}", ::getpid(), host);
}

std::string Describe(const ProcessEnd& end) {
  if (end.signal == 0) return fmt::format("exit {}", end.exit_code);
  return fmt::format("killed by signal {} ({})", end.signal, ::strsignal(end.signal));
}

ProcessGroup::~ProcessGroup() {
  KillAll();
}

Expected<pid_t> ProcessGroup::Start(const std::string& name,
                                    const std::vector<std::string>& arguments,
                                    const std::vector<std::string>& environment,
                                    const std::string& log) {
  Descriptor log_file(
      log.empty() ? -1 : ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.empty() && log_file.get() < 0) return Fail(ErrorKind::kIo, log, std::strerror(errno));
  std::vector<std::string> argument_texts = arguments;
  std::vector<std::string> environment_texts = environment;
  for (char** entry = ::environ; *entry != nullptr; ++entry) environment_texts.push_back(*entry);
  const std::vector<char*> argv = Pointers(argument_texts), envp = Pointers(environment_texts);
  int report[2];  // Tells why exec failed; closed by an exec that succeeds.
  if (::pipe2(report, O_CLOEXEC) != 0) return Fail(ErrorKind::kIo, name, std::strerror(errno));
  const pid_t parent = ::getpid();
  const pid_t group = children_.empty() ? 0 : group_;
  const pid_t child = ::fork();
  if (child == 0) {
    BecomeChild(parent, group, argv.data(), envp.data(), log_file.get(), report[1]);
  }
  const int fork_reason = errno;
  ::close(report[1]);
  int exec_reason = 0;
  const bool failed =
      child > 0 && ::read(report[0], &exec_reason, sizeof exec_reason) == sizeof exec_reason;
  ::close(report[0]);
  if (child < 0) return Fail(ErrorKind::kIo, name, std::strerror(fork_reason));
  if (failed) {
    ::waitpid(child, nullptr, 0);
    return Fail(ErrorKind::kIo, arguments[0], std::strerror(exec_reason));
  }
  if (group == 0) group_ = child;
  ::setpgid(child, group_);
  children_[child] = name;
  return child;
}

std::optional<ProcessEnd> ProcessGroup::Poll() {
  for (const auto& [pid, name] : children_) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) != pid) continue;
    ProcessEnd end{name,
                   pid,
                   WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                   WIFSIGNALED(status) ? WTERMSIG(status) : 0};
    children_.erase(pid);
    return end;
  }
  return std::nullopt;
}

bool ProcessGroup::Running(const std::string& name) const {
  for (const auto& [pid, child] : children_) {
    if (child == name) return true;
  }
  return false;
}

void ProcessGroup::Signal(const std::string& name, int signal) {
  for (const auto& [pid, child] : children_) {
    if (child == name) ::kill(pid, signal);
  }
}

void ProcessGroup::KillAll() {
  for (const auto& [pid, name] : children_) ::kill(pid, SIGKILL);
  for (const auto& [pid, name] : children_) ::waitpid(pid, nullptr, 0);
  children_.clear();
}

void ExitWithin(std::chrono::seconds patience, int exit_code) {
  std::thread([patience, exit_code] {
    std::this_thread::sleep_for(patience);
    std::_Exit(exit_code);
  }).detach();
}

EndedBySignals::EndedBySignals() {
  thread_ = std::thread([this] {
    while (!over_) {
      if (const auto signal = signals_.Wait(kLookMs)) std::_Exit(128 + *signal);
    }
  });
}

EndedBySignals::~EndedBySignals() {
  over_ = true;
  thread_.join();
}

StopSignals::StopSignals() {
  const sigset_t set = StopSet();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::optional<int> StopSignals::Wait(int timeout_ms) {
  const sigset_t set = StopSet();
  const timespec timeout{.tv_sec = timeout_ms / 1000, .tv_nsec = (timeout_ms % 1000) * 1'000'000L};
  const int signal = ::sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? std::optional<int>(signal) : std::nullopt;
}

}  // namespace dashf::runtime
