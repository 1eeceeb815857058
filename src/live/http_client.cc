#include "live/http_client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <string_view>

#include "runtime/address.h"

namespace dashf::live {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr std::uint64_t kBodyBytesMax = std::uint64_t{256} << 20;
constexpr std::size_t kEventBytesMax = 64 << 20;

}  // namespace

// One connection, each step of which has its time.
class HttpClient::Call {
 public:
  Call(const HttpClient& client, std::chrono::milliseconds patience)
      : client_(client), patience_(patience) {}

  Expected<void> Ask(const std::string& target) {
    beast::error_code failed;
    net::ip::tcp::resolver resolver(io_);
    const auto found = resolver.resolve(client_.host_, client_.port_, failed);
    if (failed) return Failed(failed);
    auto done = Step([&](const auto& then) {
      stream_.async_connect(found, [then](const beast::error_code& ec, const auto&) { then(ec); });
    });
    if (!done) return done;
    http::request<http::empty_body> request{http::verb::get, target, 11};
    request.set(http::field::host, client_.HostHeader());
    request.set(http::field::connection, "close");
    if (!client_.token_.empty()) {
      request.set(http::field::authorization, "Bearer " + client_.token_);
    }
    return Step([&](const auto& then) {
      http::async_write(
          stream_, request, [then](const beast::error_code& ec, std::size_t) { then(ec); });
    });
  }

  Expected<Response> Answer() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kBodyBytesMax);
    auto done = Step([&](const auto& then) {
      http::async_read(
          stream_, buffer_, parser, [then](const beast::error_code& ec, std::size_t) { then(ec); });
    });
    if (!done) return tl::unexpected(done.error());
    const auto& message = parser.get();
    const auto type = message[http::field::content_type];
    return Response{
        static_cast<int>(message.result_int()), {type.data(), type.size()}, message.body()};
  }

  // The stream's bytes, `take`n as they come, until it ends or that says no.
  Expected<void> Pieces(const std::function<bool(std::string_view)>& take) {
    http::response_parser<http::empty_body> parser;
    auto done = Step([&](const auto& then) {
      http::async_read_header(
          stream_, buffer_, parser, [then](const beast::error_code& ec, std::size_t) { then(ec); });
    });
    if (!done) return done;
    if (parser.get().result_int() != 200) {
      return Fail(
          ErrorKind::kIo, client_.Name(), fmt::format("answered {}", parser.get().result_int()));
    }
    std::string piece(static_cast<const char*>(buffer_.data().data()), buffer_.size());
    std::string room(64 << 10, '\0');
    while (take(piece)) {
      std::size_t count = 0;
      beast::error_code ended;
      done = Step([&](const auto& then) {
        stream_.async_read_some(net::buffer(room),
                                [&, then](const beast::error_code& ec, std::size_t bytes) {
                                  count = bytes;
                                  ended = ec;
                                  then(ec);
                                });
      });
      if (ended == net::error::eof) return {};
      if (!done) return done;
      piece.assign(room, 0, count);
    }
    return {};
  }

 private:
  template <class Start>
  Expected<void> Step(const Start& start) {
    beast::error_code failed;
    stream_.expires_after(patience_);
    start([&failed](const beast::error_code& ec) { failed = ec; });
    io_.restart();
    io_.run();
    if (failed) return Failed(failed);
    return {};
  }

  tl::unexpected<Error> Failed(const beast::error_code& failed) const {
    return Fail(ErrorKind::kIo,
                client_.Name(),
                failed == beast::error::timeout ? "nothing has come in time" : failed.message());
  }

  const HttpClient& client_;
  const std::chrono::milliseconds patience_;
  net::io_context io_;
  beast::tcp_stream stream_{io_};
  beast::flat_buffer buffer_;
};

std::string HttpClient::Name() const {
  return "http://" + HostHeader() + "/";
}

std::string HttpClient::HostHeader() const {
  return host_.find(':') == std::string::npos ? host_ + ":" + port_
                                              : fmt::format("[{}]:{}", host_, port_);
}

Expected<HttpClient> HttpClient::At(const std::string& url, std::string token) {
  constexpr std::string_view kScheme = "http://";
  std::string_view rest = url;
  if (rest.starts_with(kScheme)) rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  const auto address = runtime::ParseReachable("the live page's address", rest);
  if (!address) return tl::unexpected(address.error());
  return HttpClient(address->host, fmt::to_string(address->port), std::move(token));
}

Expected<Response> HttpClient::Get(const std::string& target,
                                   std::chrono::milliseconds patience) const {
  Call call(*this, patience);
  if (auto asked = call.Ask(target); !asked) return tl::unexpected(asked.error());
  return call.Answer();
}

Expected<void> HttpClient::Stream(const std::string& target,
                                  std::chrono::milliseconds patience,
                                  const std::function<bool(const StreamedEvent&)>& visit) const {
  Call call(*this, patience);
  if (auto asked = call.Ask(target); !asked) return asked;
  std::string rest;
  return call.Pieces([&](std::string_view piece) {
    rest += piece;
    for (std::size_t end; (end = rest.find("\n\n")) != std::string::npos;) {
      StreamedEvent event;
      for (std::size_t at = 0; at < end;) {
        const std::size_t stop = std::min(rest.find('\n', at), end);
        const std::string line = rest.substr(at, stop - at);
        if (line.starts_with("id: ")) event.id = line.substr(4);
        if (line.starts_with("event: ")) event.event = line.substr(7);
        if (line.starts_with("data: ")) event.data = line.substr(6);
        at = stop + 1;
      }
      rest.erase(0, end + 2);
      if (!event.event.empty() && !visit(event)) return false;
    }
    return rest.size() < kEventBytesMax;
  });
}

}  // namespace dashf::live
