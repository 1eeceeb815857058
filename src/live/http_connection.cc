#include "live/http_connection.h"

#include <fmt/format.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>
#include <utility>

#include "live/http_request.h"

namespace dashf::live {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;

constexpr std::size_t kHeaderBytesMax = 8 << 10;
constexpr std::size_t kPieceBytesMax = 64 << 10;  // Of the stream, at a time.
constexpr char kStreamPath[] = "/events";
constexpr char kOwnPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr char kSafety[] =
    "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n"
    "Cache-Control: no-store\r\n";

std::string StatusLine(int status) {
  const auto reason = http::obsolete_reason(http::int_to_status(static_cast<unsigned>(status)));
  return fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
}

std::string_view View(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

std::string CookieName(const HttpOptions& options) {
  return fmt::format("dashf_live_{}", options.port);  // A host's ports share their cookies.
}

}  // namespace

Connection::Connection(net::ip::tcp::socket socket, Connected* server)
    : socket_(std::move(socket)),
      server_(*server),
      deadline_(socket_.get_executor()),
      pause_(socket_.get_executor()),
      buffer_(2 * kHeaderBytesMax) {
  server_.tell(this, true);
}

Connection::~Connection() {
  server_.tell(this, false);
}

void Connection::Within(std::chrono::milliseconds patience) {
  deadline_.expires_after(patience);
  deadline_.async_wait([weak = weak_from_this()](const Error& failed) {
    const auto self = weak.lock();
    if (!failed && self) self->Close();
  });
}

void Connection::Close() {
  Error ignored;
  deadline_.cancel();
  pause_.cancel();
  if (std::exchange(waits_, false)) server_.listen(this, false);
  socket_.shutdown(net::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

void Connection::Read() {
  parser_.emplace();
  parser_->header_limit(kHeaderBytesMax);
  parser_->body_limit(0);
  Within(server_.options.header_within);
  http::async_read(
      socket_, buffer_, *parser_, [self = shared_from_this()](const Error& failed, auto) {
        self->Take(failed);
      });
}

void Connection::Take(const Error& failed) {
  keep_ = false;
  if (failed == http::error::header_limit || failed == http::error::buffer_overflow) {
    return Say(431, "the header is too large");
  }
  if (failed == http::error::unexpected_body || failed == http::error::body_limit) {
    return Say(413, "a request has no body here");
  }
  if (failed && failed.category() == make_error_code(http::error::bad_method).category() &&
      failed != http::error::end_of_stream && failed != http::error::partial_message) {
    return Say(400, "this is no HTTP request");
  }
  if (failed) return Close();
  const Fields request = parser_->release();
  keep_ = request.keep_alive() && !server_.stopping;
  head_only_ = request.method() == http::verb::head;
  auto asked = ParseTarget(View(request.target()));
  if (request.method() != http::verb::get && !head_only_) {
    return Say(405, "nothing can be changed here: only GET and HEAD", "Allow: GET, HEAD\r\n");
  }
  if (!asked) return Say(400, "there can be no such page");
  int status = 200;
  const std::string refusal = Refusal(request, *asked, &status);
  if (status != 200) {
    return Say(
        status, refusal, status == 401 ? "WWW-Authenticate: Bearer realm=\"dashf\"\r\n" : "");
  }
  if (asked->query.contains("token") && !server_.options.token.empty()) return Enter(*asked);
  if (asked->path == kStreamPath && !head_only_) return Stream(request, *asked);
  asked->accept = View(request[http::field::accept]);
  deadline_.cancel();  // Making the answer takes the time that it takes.
  server_.make(*asked, [self = shared_from_this()](const Answer& answer) { self->Send(answer); });
}

// Why nothing is said to this one; a page of another site whose name points here (DNS rebinding)
// sends that name.
std::string Connection::Refusal(const Fields& request, const Request& asked, int* status) {
  const auto host = request.find(http::field::host);
  if (request.version() >= 11 && host == request.end()) {
    *status = 400;
    return "the request names no host";
  }
  if (server_.options.token.empty()) {
    if (host == request.end() || IsLoopbackHost(View(host->value()))) return {};
    *status = 403;
    return "ask for this machine by its loopback address or as localhost";
  }
  if (KnowsToken(request, asked)) return {};
  *status = 401;
  return "a token is needed: add ?token=TOKEN to the address, or send it as Authorization: Bearer";
}

bool Connection::KnowsToken(const Fields& request, const Request& asked) const {
  const std::string& token = server_.options.token;
  if (const auto given = asked.query.find("token"); given != asked.query.end()) {
    return SameToken(given->second, token);
  }
  const std::string_view authorization = View(request[http::field::authorization]);
  if (authorization.starts_with("Bearer ")) return SameToken(authorization.substr(7), token);
  const auto cookie = CookieNamed(View(request[http::field::cookie]), CookieName(server_.options));
  return cookie && SameToken(*cookie, token);
}

// The token goes into a cookie, and out of the address and whatever remembers that.
void Connection::Enter(const Request& asked) {
  Say(303,
      "",
      fmt::format("Location: {}\r\nSet-Cookie: {}={}; Path=/; HttpOnly; SameSite=Strict\r\n",
                  asked.path,
                  CookieName(server_.options),
                  server_.options.token));
}

void Connection::Say(int status, const std::string& text, const std::string& header_lines) {
  Send({status,
        "text/plain; charset=utf-8",
        std::make_shared<const std::string>(text.empty() ? "" : text + "\n"),
        {}},
       header_lines);
}

void Connection::Send(const Answer& answer, const std::string& header_lines) {
  server_.count(answer.status);
  keep_ = keep_ && !server_.stopping;
  std::string head = StatusLine(answer.status);
  head += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n",
                      answer.type,
                      answer.body->size(),
                      keep_ ? "keep-alive" : "close");
  head += kSafety;
  head += fmt::format(
      "Content-Security-Policy: {}\r\n{}\r\n",
      answer.content_security_policy.empty() ? kOwnPolicy : answer.content_security_policy,
      header_lines);
  std::vector<Board::Message> bodies;
  if (!head_only_) bodies.push_back(answer.body);
  Within(server_.options.taken_within);
  Write(std::move(head), std::move(bodies), [this] {
    if (keep_) return Read();
    Close();
  });
}

// `then` is called if all of it was taken.
void Connection::Write(std::string head,
                       std::vector<Board::Message> bodies,
                       std::function<void()> then) {
  head_ = std::move(head);
  bodies_ = std::move(bodies);
  std::vector<net::const_buffer> pieces{net::buffer(head_)};
  for (const Board::Message& body : bodies_) pieces.push_back(net::buffer(*body));
  net::async_write(socket_,
                   pieces,
                   [self = shared_from_this(), then = std::move(then)](const Error& failed, auto) {
                     self->bodies_.clear();
                     if (failed) return self->Close();
                     then();
                   });
}

void Connection::Stream(const Fields& request, const Request& asked) {
  server_.count(200);
  streams_ = true;
  std::string_view last = View(request["Last-Event-ID"]);  // Of a browser that comes again.
  if (const auto after = asked.query.find("after"); last.empty() && after != asked.query.end()) {
    last = after->second;
  }
  std::string head = StatusLine(200);
  head += "Content-Type: text/event-stream\r\nConnection: close\r\n";
  head += kSafety;
  head += "\r\nretry: 1000\n\n";
  const std::string now = server_.board->LastId();
  next_ = server_.board->After(last.empty() ? now : last).value_or(0);
  if (next_ == 0) {
    head += fmt::format("id: {}\nevent: anew\ndata: {{}}\n\n", now);
    next_ = *server_.board->After(now);
  }
  WatchForEnd();
  Within(server_.options.taken_within);
  Write(std::move(head), {}, [this] { SendNext(); });
}

// A reader that leaves is noticed at once, and what it says is nothing to us.
void Connection::WatchForEnd() {
  socket_.async_read_some(net::buffer(ignored_),
                          [self = shared_from_this()](const Error& failed, auto) {
                            if (failed) return self->Close();
                            self->WatchForEnd();
                          });
}

void Connection::SendNext() {
  if (!socket_.is_open()) return;  // Closed after its last message was taken: nobody waits.
  if (std::exchange(waits_, false)) server_.listen(this, false);
  pause_.cancel();
  Board::Part part = server_.board->From(next_, kPieceBytesMax);
  next_ = part.next;
  std::string head;
  if (part.passed) {
    part.messages.clear();  // It has to ask for the whole anyway.
    const std::string now = server_.board->LastId();
    next_ = *server_.board->After(now);
    head = fmt::format("id: {}\nevent: anew\ndata: {{}}\n\n", now);
  }
  if (!part.messages.empty() || !head.empty()) {
    Within(server_.options.taken_within);
    return Write(std::move(head), std::move(part.messages), [this] { SendNext(); });
  }
  if (server_.stopping) return Close();
  deadline_.cancel();
  waits_ = true;
  server_.listen(this, true);
  pause_.expires_after(server_.options.sign_of_life);
  pause_.async_wait([weak = weak_from_this()](const Error& failed) {
    const auto self = weak.lock();
    if (failed || !self || !self->waits_) return;
    self->waits_ = false;
    self->server_.listen(self.get(), false);
    self->Within(self->server_.options.taken_within);
    self->Write(": still here\n\n", {}, [raw = self.get()] { raw->SendNext(); });
  });
}

}  // namespace dashf::live
