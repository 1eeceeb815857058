// One connection of the server (http_server.cc). Everything is done on the server's one thread but
// what answers are made of. Internal to the module.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "live/http_server.h"

namespace dashf::live {

class Connection;

// What connections have in common; outlives them.
struct Connected {
  HttpOptions options;
  Board* board = nullptr;
  // Has the answer made; `then` is called on the connections' thread.
  std::function<void(const Request&, std::function<void(Answer)> then)> make;
  std::function<void(Connection*, bool open)> tell;       // That there is one, or was;
  std::function<void(Connection*, bool waiting)> listen;  // that a stream waits for more;
  std::function<void(int status)> count;                  // that it has been answered.
  bool stopping = false;                                  // Streams end with what there is.
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::ip::tcp::socket socket, Connected* server);
  ~Connection();
  void Read();      // The next request.
  void SendNext();  // Of the stream: what has come since.
  bool streams() const { return streams_; }

 private:
  using Error = boost::system::error_code;
  using Fields = boost::beast::http::request<boost::beast::http::empty_body>;

  void Take(const Error& failed);
  std::string Refusal(const Fields& request, const Request& asked, int* status);
  bool KnowsToken(const Fields& request, const Request& asked) const;
  void Enter(const Request& asked);
  void Say(int status, const std::string& text, const std::string& header_lines = {});
  void Send(const Answer& answer, const std::string& header_lines = {});
  void Write(std::string head, std::vector<Board::Message> bodies, std::function<void()> then);
  void Stream(const Fields& request, const Request& asked);
  void WatchForEnd();
  void Within(std::chrono::milliseconds patience);
  void Close();

  boost::asio::ip::tcp::socket socket_;
  Connected& server_;
  boost::asio::steady_timer deadline_;  // Then the connection ends.
  boost::asio::steady_timer pause_;     // Of a stream: then a sign of life.
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::empty_body>> parser_;
  bool keep_ = false, head_only_ = false;
  std::string head_;                    // Being sent, with
  std::vector<Board::Message> bodies_;  // these.
  std::atomic<bool> streams_ = false;
  bool waits_ = false;
  std::uint64_t next_ = 0;  // On the board.
  char ignored_[256];       // What a stream's reader says.
};

}  // namespace dashf::live
