#include "cli/command_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/nearest.h"
#include "base/printable.h"
#include "cli/completion.h"
#include "cli/shipped_model.h"

namespace dashf::cli {
namespace {

// How --help groups the verbs.
constexpr struct {
  const char* group;
  std::string_view verbs;  // Each between blanks.
} kGroups[] = {
    {"Plan", " new check solve compare explain evaluate verify bound sweep "},
    {"Train", " train score generate merge export profile pretrain "},
    {"Carry a plan out", " run report kit ctl coordinator server user "},
    {"Study", " study bench sections "},
};

std::string GroupOf(const std::string& verb) {
  for (const auto& [group, verbs] : kGroups) {
    if (verbs.find(' ' + verb + ' ') != std::string_view::npos) return group;
  }
  return "Others";
}

std::vector<const CLI::App*> Verbs(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

std::vector<std::string> VerbNames(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : Verbs(app)) names.push_back(verb->get_name());
  return names;
}

// A flag that the verb does not have, with the one that was meant; empty: there is none such.
std::string UnknownFlag(const CLI::App& verb) {
  for (const std::string& word : verb.remaining()) {
    if (!word.starts_with("-") || word == "-" || word == "--") continue;
    std::vector<std::string> flags;
    for (const CLI::Option* option : verb.get_options()) {
      for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
    }
    const std::string flag = word.substr(0, word.find('='));
    return fmt::format("there is no flag \"{}\"{}", flag, MeantInstead(Nearest(flag, flags)));
  }
  return {};
}

// A verb's own verb that it does not have; empty: none was named.
std::string UnknownVerb(const CLI::App& verb) {
  const std::vector<std::string> names = VerbNames(verb);
  for (const std::string& word : verb.remaining()) {
    if (word.starts_with("-") || names.empty()) continue;
    return fmt::format("there is no verb \"{}\"{}", word, MeantInstead(Nearest(word, names)));
  }
  return {};
}

// In its examples, by where it lies.
void NameShippedModel(CLI::App* verb) {
  constexpr std::string_view kInSource = "share/models/debian-3m";
  std::string text = verb->get_footer();
  const std::string path = ShippedModel();
  for (std::size_t at = 0; (at = text.find(kInSource, at)) != std::string::npos;) {
    text.replace(at, kInSource.size(), path);
    at += path.size();
  }
  if (!text.empty()) verb->footer(text);
}

// Why the words could not be read, and where to look: not the whole help.
std::string UsageMessage(const CLI::App* app, const CLI::Error& error) {
  const CLI::App* verb = app;
  while (!verb->get_subcommands().empty()) verb = verb->get_subcommands().back();
  std::string name = verb->get_name();
  for (const CLI::App* parent = verb->get_parent(); parent != nullptr;
       parent = parent->get_parent()) {
    name = parent->get_name() + " " + name;
  }
  // Before what is missing, which a flag that was mistyped stood for.
  std::string what = UnknownVerb(*verb);
  if (what.empty()) what = UnknownFlag(*verb);
  if (what.empty()) what = error.what();
  return fmt::format(
      "{}: {}\n\"{} --help\" says how it is called\n", name, PrintableLine(what), name);
}

int PrintCandidates(const CLI::App& app, std::span<char* const> words) {
  const std::vector<std::string_view> typed(words.begin(), words.end());
  for (const auto& [word, description] : Complete(app, typed)) {
    fmt::print("{}\t{}\n", word, description);
  }
  return kExitOk;
}

// Where nobody listens or a disk is full, messages are lost, and not the work that they are about:
// fmt would throw. Nor may a file that is opened later get the number of a stream that is closed.
void LoseWhatStderrDoesNotTake() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    // Results that go nowhere are still a failure: stdout does not take what is written.
    if (::fcntl(stream, F_GETFD) < 0) {
      ::open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
  const auto write = [](void*, const char* bytes, std::size_t size) {
    for (std::size_t sent = 0; sent < size;) {
      const ssize_t taken = ::write(STDERR_FILENO, bytes + sent, size - sent);
      if (taken < 0 && errno == EINTR) continue;
      if (taken <= 0) break;
      sent += static_cast<std::size_t>(taken);
    }
    return static_cast<ssize_t>(size);
  };
  FILE* const lenient = ::fopencookie(
      nullptr, "w", {.read = nullptr, .write = write, .seek = nullptr, .close = nullptr});
  if (lenient == nullptr) return;
  std::setvbuf(lenient, nullptr, _IONBF, 0);
  stderr = lenient;  // Glibc's is a variable.
}

}  // namespace

int RunCommandLine(int argc,
                   char** argv,
                   std::span<const AddVerb> verbs,
                   std::span<const Verb> elsewhere) {
  LoseWhatStderrDoesNotTake();
  CLI::App app{
      "dashf: plan and carry out split fine-tuning of LLM adapters between users and edge servers"};
  app.name("dashf");
  app.set_version_flag("--version", std::string("dashf ") + DASHF_VERSION);
  app.require_subcommand(1);
  app.failure_message(UsageMessage);
  Run run;
  for (const AddVerb& add : verbs) add(Command(&app), run);
  for (const Verb& verb : elsewhere) app.add_subcommand(verb.name, verb.summary);
  for (CLI::App* verb : app.get_subcommands([](CLI::App*) { return true; })) {
    verb->group(GroupOf(verb->get_name()));
    NameShippedModel(verb);
  }
  if (argc > 1 && argv[1] == kComplete)
    return PrintCandidates(app, std::span(argv, argc).subspan(2));
  app.footer(fmt::format("The model that ships: {}", ShippedModel()));
  const std::vector<std::string> names = VerbNames(app);
  if (argc > 1 && argv[1][0] != '-' && std::ranges::find(names, argv[1]) == names.end()) {
    fmt::print(stderr,
               "dashf: there is no verb \"{}\"{}; \"dashf --help\" lists them\n",
               PrintableLine(argv[1]),
               MeantInstead(Nearest(argv[1], names)));
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool asked_for_text = error.get_exit_code() == 0;  // --help and --version.
    const int code = app.exit(error, std::cout, std::cerr);
    return asked_for_text ? code : kExitUsage;
  }
  try {
    Expected<int> outcome = run();
    if (outcome && (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)) {
      outcome = Fail(ErrorKind::kIo, "stdout", "cannot be written to the end");
    }
    if (outcome) return *outcome;
    fmt::print(stderr, "dashf: {}\n", Printable(outcome.error().Text()));
    return static_cast<int>(outcome.error().kind);
  } catch (const std::filesystem::filesystem_error& error) {
    fmt::print(
        stderr, "dashf: {}: {}\n", PrintableLine(error.path1().string()), error.code().message());
    return static_cast<int>(ErrorKind::kIo);
  } catch (const std::system_error& error) {  // Of fmt, when stdout is full.
    fmt::print(stderr, "dashf: stdout: cannot be written: {}\n", error.code().message());
    return static_cast<int>(ErrorKind::kIo);
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "dashf: out of memory\n");
    return static_cast<int>(ErrorKind::kNumerical);
  }
}

}  // namespace dashf::cli
