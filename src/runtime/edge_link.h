// A user's side of its talk with its server: data set and adapters of layers 1..k go there, the
// adapters that the server has trained come back. Goes on from where it was after every break, for
// as long as it is wanted.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "dashf.grpc.pb.h"
#include "runtime/artefact_file.h"
#include "runtime/attempt.h"
#include "runtime/live_credentials.h"
#include "runtime/node.h"

namespace dashf::runtime {

struct Transferred {
  std::uint64_t bytes = 0;        // Of the artefacts.
  std::uint64_t bytes_moved = 0;  // By this call: fewer where an earlier one had begun, more where
                                  // a break had some sent again.
  double elapsed_s = 0.0;         // Pauses included.
  int tries = 0;                  // Calls made to the server.
};

// When to ask again, and for how long a call may make no progress.
struct Patience {
  std::chrono::milliseconds pause_first{100};   // Doubled with each try that moved nothing,
  std::chrono::milliseconds pause_max{10'000};  // up to here; half of each is left to chance.
  std::chrono::milliseconds silence_max{30'000};
};

class EdgeLink {
 public:
  struct Settings {
    Attempt attempt;
    NodeId server;
    std::string address;            // HOST:PORT.
    std::filesystem::path folder;   // This attempt's own: what has come so far is kept there.
    double upload_bit_per_s = 0.0;  // And no faster; 0: as fast as it goes.
    // Asked about ten times a second, by another thread too; once false, a transfer ends.
    std::function<bool()> wanted;
    // Told why the server is to be asked again.
    std::function<void(const std::string& reason, std::chrono::milliseconds pause)> on_pause;
    Patience patience;
  };

  EdgeLink(Settings settings, LiveCredentials credentials);
  ~EdgeLink();
  EdgeLink(const EdgeLink&) = delete;
  EdgeLink& operator=(const EdgeLink&) = delete;

  // Both end when done, when no longer wanted, or when the server says what no repetition can
  // change: kIdentity if either side keeps refusing the other's certificate, else kRoundFailed with
  // the last reason. `adapters` is empty if k = 0.
  Expected<Transferred> Upload(std::string_view data, std::string_view adapters);
  Expected<Transferred> Download(std::string* adapters);  // kIo too, for this user's own disk.

 private:
  class Call;
  struct Outcome;
  Expected<Transferred> Repeat(const std::function<Outcome(Transferred*)>& once);
  Outcome DownloadOnce(const std::filesystem::path& path,
                       std::optional<IncomingFile>* incoming,
                       Transferred* transferred);
  Expected<void> ShakeHands() const;
  bool Pause(const std::string& reason, int tries_in_vain) const;     // False: no longer wanted.
  bool WaitUntil(std::chrono::steady_clock::time_point until) const;  // The same.
  Error Failed(const std::string& reason) const;

  const Settings settings_;
  const LiveCredentials credentials_;
  const std::unique_ptr<v1::EdgeServer::Stub> stub_;
};

}  // namespace dashf::runtime
