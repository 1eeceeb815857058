#include "live/http_server.h"

#include <gmock/gmock.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <thread>

#include "live/http_request.h"

namespace dashf::live {
namespace {

namespace net = boost::asio;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr char kToken[] = "abcdefgh12345678";

// A reader that says what it likes, byte by byte.
class Reader {
 public:
  explicit Reader(int port) {
    socket_.connect({net::ip::address_v4::loopback(), static_cast<std::uint16_t>(port)});
  }
  void Say(const std::string& text) {
    boost::system::error_code ignored;  // Who is refused may be so before all was said.
    net::write(socket_, net::buffer(text), ignored);
  }
  // Until the end, or until `text` has come.
  std::string Hear(const std::string& text = "\n\nnever\n\n") {
    boost::system::error_code failed;
    while (!failed && heard_.find(text) == std::string::npos) {
      char bytes[4096];
      const std::size_t count = socket_.read_some(net::buffer(bytes), failed);
      heard_.append(bytes, count);
    }
    return std::exchange(heard_, {});
  }
  void HearSome(int times) {
    boost::system::error_code failed;
    for (char bytes[4096]; times > 0 && !failed; --times) {
      socket_.read_some(net::buffer(bytes), failed);
    }
  }
  void Reset() { socket_.set_option(net::socket_base::linger(true, 0)); }  // Instead of an end.

 private:
  net::io_context io_;
  net::ip::tcp::socket socket_{io_};
  std::string heard_;
};

class Server : public testing::Test {
 protected:
  void Start(HttpOptions options = {}) {
    options.host = "127.0.0.1";
    auto server = HttpServer::Start(
        options,
        [this](const Request& request) {
          asked_.push_back(request.path);
          return Answer{200, "text/plain", std::make_shared<const std::string>(text_), {}};
        },
        &board_);
    ASSERT_TRUE(server) << server.error().Text();
    server_ = std::move(*server);
  }
  std::string Get(const std::string& target, const std::string& header = "Host: localhost") {
    Reader reader(server_->port());
    reader.Say("GET " + target + " HTTP/1.1\r\n" + header + "\r\nConnection: close\r\n\r\n");
    return reader.Hear();
  }

  Board board_{"life"};
  std::string text_ = "the answer";
  std::vector<std::string> asked_;  // Written by the server's thread, read once it has answered.
  std::unique_ptr<HttpServer> server_;
};

TEST_F(Server, AnswersWithHeadersThatLetNoOtherSiteInAndKeepsTheConnection) {
  Start();
  Reader reader(server_->port());
  for (int i = 0; i < 3; ++i) {
    reader.Say("GET /rounds/7 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n");
    const std::string heard = reader.Hear("the answer");
    EXPECT_THAT(heard, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(heard, HasSubstr("Content-Length: 10\r\n"));
    EXPECT_THAT(heard, HasSubstr("script-src 'self'"));
    EXPECT_THAT(heard, Not(HasSubstr("unsafe-inline")));
    EXPECT_THAT(heard, HasSubstr("Referrer-Policy: no-referrer\r\n"));
    EXPECT_THAT(heard, HasSubstr("Cross-Origin-Resource-Policy: same-origin\r\n"));
  }
  EXPECT_EQ(asked_, (std::vector<std::string>(3, "/rounds/7")));
  EXPECT_EQ(server_->counts().connections, 1U);
}

TEST_F(Server, AHeadHasNoBody) {
  Start();
  Reader reader(server_->port());
  reader.Say("HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  const std::string heard = reader.Hear();
  EXPECT_THAT(heard, HasSubstr("Content-Length: 10\r\n"));
  EXPECT_THAT(heard, Not(HasSubstr("the answer")));
}

TEST_F(Server, WhatWouldChangeSomethingOrIsNoRequestIsRefused) {
  Start();
  const auto answer_to = [this](const std::string& text) {
    Reader reader(server_->port());
    reader.Say(text);
    return reader.Hear("\r\n");
  };
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    EXPECT_THAT(answer_to(std::string(method) + " / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
                StartsWith("HTTP/1.1 405 "));
  }
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"),
              StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer_to("\x16\x03\x01 hello\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer_to("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(9000, 'x')),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(Server, PathsThatClimbAreNone) {
  Start();
  for (const char* path : {"/../etc/passwd",
                           "/rounds/../../x",
                           "/%2e%2e/etc/passwd",
                           "/rounds/..%2f..%2fx",
                           "//etc/passwd",
                           "/a\\..\\b",
                           "/%00",
                           "/%0d%0aX: y",
                           "/%zz",
                           "/%c3%a9",
                           "x"}) {
    EXPECT_THAT(Get(path), StartsWith("HTTP/1.1 400 ")) << path;
  }
  EXPECT_THAT(Get("/" + std::string(2000, 'a')), StartsWith("HTTP/1.1 400 "));
  EXPECT_TRUE(asked_.empty());
}

TEST_F(Server, APageOfAnotherSiteWhoseNamePointsHereIsRefused) {
  Start();
  for (const char* host :
       {"evil.example.org", "evil.example.org:80", "localhost.evil.org", "10.0.0.1"}) {
    EXPECT_THAT(Get("/", std::string("Host: ") + host), StartsWith("HTTP/1.1 403 ")) << host;
  }
  for (const char* host : {"localhost", "localhost:8080", "127.0.0.1", "[::1]", "[::1]:99"}) {
    EXPECT_THAT(Get("/", std::string("Host: ") + host), StartsWith("HTTP/1.1 200 ")) << host;
  }
}

TEST_F(Server, WithATokenNobodyIsAnsweredWithoutIt) {
  HttpOptions options;
  options.token = kToken;
  Start(options);
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Get("/events"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Get("/?token=abcdefgh12345679"), StartsWith("HTTP/1.1 401 "));
  EXPECT_THAT(Get("/", "Host: h\r\nAuthorization: Bearer abcdefgh1234567"),
              StartsWith("HTTP/1.1 401 "));
  EXPECT_TRUE(asked_.empty());
  EXPECT_THAT(Get("/", std::string("Host: h\r\nAuthorization: Bearer ") + kToken),
              StartsWith("HTTP/1.1 200 "));
  const std::string entered = Get(std::string("/rounds?token=") + kToken);
  EXPECT_THAT(entered, StartsWith("HTTP/1.1 303 "));
  EXPECT_THAT(entered, HasSubstr("Location: /rounds\r\n"));
  const std::string cookie = "dashf_live_" + std::to_string(server_->port()) + "=" + kToken;
  EXPECT_THAT(entered,
              HasSubstr("Set-Cookie: " + cookie + "; Path=/; HttpOnly; SameSite=Strict\r\n"));
  EXPECT_THAT(Get("/", "Host: h\r\nCookie: a=b; " + cookie), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Server, AStreamGoesOnFromTheLastEventThatItsReaderHasHad) {
  Start();
  board_.Put("changed", "{1}");
  const std::string seen = board_.LastId();
  board_.Put("changed", "{2}");
  Reader reader(server_->port());
  reader.Say("GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: " + seen + "\r\n\r\n");
  const std::string heard = reader.Hear("data: {2}\n\n");
  EXPECT_THAT(heard, HasSubstr("Content-Type: text/event-stream\r\n"));
  EXPECT_THAT(heard, HasSubstr("id: life-2\nevent: changed\n"));
  EXPECT_THAT(heard, Not(HasSubstr("{1}")));
  board_.Put("changed", "{3}");
  EXPECT_THAT(reader.Hear("{3}\n\n"), HasSubstr("id: life-3\n"));
  EXPECT_EQ(server_->counts().streams, 1U);
}

TEST_F(Server, AReaderOfAnEarlierLifeOrFromLongAgoIsToBeginAnew) {
  Start();
  board_.Put("changed", "{1}");
  for (const char* id : {"other-1", "life-99", "life-x", "life", ""}) {
    Reader reader(server_->port());
    const std::string query = *id == '\0' ? "" : std::string("?after=") + id;
    reader.Say("GET /events" + query + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (*id == '\0') continue;  // Begins with what comes.
    EXPECT_THAT(reader.Hear("data: {}\n\n"), HasSubstr("id: life-1\nevent: anew\n")) << id;
  }
}

TEST_F(Server, AReaderThatDoesNotReadHoldsNobodyUpAndIsDropped) {
  HttpOptions options;
  options.taken_within = std::chrono::milliseconds(300);
  Start(options);
  Reader dead(server_->port()), alive(server_->port());
  for (Reader* reader : {&dead, &alive})
    reader->Say("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  alive.Hear("retry");
  for (int i = 0; i < 1000; ++i) {  // 16 MB, more than any socket holds.
    const std::string end = "end of " + std::to_string(i) + ";";
    board_.Put("changed", std::string(16 << 10, 'x') + end);
    EXPECT_THAT(alive.Hear(end), HasSubstr(end));
  }
  while (server_->counts().streams > 1) std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

// At any time, and in any order of what happens on their connection.
TEST_F(Server, ReadersThatLeaveWhileTheyAreToldAreForgotten) {
  Start();
  std::atomic<bool> over = false;
  std::thread happening([&] {
    for (std::size_t i = 1; !over; ++i) {
      board_.Put("happened", std::string(7919 * i % 100'000, 'x'));
      if (i % 4 == 0) std::this_thread::sleep_for(std::chrono::microseconds(7919 * i % 2000));
    }
  });
  std::vector<std::thread> readers;
  for (int n = 0; n < 3; ++n) {
    readers.emplace_back([&, n] {
      for (int i = 0; i < 300; ++i) {
        Reader reader(server_->port());
        reader.Say("GET /events?after=" + board_.LastId() + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
        reader.HearSome((13 * i + n) % 30);
        if (i % 2 == 0) reader.Reset();
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  over = true;
  happening.join();
  while (server_->counts().connections > 0) std::this_thread::yield();
  for (int i = 0; i < 50; ++i) board_.Put("happened", "{}");
  EXPECT_THAT(Get("/"), HasSubstr("the answer"));
}

TEST_F(Server, FiveHundredReadersHearTheSameAndNoMoreThanThatAreLetIn) {
  HttpOptions options;
  options.connections_max = 500;
  Start(options);
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 500; ++i) {
    readers.push_back(std::make_unique<Reader>(server_->port()));
    readers.back()->Say("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    readers.back()->Hear("retry: 1000\n\n");
  }
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 503 "));
  board_.Put("changed", "{all}");
  for (auto& reader : readers) reader->Hear("{all}");
  readers.clear();
  while (server_->counts().connections > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_THAT(Get("/"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(Server, WhoIsSlowToAskIsDropped) {
  HttpOptions options;
  options.header_within = std::chrono::milliseconds(100);
  Start(options);
  Reader reader(server_->port());
  reader.Say("GET / HTT");
  EXPECT_EQ(reader.Hear(), "");
}

TEST_F(Server, ItsEndLetsReadersHaveWhatIsOnTheBoard) {
  Start();
  Reader reader(server_->port());
  reader.Say("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  reader.Hear("retry: 1000\n\n");
  board_.Put("changed", "{last}");
  server_.reset();
  EXPECT_THAT(reader.Hear(), HasSubstr("{last}\n\n"));
}

TEST_F(Server, APortThatIsTakenIsNamed) {
  Start();
  HttpOptions options;
  options.host = "127.0.0.1";
  options.port = server_->port();
  Board board("other");
  const auto second = HttpServer::Start(options, {}, &board);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::kIo);
  EXPECT_THAT(second.error().Text(), HasSubstr("Address already in use"));
}

TEST(Target, IsAPathWithAQuery) {
  const auto request = ParseTarget("/rounds?before=7&limit=1%30&x");
  ASSERT_TRUE(request);
  EXPECT_EQ(request->path, "/rounds");
  EXPECT_EQ(request->query,
            (std::map<std::string, std::string>{{"before", "7"}, {"limit", "10"}, {"x", ""}}));
}

TEST(Board, ForgetsTheOldestAndSaysSo) {
  Board board("b", {.messages = 3, .bytes = 1000});
  for (int i = 1; i <= 5; ++i) board.Put("e", std::to_string(i));
  EXPECT_EQ(board.LastId(), "b-5");
  EXPECT_FALSE(board.After("b-1"));
  EXPECT_EQ(board.After("b-2"), 3U);
  EXPECT_TRUE(board.From(1, 1000).passed);
  const Board::Part part = board.From(4, 1000);
  EXPECT_FALSE(part.passed);
  ASSERT_EQ(part.messages.size(), 2U);
  EXPECT_EQ(*part.messages[0], "id: b-4\nevent: e\ndata: 4\n\n");
  EXPECT_EQ(part.next, 6U);
  board.Put("e", std::string(2000, 'x'));  // Too large beside others.
  EXPECT_EQ(board.From(1, 1).messages.size(), 1U);
}

}  // namespace
}  // namespace dashf::live
