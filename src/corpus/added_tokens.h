// Tokens that are found in a text before it is cut into words: the leftmost first, and the longest
// of those that begin at one place. Internal to this module.
#pragma once

#include <array>
#include <functional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "corpus/tokenizer_json.h"

namespace dashf::corpus {

class AddedTokens {
 public:
  void Add(const AddedToken& token, bool special);

  // Calls found(id) for each token in the text, the special ones only with `find_special`, and
  // between(part) for each part of the text that no token takes.
  void CutAt(std::string_view text,
             bool find_special,
             const std::function<void(int id)>& found,
             const std::function<void(std::string_view part)>& between) const;

 private:
  struct Entry {
    int id;
    bool special, left_strip, right_strip;
  };
  const Entry* Find(std::string_view text, bool find_special, std::size_t* size) const;

  std::unordered_map<std::string, Entry> tokens_;
  std::array<std::vector<std::size_t>, 256> sizes_;  // By first byte, the longest first.
};

}  // namespace dashf::corpus
