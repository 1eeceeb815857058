#include "study/workers.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace dashf::study {
namespace {

constexpr int kPollMs = 100;
// What a child's bytes begin with; without it, it did not come to its end.
constexpr char kDone = 'd';
constexpr char kFailed = 'f';

struct Child {
  pid_t pid = 0;
  int pipe = -1;
  std::size_t job = 0;
  std::string bytes;
};

void WriteAll(int pipe, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(pipe, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(1);  // Nobody listens any more.
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void BeChild(pid_t parent,
                          int pipe,
                          const std::function<Expected<std::string>()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // It died before the line above.
  // A terminal's Ctrl-C reaches the whole group: this one ends when the parent says so.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGTERM, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const Expected<std::string> result = body();
  if (result) {
    WriteAll(pipe, kDone + *result);
  } else {
    const Error& error = result.error();
    WriteAll(pipe,
             fmt::format(
                 "{}{} {}\n{}", kFailed, static_cast<int>(error.kind), error.where, error.message));
  }
  ::_exit(0);  // No destructor of the parent's, no buffer flushed twice.
}

Expected<Child> Start(std::size_t job,
                      const std::function<Expected<std::string>(std::size_t)>& body) {
  int ends[2];
  const pid_t parent = ::getpid();
  if (::pipe(ends) != 0) return Fail(ErrorKind::kIo, "pipe", std::strerror(errno));
  const pid_t pid = ::fork();
  const int reason = errno;
  if (pid == 0) {
    ::close(ends[0]);
    BeChild(parent, ends[1], [&] { return body(job); });
  }
  ::close(ends[1]);
  if (pid < 0) {
    ::close(ends[0]);
    return Fail(ErrorKind::kIo, "fork", std::strerror(reason));
  }
  return Child{pid, ends[0], job, {}};
}

Expected<std::string> Reap(Child* child) {
  ::close(child->pipe);
  int status = 0;
  while (::waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string_view bytes = child->bytes;
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    return Fail(ErrorKind::kNumerical,
                "job",
                fmt::format("killed by signal {} ({})", signal, ::strsignal(signal)));
  }
  if (bytes.starts_with(kDone)) return std::string(bytes.substr(1));
  if (!bytes.starts_with(kFailed)) {
    return Fail(ErrorKind::kNumerical, "job", "ended without a result");
  }
  const std::size_t blank = bytes.find(' '), line = bytes.find('\n');
  return Fail(static_cast<ErrorKind>(std::stoi(std::string(bytes.substr(1, blank - 1)))),
              std::string(bytes.substr(blank + 1, line - blank - 1)),
              std::string(bytes.substr(line + 1)));
}

// Waits a moment for bytes; the index of a child that has closed its end, or their number.
std::size_t ReadSome(std::vector<Child>* children) {
  std::vector<pollfd> waiting;
  for (const Child& child : *children) waiting.push_back({child.pipe, POLLIN, 0});
  if (::poll(waiting.data(), waiting.size(), kPollMs) <= 0) return children->size();
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    if (waiting[i].revents == 0) continue;
    char buffer[4096];
    const ssize_t count = ::read(waiting[i].fd, buffer, sizeof buffer);
    if (count > 0) (*children)[i].bytes.append(buffer, static_cast<std::size_t>(count));
    if (count == 0) return i;
  }
  return children->size();
}

}  // namespace

Expected<void> RunInChildren(
    std::size_t count,
    int processes,
    const std::function<Expected<std::string>(std::size_t)>& body,
    const std::function<void(std::size_t, const Expected<std::string>&)>& on_end,
    const std::function<bool()>& stopped) {
  std::vector<Child> children;
  const auto kill_all = [&children] {
    for (Child& child : children) {
      ::kill(child.pid, SIGKILL);
      Reap(&child);
    }
  };
  std::size_t next = 0;
  while (next < count || !children.empty()) {
    while (next < count && std::cmp_less(children.size(), std::max(1, processes))) {
      Expected<Child> child = Start(next, body);
      if (!child) {
        kill_all();
        return tl::unexpected(child.error());
      }
      children.push_back(std::move(*child));
      ++next;
    }
    const std::size_t ended = ReadSome(&children);
    if (ended < children.size()) {
      const std::size_t job = children[ended].job;
      const Expected<std::string> result = Reap(&children[ended]);
      children.erase(children.begin() + static_cast<std::ptrdiff_t>(ended));
      on_end(job, result);
    }
    if (stopped()) {
      kill_all();
      return {};
    }
  }
  return {};
}

}  // namespace dashf::study
