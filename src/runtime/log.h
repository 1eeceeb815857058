// What a node says while it runs: one event a line on its standard error, as text for people or as
// JSON for programs (docs/deploy.md, "Logs"). Nobody who says something waits for who reads it: an
// error output that takes nothing loses lines, which it is told of once it takes some again.
// Thread-safe; copies share the output.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace dashf::runtime {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat { kLines, kJson };
const char* Name(LogLevel level);

struct LogOptions {
  LogFormat format = LogFormat::kLines;
  LogLevel level = LogLevel::kInfo;  // Less is not said.
};

class Log {
 public:
  using Fields = nlohmann::ordered_json;

  Log() = default;  // Says nothing.
  // What `node` says goes to this descriptor, which stays the caller's.
  Log(const LogOptions& options, std::string node, int descriptor = 2);
  // The same for who is known by another name by now.
  Log Named(std::string node) const;

  bool Shows(LogLevel level) const;
  // `component` is the part of the node that speaks. Control characters of `message`, which may
  // quote a peer, are shown as such. `fields`: what it says as values, an object; in lines only
  // those of debug events are shown, for the other messages have in words what people need.
  void Write(LogLevel level,
             std::string_view component,
             const std::string& message,
             const Fields& fields) const;
  void Write(LogLevel level, std::string_view component, const std::string& message) const;
  void Info(std::string_view component, const std::string& message, const Fields& fields) const {
    Write(LogLevel::kInfo, component, message, fields);
  }
  void Info(std::string_view component, const std::string& message) const {
    Write(LogLevel::kInfo, component, message);
  }
  void Warning(std::string_view component, const std::string& message, const Fields& fields) const {
    Write(LogLevel::kWarning, component, message, fields);
  }
  void Warning(std::string_view component, const std::string& message) const {
    Write(LogLevel::kWarning, component, message);
  }

 private:
  class Output;
  std::shared_ptr<Output> output_;
  std::string node_;
};

// What gRPC says from now on, which it would write to standard error: debug events.
void TakeGrpcLines(const Log& log);

// Of a line in the format for people its message, with its level if that is above info; any other
// line as it is.
std::string_view MessageOf(std::string_view line);

}  // namespace dashf::runtime
