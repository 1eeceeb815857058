// What a verb takes on the command line, in the words of CLI11, which carries it out. CLI11's
// header costs a file that includes it 8 to 18 s of compilation; that is why verbs include this
// one.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace dashf::cli {

// What each value of an option must be.
struct Check {
  std::string type_name;                                      // In --help.
  std::function<std::string(const std::string& value)> rule;  // What is wrong; empty: nothing.
};
template <class T>  // int, unsigned or std::uint64_t.
Check Range(T low, T high);
Check IsMember(const std::vector<std::string>& names);

// One option, flag or positional argument of a verb; a handle, to be copied at will.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  Option& check(const Check& check);
  Option& needs(Option other);
  Option& excludes(Option other);
  Option& capture_default_str();  // Shows in --help the value that its variable has at this call.
  Option& default_str(const std::string& text);
  Option& type_name(const std::string& name);
  Option& delimiter(char between);  // Several values in one word.
  Option& expected(int values);     // So many words each time.
  Option& no_extra_args();          // A word each time, and the next one is not its.
  Option& repeatable();             // All count of those that are given, one or more each time.
  Option& disable_flag_override();  // No --flag=false.

 private:
  CLI::Option* option_;
};

// The program, a verb, or a verb's verb; a handle, to be copied at will. What options write to must
// be there when the command line is parsed.
class Command {
 public:
  explicit Command(CLI::App* app) : app_(app) {}

  // Named --NAME, or NAME where it is known by its place. T: a number, a string, or a vector or an
  // optional of such, as listed at the end of options.cc.
  template <class T>
  Option add_option(const std::string& name, T& value, const std::string& help);
  template <class T>  // double or std::string.
  Option add_option_function(const std::string& name,
                             const std::function<void(const T& value)>& take,
                             const std::string& help);
  Option add_flag(const std::string& name, bool& value, const std::string& help);
  Option add_flag_callback(const std::string& name,
                           const std::function<void()>& given,
                           const std::string& help);

  Command add_subcommand(const std::string& name, const std::string& summary);
  Command subcommand(const std::string& name);  // Added if there is none such.
  void require_subcommand();                    // Exactly one.

  void footer(const std::string& text);
  void callback(const std::function<void()>& parsed);

 private:
  CLI::App* app_;
};

// Ends parsing, from a callback, like an option that is required and not there.
[[noreturn]] void FailAsMissing(const std::string& what);

}  // namespace dashf::cli
