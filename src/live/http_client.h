// Reads a live page as a program does: whole answers, and the stream of events.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"

namespace dashf::live {

struct Response {
  int status = 0;
  std::string type, body;
};
struct StreamedEvent {
  std::string id, event, data;
};

// One thread at a time; each call connects anew.
class HttpClient {
 public:
  // "http://HOST:PORT/", the host as in an address; `token` may be empty. kBadInput if it is none.
  static Expected<HttpClient> At(const std::string& url, std::string token);

  // kIo if nobody answers within `patience` per step, as connecting.
  Expected<Response> Get(const std::string& target, std::chrono::milliseconds patience) const;
  // Until `visit` says that it has had enough, or the stream ends, or nothing has come for
  // `patience`, which is kIo.
  Expected<void> Stream(const std::string& target,
                        std::chrono::milliseconds patience,
                        const std::function<bool(const StreamedEvent&)>& visit) const;

 private:
  HttpClient(std::string host, std::string port, std::string token)
      : host_(std::move(host)), port_(std::move(port)), token_(std::move(token)) {}
  class Call;
  std::string HostHeader() const;
  std::string Name() const;

  std::string host_, port_, token_;
};

}  // namespace dashf::live
