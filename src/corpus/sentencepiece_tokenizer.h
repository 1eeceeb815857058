// The tokenizer of a `tokenizer.model` file, with the tokens that were added to it beside the file.
// Internal to this module.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "corpus/tokenizer_config.h"
#include "corpus/tokenizer_model.h"

namespace dashf::corpus {

// kBadInput names the place and the rule; `name` is the place that errors name.
Expected<std::shared_ptr<TokenizerModel>> ParseSentencePieceTokenizer(
    const std::string& name, std::string_view bytes, const TokenizerConfig& config);

}  // namespace dashf::corpus
