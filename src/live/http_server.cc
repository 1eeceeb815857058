#include "live/http_server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/write.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "live/http_connection.h"

namespace dashf::live {
namespace {

namespace net = boost::asio;
using net::ip::tcp;

constexpr std::chrono::milliseconds kFarewell(500);
constexpr std::chrono::seconds kAcceptAgain(1);  // After a failure, as of descriptors.
constexpr char kFull[] =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 22\r\nRetry-After: 10\r\n"
    "Connection: close\r\n\r\ntoo many are connected";

class Server final : public HttpServer {
 public:
  Server(const HttpOptions& options, Answering answering, Board* board)
      : answering_(std::move(answering)) {
    shared_.options = options;
    shared_.board = board;
    shared_.make = [this](const Request& request, std::function<void(Answer)> then) {
      net::post(worker_, [this, request, then = std::move(then)]() mutable {
        net::post(io_, [answer = answering_(request), then = std::move(then)] { then(answer); });
      });
    };
    shared_.tell = [this](Connection* connection, bool open) { Tell(connection, open); };
    shared_.listen = [this](Connection* connection, bool waits) {
      if (waits) {
        waiting_.insert(connection);
      } else {
        waiting_.erase(connection);
      }
    };
    shared_.count = [this](int status) {
      const std::lock_guard lock(mutex_);
      ++answers_[status];
    };
  }

  ~Server() override {
    shared_.board->OnPut({});
    worker_.join();  // What is to be on the board is.
    net::post(io_, [this] {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      shared_.stopping = true;
      WakeStreams();
    });
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, kFarewell, [this] { return Streams() == 0; });
    }
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  Expected<void> Listen() {
    // The coordinator needs descriptors of its own: readers have a quarter of what there are.
    if (rlimit limit{}; ::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
      const auto most = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur / 4, 1U << 20));
      shared_.options.connections_max = std::min(shared_.options.connections_max, most);
    }
    boost::system::error_code failed;
    const HttpOptions& options = shared_.options;
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(
        options.host, fmt::to_string(options.port), tcp::resolver::passive, failed);
    for (const auto& entry : found) {
      const tcp::endpoint at = entry.endpoint();
      acceptor_.open(at.protocol(), failed);
      if (!failed) acceptor_.set_option(net::socket_base::reuse_address(true), failed);
      if (!failed) acceptor_.bind(at, failed);
      if (!failed) acceptor_.listen(net::socket_base::max_listen_connections, failed);
      if (!failed) break;
      boost::system::error_code ignored;
      acceptor_.close(ignored);
    }
    if (failed || !acceptor_.is_open()) {
      return Fail(ErrorKind::kIo,
                  fmt::format("live page at {}:{}", options.host, options.port),
                  "cannot listen: " + (failed ? failed.message() : "no such host"));
    }
    port_ = acceptor_.local_endpoint(failed).port();
    shared_.options.port = port_;
    shared_.board->OnPut([this] { net::post(io_, [this] { WakeStreams(); }); });
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return {};
  }

  int port() const override { return port_; }

  HttpCounts counts() const override {
    const std::lock_guard lock(mutex_);
    return {connections_.size(), Streams(), answers_};
  }

  void Post(Job job) override { net::post(worker_, std::move(job)); }

 private:
  void Accept() {
    acceptor_.async_accept([this](const boost::system::error_code& failed, tcp::socket socket) {
      if (failed == net::error::operation_aborted || !acceptor_.is_open()) return;
      if (failed) {
        retry_.expires_after(kAcceptAgain);
        retry_.async_wait([this](const auto& ended) {
          if (!ended) Accept();
        });
        return;
      }
      if (connections_.size() < shared_.options.connections_max) {
        std::make_shared<Connection>(std::move(socket), &shared_)->Read();
      } else {
        Turn(std::move(socket));
      }
      Accept();
    });
  }

  // Away, without waiting for anything.
  void Turn(tcp::socket socket) {
    boost::system::error_code ignored;
    socket.non_blocking(true, ignored);
    socket.send(net::buffer(kFull, sizeof kFull - 1), 0, ignored);
    shared_.count(503);
  }

  void WakeStreams() {
    const std::set<Connection*> waiting = waiting_;
    for (Connection* connection : waiting) connection->SendNext();
  }

  void Tell(Connection* connection, bool open) {
    const std::lock_guard lock(mutex_);
    if (open) {
      connections_.insert(connection);
    } else {
      connections_.erase(connection);
      changed_.notify_all();
    }
  }

  std::size_t Streams() const {  // Under the lock.
    std::size_t streams = 0;
    for (const Connection* connection : connections_) streams += connection->streams() ? 1 : 0;
    return streams;
  }

  const Answering answering_;
  Connected shared_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Connection*> connections_;  // Changed on the connections' thread, under the lock.
  std::map<int, std::uint64_t> answers_;
  std::set<Connection*> waiting_;  // Streams.
  int port_ = 0;
  net::io_context io_{1};
  tcp::acceptor acceptor_{io_};
  net::steady_timer retry_{io_};
  net::thread_pool worker_{1};  // Its jobs hold connections: gone before io_.
  std::thread thread_;
};

}  // namespace

Expected<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpOptions& options,
                                                        Answering answering,
                                                        Board* board) {
  auto server = std::make_unique<Server>(options, std::move(answering), board);
  if (auto listening = server->Listen(); !listening) return tl::unexpected(listening.error());
  return std::unique_ptr<HttpServer>(std::move(server));
}

}  // namespace dashf::live
