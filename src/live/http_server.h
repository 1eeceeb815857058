// A small HTTP/1.1 server that only answers: GET and HEAD, whole pages and one stream of
// server-sent events (board.h). It has a thread for its connections and one for what answers are
// made of; no caller ever waits for either. Bounded: connections, headers, time, and one answer at
// a time per connection.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "live/board.h"

namespace dashf::live {

struct Request {
  std::string path;                          // "/rounds/7": decoded, of printable ASCII, climbs
  std::map<std::string, std::string> query;  // nowhere.
  std::string accept = {};                   // The header of that name.
};

struct Answer {
  int status = 200;
  std::string type;                         // "text/html; charset=utf-8".
  std::shared_ptr<const std::string> body;  // Shared by all that get it.
  std::string content_security_policy;      // Empty: what suits the page (http_server.cc).
};

struct HttpOptions {
  std::string host;  // An address or a name of this machine's.
  int port = 0;      // 0: any free one.
  std::string
      token;  // Whoever asks must know it; empty: whoever reaches a loopback address may ask.
  std::size_t connections_max = 512;
  std::chrono::milliseconds header_within{15'000};  // Also of a connection that waits for more.
  std::chrono::milliseconds taken_within{60'000};   // Of an answer, or a piece of the stream.
  std::chrono::milliseconds sign_of_life{15'000};   // In a stream in which nothing happens.
};

struct HttpCounts {
  std::size_t connections = 0, streams = 0;
  std::map<int, std::uint64_t> answers;  // By status.
};

class HttpServer {
 public:
  // On the thread that makes answers, one at a time.
  using Answering = std::function<Answer(const Request&)>;
  using Job = std::function<void()>;

  // Listens; kIo if it cannot. `board` outlives it.
  static Expected<std::unique_ptr<HttpServer>> Start(const HttpOptions& options,
                                                     Answering answering,
                                                     Board* board);
  virtual ~HttpServer() = default;  // Lets readers have what is on the board, for half a second.

  virtual int port() const = 0;
  virtual HttpCounts counts() const = 0;
  // Done on the thread that makes answers, in the order of the calls.
  virtual void Post(Job job) = 0;
};

}  // namespace dashf::live
