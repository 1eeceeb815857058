// dashf watch: a live page in a terminal. It asks as a browser does, and changes nothing.
#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "base/file.h"
#include "base/printable.h"
#include "base/termination.h"
#include "cli/command.h"
#include "cli/runtime/watch_screen.h"
#include "cli/verbs.h"
#include "live/http_client.h"
#include "live/token.h"
#include "runtime/back_off.h"
#include "runtime/folder_lock.h"

namespace dashf::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using live::HttpClient;

constexpr std::chrono::seconds kAnswerWithin(20);
constexpr double kStartS = 3.0;               // Of a coordinator that was begun a moment ago.
constexpr std::chrono::seconds kSilence(60);  // A stream gives a sign of life every 15 s.

struct Flags {
  std::string where, token;
  bool json = false;
};

// The address of a run or a coordinator's folder, which is there as long as it is served. A process
// that has the folder may be about to: a run measures and plans first.
Expected<std::string> AddressOf(const std::string& where) {
  if (!fs::is_directory(where) && where.find(':') == std::string::npos) {
    return Fail(ErrorKind::kBadInput, where, "is no folder, nor the HOST:PORT of a live page");
  }
  if (!fs::is_directory(where)) return where;
  const fs::path path = fs::path(where) / "live-address";
  const Stopwatch watch;
  for (bool said = false;;) {
    if (const auto text = ReadFile(path, 1024)) return text->substr(0, text->find('\n'));
    if (watch.ElapsedS() > kStartS && !runtime::FolderLock::OwnerIsThere(where)) {
      return Fail(ErrorKind::kIo,
                  path.string(),
                  "is not there: no coordinator that has a live page runs in this folder");
    }
    if (watch.ElapsedS() > 1.0 && !std::exchange(said, true)) {
      fmt::print(stderr, "waiting for the live page of {}\n", where);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

class Watch {
 public:
  Watch(HttpClient client, bool json)
      : client_(std::move(client)),
        json_(json),
        screen_(json                           ? WatchScreen::Shows::kNothing
                : ::isatty(STDOUT_FILENO) != 0 ? WatchScreen::Shows::kScreen
                                               : WatchScreen::Shows::kLines) {}

  // Until the fleet is over; a coordinator that was there and is away is waited for.
  Expected<int> Go() {
    runtime::BackOff pause;
    while (true) {
      const auto done = Once();
      if (done && over_) return kExitOk;
      if (!done && (!begun_ || done.error().kind != ErrorKind::kIo)) {
        return tl::unexpected(done.error());
      }
      if (std::ferror(stdout) != 0) return kExitOk;  // Nobody reads any more.
      if (begun_ && !away_) {
        away_ = true;
        screen_.Away();
        pause.Reset();
      }
      std::this_thread::sleep_for(pause.Next());
    }
  }

 private:
  // The whole, and then what changes, until the stream ends.
  Expected<void> Once() {
    const auto answer = client_.Get("/api/fleet", kAnswerWithin);
    if (!answer) return tl::unexpected(answer.error());
    Json fleet = Json::parse(answer->body, nullptr, false);
    if (answer->status == 503) return {};  // It is starting.
    if (answer->status == 401) {
      return Fail(ErrorKind::kIdentity, "--token-file", "the live page asks for its token");
    }
    if (answer->status != 200 || !fleet.is_object() ||
        fleet.value("schema", "") != "dashf.live/1") {
      return Fail(ErrorKind::kBadInput, "the address", "answers, but has no live page of dashf");
    }
    begun_ = true;
    away_ = false;
    const std::string id = fleet.value("id", "");
    screen_.Begin(std::move(fleet));
    if (json_) Print("fleet", screen_.fleet());
    Show();
    if (over_) return {};
    return client_.Stream("/events?after=" + id,
                          kSilence,
                          [this](const live::StreamedEvent& event) { return Take(event); });
  }

  bool Take(const live::StreamedEvent& event) {
    if (event.event == "anew") return false;
    Json data = Json::parse(event.data, nullptr, false);
    if (!data.is_object()) return true;
    if (json_) Print(event.event, data);
    screen_.Take(event.event, std::move(data));
    Show();
    return std::ferror(stdout) == 0 && !over_;
  }

  void Show() {
    over_ = screen_.Over();
    screen_.Draw();
  }

  static void Print(const std::string& what, const Json& data) {
    fmt::print(
        "{}\n",
        Json{{"event", what}, {"data", data}}.dump(-1, ' ', false, Json::error_handler_t::replace));
    std::fflush(stdout);
  }

  const HttpClient client_;
  const bool json_;
  WatchScreen screen_;
  bool begun_ = false, away_ = false, over_ = false;
};

Expected<int> GoWatch(const Flags& flags) {
  const auto address = AddressOf(flags.where);
  if (!address) return tl::unexpected(address.error());
  std::string token;
  std::string path = flags.token;
  const fs::path beside = fs::path(flags.where) / "live-token";
  if (path.empty() && fs::is_directory(flags.where) && fs::exists(beside)) path = beside.string();
  if (!path.empty()) {
    auto read = live::ReadToken(path);
    if (!read) return tl::unexpected(read.error());
    token = std::move(*read);
  }
  auto client = HttpClient::At(*address, token);
  if (!client) return tl::unexpected(client.error());
  return Watch(std::move(*client), flags.json).Go();
}

}  // namespace

void AddWatch(Command app, Run& run) {
  const auto flags = std::make_shared<Flags>();
  Command verb = AddEngineVerb(app, "watch");
  verb.add_option(
          "WHERE", flags->where, "A live page's address, or the folder of a run or coordinator")
      .required();
  verb.add_option("--token-file", flags->token, "What the page asks for [live-token in WHERE]");
  verb.add_flag("--json", flags->json, "Print what comes, a line of JSON each");
  verb.footer(
      "Draws the fleet anew as it changes; where stdout is no terminal, prints a line per event. "
      "Ends\n"
      "with the fleet, or Ctrl-C; a coordinator that is away is waited for. docs/live.md.\n"
      "Exit 9: a token is needed; 10: nobody answers.\n"
      "Examples:\n"
      "  dashf watch runs/demo\n"
      "  dashf watch http://127.0.0.1:7480/ --json");
  verb.callback([flags, &run] { run = [flags] { return GoWatch(*flags); }; });
}

}  // namespace dashf::cli
