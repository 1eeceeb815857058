// tokenizer.model: with what is accepted any text, valid UTF-8 or not, becomes ids of the
// vocabulary, and any ids become valid UTF-8.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/utf8.h"
#include "corpus/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = dashf::corpus::Tokenizer::Parse("f", bytes);
  if (!tokenizer) return 0;
  constexpr std::string_view kText = "the  users' \xF0\x9F\x99\x82\xFF\xE2\x96\x81\t<s>###12\n";
  for (const std::string_view text : {kText, bytes.substr(0, 512)}) {
    const std::vector<int> ids = tokenizer->EncodeText(text);
    for (const int id : ids) DASHF_CHECK(id >= 0 && id < tokenizer->vocab_size());
    tokenizer->Decode(ids);
  }
  return 0;
}
