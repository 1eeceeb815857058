// BPE as tokenizer.json describes it: text is cut into words, and the bytes (Radford et al. 2019,
// GPT-2) or characters (with bytes for what has no token, Llama 2) of each word are merged by rank.
// Internal to this module.
#pragma once

#include <memory>

#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"

namespace dashf::corpus {

std::shared_ptr<TokenizerModel> MakeBpeTokenizer(BpeModel model);

}  // namespace dashf::corpus
