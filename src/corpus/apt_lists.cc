#include "corpus/apt_lists.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <unordered_map>

#include "base/file.h"

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kListBytesMax = std::uint64_t{1} << 30;
constexpr const char* kUnpacker = "/usr/lib/apt/apt-helper";
constexpr std::string_view kPackagesPrefix = "_dists_bookworm_main_binary-";
constexpr std::string_view kTranslationStem = "_dists_bookworm_main_i18n_Translation-en";

Expected<std::string> ReadPipe(int fd, const std::string& path) {
  std::string bytes;
  std::array<char, 1 << 16> block;
  for (;;) {
    const ssize_t n = ::read(fd, block.data(), block.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(ErrorKind::kIo, path, "cannot read what apt-helper unpacks");
    if (n == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(n));
    if (bytes.size() > kListBytesMax) {
      return Fail(
          ErrorKind::kBadInput, path, fmt::format("unpacks to over {} bytes", kListBytesMax));
    }
  }
}

// The text of a compressed list, by the program that apt itself brings for it.
Expected<std::string> Unpack(const std::string& path) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Fail(ErrorKind::kIo, path, "cannot make a pipe");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string program = kUnpacker, verb = "cat-file", argument = path;
  std::array<char*, 4> arguments{program.data(), verb.data(), argument.data(), nullptr};
  pid_t child = 0;
  const int failure =
      ::posix_spawn(&child, kUnpacker, &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  if (failure != 0) {
    ::close(ends[0]);
    return Fail(
        ErrorKind::kIo,
        path,
        fmt::format("cannot unpack: {}: {}", kUnpacker, std::generic_category().message(failure)));
  }
  auto bytes = ReadPipe(ends[0], path);
  ::close(ends[0]);  // A child that still writes gets SIGPIPE, so the wait below ends.
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (bytes && status != 0) return Fail(ErrorKind::kIo, path, "apt-helper cannot unpack it");
  return bytes;
}

// Compressed lists end in ".lz4", ".xz" and so on; of a plain list the last dot is the host's.
Expected<std::string> ReadList(const std::filesystem::path& path) {
  const bool plain =
      path.extension().empty() || path.extension().string().find('_') != std::string::npos;
  return plain ? ReadFile(path, kListBytesMax) : Unpack(path.string());
}

// The value of a field that stands on one line; empty where the stanza lacks it.
std::string_view Field(std::string_view stanza, std::string_view label) {
  for (std::size_t at = 0; at < stanza.size();) {
    const std::size_t end = std::min(stanza.find('\n', at), stanza.size());
    const std::string_view line = stanza.substr(at, end - at);
    if (line.starts_with(label)) {
      std::string_view value = line.substr(label.size());
      value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
      return value;
    }
    at = end + 1;
  }
  return {};
}

template <class Visit>
void ForEachStanza(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(text.find_first_not_of('\n', end), text.size()));
  }
}

// Lines that start with one space flow together, lines that start with more stand alone, " ." ends
// a paragraph (Debian Policy 5.6.13).
std::string Paragraphs(std::string_view continuation) {
  std::string text;
  bool joins = false;
  while (!continuation.empty() && continuation.front() == ' ') {
    const std::size_t end = std::min(continuation.find('\n'), continuation.size());
    std::string_view line = continuation.substr(0, end);
    const std::size_t indent = std::min(line.find_first_not_of(' '), line.size());
    line.remove_prefix(indent);
    continuation.remove_prefix(std::min(end + 1, continuation.size()));
    if (line == "." || line.empty()) {
      joins = false;
      continue;
    }
    const bool flows = indent == 1;
    if (!text.empty()) text += joins && flows ? ' ' : '\n';
    text += line;
    joins = flows;
  }
  return text;
}

struct Description {
  std::string_view summary;
  std::string_view rest;  // As the list has it.
};

std::unordered_map<std::string_view, Description> DescriptionsByDigest(std::string_view text) {
  constexpr std::string_view kLabel = "\nDescription-en: ";
  std::unordered_map<std::string_view, Description> descriptions;
  ForEachStanza(text, [&](std::string_view stanza) {
    const std::string_view digest = Field(stanza, "Description-md5:");
    const std::size_t label = stanza.find(kLabel);
    if (digest.empty() || label == std::string_view::npos) return;
    const std::string_view value = stanza.substr(label + kLabel.size());
    const std::size_t end = std::min(value.find('\n'), value.size());
    descriptions.emplace(
        digest, Description{value.substr(0, end), value.substr(std::min(end + 1, value.size()))});
  });
  return descriptions;
}

}  // namespace

std::vector<Package> JoinPackages(std::string_view packages, std::string_view translations) {
  const auto descriptions = DescriptionsByDigest(translations);
  std::map<std::string_view, Package> by_name;
  ForEachStanza(packages, [&](std::string_view stanza) {
    const std::string_view name = Field(stanza, "Package:");
    const std::string_view section = Field(stanza, "Section:");
    const auto found = descriptions.find(Field(stanza, "Description-md5:"));
    if (name.empty() || section.empty() || found == descriptions.end()) return;
    std::string_view source = Field(stanza, "Source:");
    source = source.substr(0, source.find(' '));  // "glibc (2.36-9)".
    by_name.try_emplace(name,
                        Package{.name = std::string(name),
                                .source = std::string(source.empty() ? name : source),
                                .section = std::string(section.substr(section.find('/') + 1)),
                                .summary = std::string(found->second.summary),
                                .description = Paragraphs(found->second.rest)});
  });
  std::vector<Package> joined;
  joined.reserve(by_name.size());
  for (auto& [name, package] : by_name) joined.push_back(std::move(package));
  return joined;
}

Expected<std::vector<Package>> ReadPackages(const std::string& lists_dir) {
  std::error_code error;
  std::vector<std::filesystem::path> packages, translations;
  for (std::filesystem::directory_iterator it(lists_dir, error), end; !error && it != end;
       it.increment(error)) {
    const std::string file = it->path().filename().string();
    if (file.find(kPackagesPrefix) != std::string::npos &&
        file.find("_Packages") != std::string::npos) {
      packages.push_back(it->path());
    } else if (file.find(kTranslationStem) != std::string::npos) {
      translations.push_back(it->path());
    }
  }
  if (error || packages.empty() || translations.empty()) {
    return Fail(ErrorKind::kIo,
                lists_dir,
                fmt::format("no {} of Debian 12 (bookworm) main here; fetch the lists with "
                            "`apt-get -o Acquire::Languages=en update`",
                            packages.empty() ? "package list" : "English descriptions"));
  }
  std::string packages_text, translations_text;
  for (auto [paths, text] :
       {std::pair{&packages, &packages_text}, std::pair{&translations, &translations_text}}) {
    std::sort(paths->begin(), paths->end());  // A folder's order is not the same everywhere.
    for (const auto& path : *paths) {
      const auto list = ReadList(path);
      if (!list) return tl::unexpected(list.error());
      *text += *list + "\n\n";
    }
  }
  return JoinPackages(packages_text, translations_text);
}

}  // namespace dashf::corpus
