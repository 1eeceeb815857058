// Byte-level BPE (Radford et al. 2019, GPT-2): text is cut into words by an expression, and the
// bytes of each word are merged by rank. Internal to this module.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"

namespace dashf::corpus {

std::shared_ptr<const TokenizerModel> MakeByteLevelTokenizer(ByteLevelModel model, int eos_id);

}  // namespace dashf::corpus
