#include "runtime/live_credentials.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/descriptor.h"

namespace dashf::runtime {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::seconds kLookEvery(1);
constexpr unsigned kProviderLooksEveryS = 1;
constexpr std::chrono::hours kSoon(24 * 7);  // That a certificate ends is told from here on.

// A text in memory with a path that gRPC can read it by: no key is written to a second place on
// disk, and gRPC sees nothing that was not checked.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : file_(::memfd_create(name, MFD_CLOEXEC)) {}

  // All of it at once: the descriptor comes to mean another file.
  bool Replace(const std::string& text) {
    const Descriptor next(::memfd_create("dashf", MFD_CLOEXEC));
    return next.get() >= 0 && WriteAll(next.get(), text) &&
           ::dup3(next.get(), file_.get(), O_CLOEXEC) >= 0;
  }
  std::string path() const { return fmt::format("/proc/self/fd/{}", file_.get()); }
  bool open() const { return file_.get() >= 0; }

 private:
  Descriptor file_;
};

struct Stamp {
  std::int64_t seconds = 0, nanoseconds = 0, bytes = 0;
  std::uint64_t inode = 0;
  bool operator==(const Stamp&) const = default;
};
using Stamps = std::array<Stamp, 3>;

Stamps Look(const CredentialPaths& paths) {
  Stamps stamps;
  for (std::size_t i = 0; const std::string* path : {&paths.ca, &paths.certificate, &paths.key}) {
    struct stat status {};
    if (::stat(path->c_str(), &status) == 0) {
      stamps[i] = {status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_size, status.st_ino};
    }
    ++i;
  }
  return stamps;
}

std::string EndText(const Credentials& credentials) {
  return fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(EndOf(credentials.certificate_pem)));
}

}  // namespace

class LiveCredentials::State {
 public:
  explicit State(Credentials fixed)
      : credentials_(std::move(fixed)),
        provider_(std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
            credentials_.ca_pem,
            std::vector<grpc::experimental::IdentityKeyCertPair>{
                {credentials_.key_pem, credentials_.certificate_pem}})) {}

  State(CredentialPaths paths, NodeId node, Notice notice)
      : paths_(std::move(paths)), node_(std::move(node)), notice_(std::move(notice)) {}

  ~State() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    if (watcher_.joinable()) watcher_.join();
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Expected<void> Begin() {
    seen_ = Look(paths_);
    auto loaded = LoadCredentials(paths_, node_);
    if (!loaded) return tl::unexpected(loaded.error());
    if (const auto exposed = ExposedKey(paths_.key)) notice_(LogLevel::kWarning, *exposed);
    files_.emplace();
    if (!Stage(*loaded)) {
      return Fail(ErrorKind::kIo, Name(node_), fmt::format("memfd: {}", std::strerror(errno)));
    }
    credentials_ = std::move(*loaded);
    end_ = EndOf(credentials_.certificate_pem);
    TellEnd();
    provider_ = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
        files_->key.path(), files_->certificate.path(), files_->ca.path(), kProviderLooksEveryS);
    watcher_ = std::thread([this] { Watch(); });
    return {};
  }

  Credentials Current() const {
    const std::lock_guard lock(mutex_);
    return credentials_;
  }
  std::shared_ptr<Provider> provider() const { return provider_; }

 private:
  struct Files {
    MemoryFile ca{"ca"}, certificate{"certificate"}, key{"key"};
  };

  bool Stage(const Credentials& next) {
    return files_->ca.open() && files_->certificate.open() && files_->key.open() &&
           files_->ca.Replace(next.ca_pem) && files_->certificate.Replace(next.certificate_pem) &&
           files_->key.Replace(next.key_pem);
  }

  void Watch() {
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, kLookEvery, [this] { return stop_; })) {
      lock.unlock();
      TellEnd();
      if (const Stamps now = Look(paths_); now != seen_) {
        seen_ = now;
        Take();
      }
      lock.lock();
    }
  }

  // Files that belong together may be replaced one after another: what does not fit is tried again
  // when the next of them changes.
  void Take() {
    auto loaded = LoadCredentials(paths_, node_);
    if (!loaded) {
      notice_(LogLevel::kWarning,
              fmt::format("not taken: {}; the certificate until {} stays in use",
                          loaded.error().Text(),
                          EndText(Current())));
      return;
    }
    if (*loaded == Current()) return;  // Written again as they were.
    if (!Stage(*loaded)) {
      notice_(LogLevel::kWarning, fmt::format("not taken: memfd: {}", std::strerror(errno)));
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      credentials_ = *loaded;
    }
    notice_(LogLevel::kInfo,
            fmt::format("{}: taken, valid until {}", paths_.certificate, EndText(*loaded)));
    end_ = EndOf(loaded->certificate_pem);
    told_ = 0;
    TellEnd();
  }

  // Once when it ends soon, and once when it has ended.
  void TellEnd() {
    const auto now = system_clock::now();
    const int stage = end_ <= now ? 2 : end_ - now <= kSoon ? 1 : 0;
    if (stage <= told_) return;
    told_ = stage;
    notice_(LogLevel::kWarning,
            fmt::format("{}: {} on {}; `dashf kit renew` makes another",
                        paths_.certificate,
                        stage == 2 ? "ended" : "ends",
                        EndText(Current())));
  }

  const CredentialPaths paths_;
  const NodeId node_;
  const Notice notice_;
  // The watching thread's, once that runs.
  Stamps seen_;
  system_clock::time_point end_;  // Of the certificate in use.
  int told_ = 0;
  std::optional<Files> files_;
  mutable std::mutex mutex_;  // Guards the two below.
  Credentials credentials_;
  bool stop_ = false;
  std::condition_variable wake_;
  std::shared_ptr<Provider> provider_;
  std::thread watcher_;
};

LiveCredentials::LiveCredentials(std::shared_ptr<State> state) : state_(std::move(state)) {}

LiveCredentials::LiveCredentials(const Credentials& fixed)
    : state_(std::make_shared<State>(fixed)) {}

Expected<LiveCredentials> LiveCredentials::Load(const CredentialPaths& paths,
                                                const NodeId& node,
                                                Notice notice) {
  auto state = std::make_shared<State>(paths, node, std::move(notice));
  if (auto begun = state->Begin(); !begun) return tl::unexpected(begun.error());
  return LiveCredentials(std::move(state));
}

Credentials LiveCredentials::Current() const {
  return state_->Current();
}

LiveCredentials::Notice NoticeTo(const Log& log) {
  return [log](LogLevel level, const std::string& message) {
    log.Write(level, "credentials", message);
  };
}

std::shared_ptr<LiveCredentials::Provider> LiveCredentials::provider() const {
  return state_->provider();
}

}  // namespace dashf::runtime
