// tokenizer.json: with what is accepted any text, valid UTF-8 or not, becomes ids of the
// vocabulary, and text in which no special token is looked for never becomes one.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "corpus/bpe_tokenizer.h"
#include "corpus/tokenizer_json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto model = dashf::corpus::ParseTokenizerJson("f", bytes);
  if (!model) return 0;
  const auto tokenizer = dashf::corpus::MakeBpeTokenizer(std::move(*model));
  constexpr std::string_view kText =
      "the  users' 12 \xF0\x9F\x99\x82\xFF e\xCC\x81\r\n\n<|end|> <|endoftext|>";
  for (const std::string_view text : {kText, bytes.substr(0, 512)}) {
    for (const bool find_special : {false, true}) {
      const std::vector<int> ids = tokenizer->Encode(text, find_special, true);
      for (const int id : ids) DASHF_CHECK(id >= 0 && id < tokenizer->vocab_size());
      tokenizer->Decode(ids);
    }
  }
  return 0;
}
