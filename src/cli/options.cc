#include "cli/options.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>

namespace dashf::cli {
namespace {

Check CheckOf(const CLI::Validator& validator) {
  return {validator.get_description(), validator};
}

}  // namespace

template <class T>
Check Range(T low, T high) {
  return CheckOf(CLI::Range(low, high));
}
template Check Range(int, int);
template Check Range(unsigned, unsigned);
template Check Range(std::uint64_t, std::uint64_t);

Check IsMember(const std::vector<std::string>& names) {
  return CheckOf(CLI::IsMember(names));
}

Option& Option::required() {
  option_->required();
  return *this;
}

Option& Option::check(const Check& check) {
  option_->check(CLI::Validator(check.rule, check.type_name));
  return *this;
}

Option& Option::needs(Option other) {
  option_->needs(other.option_);
  return *this;
}

Option& Option::excludes(Option other) {
  option_->excludes(other.option_);
  return *this;
}

Option& Option::capture_default_str() {
  option_->capture_default_str();
  return *this;
}

Option& Option::default_str(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Option& Option::type_name(const std::string& name) {
  option_->type_name(name);
  return *this;
}

Option& Option::delimiter(char between) {
  option_->delimiter(between);
  return *this;
}

Option& Option::expected(int values) {
  option_->expected(values);
  return *this;
}

Option& Option::no_extra_args() {
  option_->allow_extra_args(false);
  return *this;
}

Option& Option::repeatable() {
  option_->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  return *this;
}

Option& Option::disable_flag_override() {
  option_->disable_flag_override();
  return *this;
}

template <class T>
Option Command::add_option(const std::string& name, T& value, const std::string& help) {
  return Option(app_->add_option(name, value, help));
}

template <class T>
Option Command::add_option_function(const std::string& name,
                                    const std::function<void(const T&)>& take,
                                    const std::string& help) {
  return Option(app_->add_option_function<T>(name, take, help));
}

Option Command::add_flag(const std::string& name, bool& value, const std::string& help) {
  return Option(app_->add_flag(name, value, help));
}

Option Command::add_flag_callback(const std::string& name,
                                  const std::function<void()>& given,
                                  const std::string& help) {
  return Option(app_->add_flag_callback(name, given, help));
}

Command Command::add_subcommand(const std::string& name, const std::string& summary) {
  return Command(app_->add_subcommand(name, summary));
}

Command Command::subcommand(const std::string& name) {
  const auto found =
      app_->get_subcommands([&](const CLI::App* verb) { return verb->get_name() == name; });
  return Command(found.empty() ? app_->add_subcommand(name) : found.front());
}

void Command::require_subcommand() {
  app_->require_subcommand(1);
}

void Command::footer(const std::string& text) {
  app_->footer(text);
}

void Command::callback(const std::function<void()>& parsed) {
  app_->callback(parsed);
}

void FailAsMissing(const std::string& what) {
  throw CLI::RequiredError(what);
}

// What variables of options may be.
template Option Command::add_option(const std::string&, int&, const std::string&);
template Option Command::add_option(const std::string&, unsigned&, const std::string&);
template Option Command::add_option(const std::string&, std::uint64_t&, const std::string&);
template Option Command::add_option(const std::string&, double&, const std::string&);
template Option Command::add_option(const std::string&, std::string&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<int>&, const std::string&);
template Option Command::add_option(const std::string&, std::optional<double>&, const std::string&);
template Option Command::add_option(const std::string&, std::vector<int>&, const std::string&);
template Option Command::add_option(const std::string&,
                                    std::vector<std::string>&,
                                    const std::string&);

template Option Command::add_option_function(const std::string&,
                                             const std::function<void(const double&)>&,
                                             const std::string&);
template Option Command::add_option_function(const std::string&,
                                             const std::function<void(const std::string&)>&,
                                             const std::string&);

}  // namespace dashf::cli
