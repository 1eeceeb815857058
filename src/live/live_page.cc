#include "live/live_page.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <deque>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "live/board.h"
#include "live/fleet_json.h"
#include "live/history.h"
#include "live/http_server.h"
#include "live/metrics.h"
#include "live/open_metrics.h"
#include "live/page_files.h"
#include "live/token.h"
#include "report/html.h"
#include "report/report.h"
#include "runtime/address.h"
#include "runtime/back_off.h"
#include "runtime/process.h"
#include "runtime/wall_clock.h"

namespace dashf::live {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kEventsShown = 200;  // Of those before a reader came.
constexpr std::size_t kEventBytes = 64 << 10;
constexpr std::chrono::milliseconds kPatience(500);
constexpr std::size_t kRowsMax = 1000;
constexpr int kReadAtOnce = 20;  // Rounds' files, when somebody asks; the others follow.
constexpr char kHtml[] = "text/html; charset=utf-8";
constexpr char kJson[] = "application/json";
constexpr char kReportPolicy[] =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'";

std::shared_ptr<const std::string> Body(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

Answer Sorry(int status, const std::string& why) {
  return {status, kJson, Body(Text({{"error", why}}) + "\n"), {}};
}

bool Takes(const Request& request, std::string_view type) {
  return request.accept.find(type) != std::string::npos;
}

// The same for a person at a browser.
Answer SorryPage(const Answer& sorry) {
  const std::string why = report::Escape(Json::parse(*sorry.body).value("error", ""));
  return {
      sorry.status,
      kHtml,
      Body(fmt::format(
          "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
          "<meta name=\"color-scheme\" content=\"light dark\"><title>dashf: {0}</title>"
          "<link rel=\"icon\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/page.css\">"
          "</head><body><header><a class=\"home\" href=\"/\">dashf</a><nav aria-label=\"Views\">"
          "<a href=\"/\">Fleet</a><a href=\"/rounds\">Rounds</a></nav></header>"
          "<main><h1>{0}</h1><p>{1}</p></main></body></html>\n",
          sorry.status,
          why)),
      {}};
}

Answer JsonAnswer(const Json& json) {
  return {200, kJson, Body(Text(json) + "\n"), {}};
}

std::optional<std::uint32_t> NumberIn(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty())
    return std::nullopt;
  return number;
}

double NowS() {
  return 1e-3 * static_cast<double>(runtime::WallClock());
}

class Page final : public LivePage {
 public:
  explicit Page(const runtime::CoordinatorKit& kit)
      : kit_(kit), history_(fs::path(kit.out_folder) / "rounds") {
    watch_ = {.begin = [this](runtime::WatchBeginning beginning) { Begin(std::move(beginning)); },
              .show =
                  [this](std::shared_ptr<const runtime::FleetSnapshot> fleet) {
                    server_->Post([this, fleet = std::move(fleet)] { Show(fleet); });
                  },
              .round_ended =
                  [this](const fleet::RoundSummary& round) {
                    server_->Post([this, round] { RoundEnded(round); });
                  }};
  }

  ~Page() override {
    stopping_ = true;
    if (events_.joinable()) events_.join();
    std::error_code ignored;
    if (!kit_.live.address_path.empty()) fs::remove(kit_.live.address_path, ignored);
  }

  Expected<void> Listen() {
    auto at = runtime::ParseAddress("coordinator_kit.live.listen", kit_.live.listen);
    if (!at) return tl::unexpected(at.error());
    HttpOptions options;
    options.host = at->host;
    options.port = at->port;
    if (!kit_.live.token_path.empty()) {
      auto token = ReadToken(kit_.live.token_path);
      if (!token) return tl::unexpected(token.error());
      options.token = std::move(*token);
    }
    auto server = HttpServer::Start(
        options, [this](const Request& request) { return Make(request); }, &board_);
    if (!server) return tl::unexpected(server.error());
    server_ = std::move(*server);
    at->port = server_->port();
    if (at->Wildcard()) {
      at->host = HostOfThis();
      at->kind = runtime::Address::Kind::kName;
    }
    url_ = fmt::format("http://{}/", at->Text());
    if (kit_.live.address_path.empty()) return {};
    return WriteFileAtomically(kit_.live.address_path, url_ + "\n");
  }

  const runtime::FleetWatch& watch() const override { return watch_; }
  const std::string& url() const override { return url_; }

 private:
  static std::string HostOfThis() {
    char name[256] = {};
    return ::gethostname(name, sizeof name - 1) == 0 ? name : "localhost";
  }

  // On the coordinator's thread.
  void Begin(runtime::WatchBeginning beginning) {
    events_ = std::thread([this, events = beginning.events] { Follow(*events); });
    server_->Post([this, beginning = std::move(beginning)] {
      name_ = beginning.name;
      for (const fleet::RoundSummary& round : beginning.rounds) history_.Add(round);
    });
  }

  void Follow(const runtime::RecentLines& events) {
    for (std::uint64_t next = 0;;) {  // Until the coordinator has closed them, or nobody asks.
      runtime::RecentLines::Part part = events.From(next, kEventBytes, kPatience);
      next = part.next;
      if (!part.lines.empty()) {
        server_->Post([this, lines = std::move(part.lines)] {
          for (const std::string& line : lines) Happened(line);
        });
      } else if (part.closed || stopping_) {
        return;
      }
    }
  }

  // All that follows is done on the server's thread that makes answers.
  void Happened(const std::string& line) {
    const Json event = Json::parse(line, nullptr, false);
    if (!event.is_object()) return;
    recent_.push_back(line);
    if (recent_.size() > kEventsShown) recent_.pop_front();
    if (event.value("event", "") == "planned") plan_ = event;
    if (event.value("pid", 0) == ::getpid()) metrics_.Take(event);
    board_.Put("happened", line);
  }

  void Show(const std::shared_ptr<const runtime::FleetSnapshot>& fleet) {
    fleet_ = fleet;
    // Nobody looks: what has changed is found when somebody does.
    if (server_->counts().streams > 0) PutChanges();
  }

  Json Head() const {
    Json head = HeadJson(*fleet_, NowS());
    head["name"] = name_;
    head["plan"] = Json();
    if (plan_.is_object()) {
      for (const char* key : {"round", "method", "scr", "scr_upper", "elapsed_s", "handovers"}) {
        if (plan_.contains(key)) head["plan"][key] = plan_[key];
      }
    }
    head["coordinator"] = {
        {"process", runtime::ThisProcess()}, {"version", DASHF_VERSION}, {"since_s", began_s_}};
    return head;
  }

  void PutChanges() {
    if (fleet_ == nullptr || fleet_ == shown_fleet_) return;
    shown_fleet_ = fleet_;
    std::string data = Text(Head());
    data.back() = ',';
    data += "\"nodes\":[";
    for (const std::string& row : shown_.Take(*fleet_)) {
      if (data.back() != '[') data += ',';
      data += row;
    }
    board_.Put("changed", data + "]}");
  }

  void RoundEnded(const fleet::RoundSummary& round) {
    history_.Add(round);
    metrics_.Take(round);
    history_.ReadOne();
    board_.Put("round", Text(history_.Row(round.number)));
  }

  Answer Make(const Request& request) {
    const Answer answer = MakeAny(request);
    const bool sorry = answer.status >= 400 && answer.type == kJson;
    return sorry && Takes(request, "text/html") ? SorryPage(answer) : answer;
  }

  Answer MakeAny(const Request& request) {
    const std::string& path = request.path;
    if (const auto file = PageFile(path)) {
      return {200, file->type, Body(std::string(file->bytes)), {}};
    }
    if (path == "/metrics") {
      return MakeMetrics(Takes(request, "application/openmetrics-text"));
    }
    if (path == "/api/fleet") return MakeFleet();
    if (path == "/api/rounds") return MakeRounds(request);
    constexpr std::string_view kRound = "/api/rounds/", kUser = "/api/users/", kPage = "/rounds/";
    if (path.starts_with(kRound)) return MakeRound(std::string_view(path).substr(kRound.size()));
    if (path.starts_with(kUser)) return MakeUser(path.substr(kUser.size()));
    if (path.starts_with(kPage) && path.ends_with("/report")) {
      return MakeReport(std::string_view(path).substr(
          kPage.size(), path.size() - kPage.size() - std::string_view("/report").size()));
    }
    return Sorry(404, "there is no such page");
  }

  Answer MakeMetrics(bool open_metrics) const {
    Metrics::Facts facts{fleet_.get(), server_->counts(), 0.0};
    for (const char* part : {"", "-wal"}) {
      std::error_code failed;
      const auto bytes = fs::file_size(kit_.log_path + part, failed);
      if (!failed) facts.log_bytes += static_cast<double>(bytes);
    }
    return {200,
            open_metrics ? kOpenMetricsType : Metrics::kPrometheusType,
            Body(metrics_.Text(facts, open_metrics)),
            {}};
  }

  Answer MakeFleet() {
    if (fleet_ == nullptr) return Sorry(503, "the coordinator is starting");
    PutChanges();
    const std::string id = board_.LastId();
    if (fleet_body_ != nullptr && fleet_id_ == id) return {200, kJson, fleet_body_, {}};
    std::string text = Text(Head());
    text.back() = ',';
    text += fmt::format("\"schema\":\"dashf.live/1\",\"id\":\"{}\",\"nodes\":[", id);
    for (const auto& [node, row] : shown_.nodes()) {
      if (text.back() != '[') text += ',';
      text += row;
    }
    text += "],\"events\":[";
    for (const std::string& line : recent_) {
      if (text.back() != '[') text += ',';
      text += line;
    }
    fleet_body_ = Body(text + "]}\n");
    fleet_id_ = id;
    return {200, kJson, fleet_body_, {}};
  }

  // The latest rounds' files are read at once, the others one after the other.
  void ReadHistory() {
    for (int i = 0; i < kReadAtOnce; ++i) {
      if (!history_.ReadOne()) return;
    }
    if (!reading_) ReadOn();
  }
  void ReadOn() {
    const auto round = stopping_ ? std::nullopt : history_.ReadOne();
    reading_ = round.has_value();
    if (!round) return;
    board_.Put("round", Text(history_.Row(*round)));
    server_->Post([this] { ReadOn(); });
  }

  Answer MakeRounds(const Request& request) {
    std::uint32_t before = std::numeric_limits<std::uint32_t>::max();
    std::size_t limit = 100;
    for (const auto& [key, text] : request.query) {
      const auto number = NumberIn(text);
      if (key == "token") continue;
      if (!number || *number == 0 || (key != "before" && key != "limit")) {
        return Sorry(400, "before and limit must be numbers above 0");
      }
      if (key == "before") before = *number;
      if (key == "limit") limit = std::min<std::size_t>(*number, kRowsMax);
    }
    ReadHistory();
    return JsonAnswer(history_.Rows(before, limit));
  }

  Answer MakeRound(std::string_view text) const {
    const auto number = NumberIn(text);
    if (!number) return Sorry(404, "a round has a number");
    const auto round = history_.Round(*number);
    return round ? JsonAnswer(*round) : Sorry(404, round.error().Text());
  }

  Answer MakeUser(const std::string& user) {
    if (!runtime::CheckId("", user)) return Sorry(404, "there is no such user");
    ReadHistory();
    return JsonAnswer({{"user", user}, {"rounds", history_.User(user)}});
  }

  // As `dashf report` writes it of the round's folder.
  Answer MakeReport(std::string_view text) const {
    const auto number = NumberIn(text);
    if (!number || history_.Row(*number).is_null()) return Sorry(404, "no such round has ended");
    const auto page =
        report::ReportPage(fs::path(kit_.out_folder) / "rounds" / fmt::format("{:04}", *number));
    if (!page) return Sorry(404, page.error().Text());
    return {200, kHtml, Body(*page), kReportPolicy};
  }

  const runtime::CoordinatorKit kit_;
  const double began_s_ = NowS();
  Board board_{fmt::format("{:x}", runtime::RandomNumber())};
  History history_;
  Metrics metrics_;
  runtime::FleetWatch watch_;
  std::string url_, name_;
  std::shared_ptr<const runtime::FleetSnapshot> fleet_, shown_fleet_;
  ShownFleet shown_;
  Json plan_;                       // The event of the plan that was made last.
  std::deque<std::string> recent_;  // Events.
  std::shared_ptr<const std::string> fleet_body_;
  std::string fleet_id_;  // The board's last message when that was made.
  bool reading_ = false;
  std::atomic<bool> stopping_ = false;
  std::thread events_;
  // Last: gone before what its jobs use, and there as long as it does them.
  std::unique_ptr<HttpServer> server_;
};

}  // namespace

Expected<std::unique_ptr<LivePage>> LivePage::Start(const runtime::CoordinatorKit& kit) {
  auto page = std::make_unique<Page>(kit);
  if (auto listening = page->Listen(); !listening) return tl::unexpected(listening.error());
  return std::unique_ptr<LivePage>(std::move(page));
}

}  // namespace dashf::live
