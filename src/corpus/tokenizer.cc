#include "corpus/tokenizer.h"

#include <utility>

#include "base/file_kind.h"
#include "corpus/bpe_tokenizer.h"
#include "corpus/sentencepiece_tokenizer.h"
#include "corpus/tokenizer_config.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"
#include "gguf/model_folder.h"

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kModelBytesMax = std::uint64_t{1} << 28;
constexpr const char* kSentencePiece = "tokenizer.model";
constexpr const char* kJson = "tokenizer.json";

using Model = std::shared_ptr<TokenizerModel>;

using gguf::ModelFolder;

Expected<std::string> ReadModelFile(const ModelFolder& folder, const char* name) {
  auto bytes = folder.Read(name, kModelBytesMax);
  if (!bytes) return bytes;
  if (auto pointer = LfsPointer(*bytes)) {
    return Fail(ErrorKind::kBadInput, folder.Place(name), *pointer);
  }
  return bytes;
}

Expected<Model> LoadSentencePiece(const ModelFolder& folder, const TokenizerConfig& config) {
  const auto bytes = ReadModelFile(folder, kSentencePiece);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseSentencePieceTokenizer(folder.Place(kSentencePiece), *bytes, config);
}

Expected<Model> LoadJson(const ModelFolder& folder) {
  const auto bytes = ReadModelFile(folder, kJson);
  if (!bytes) return tl::unexpected(bytes.error());
  auto model = ParseTokenizerJson(folder.Place(kJson), *bytes);
  if (!model) return tl::unexpected(model.error());
  return MakeBpeTokenizer(std::move(*model));
}

// What cannot be read as a SentencePiece model, as tiktoken's files of the same name, is no loss
// where a tokenizer.json says the same; if neither can be read, both say why.
Expected<Model> LoadModel(const ModelFolder& folder, const TokenizerConfig& config) {
  const bool has_json = folder.Has(kJson);
  if (!folder.Has(kSentencePiece) && has_json) return LoadJson(folder);
  auto model = LoadSentencePiece(folder, config);
  if (model || !has_json) return model;
  auto json = LoadJson(folder);
  if (json) return json;
  return Fail(json.error().kind,
              json.error().where,
              json.error().message + "; and " + model.error().Text());
}

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerModel> model) : model_(std::move(model)) {
  std::vector<SpecialToken> special;
  for (int id = 0; id < vocab_size(); ++id) {
    const std::string_view piece = Piece(id);
    if (!piece.empty() && SpecialId(piece) == id) special.push_back({std::string(piece), id});
  }
  special_tokens_ = std::make_shared<const std::vector<SpecialToken>>(std::move(special));
}

Expected<Tokenizer> Tokenizer::Load(const std::string& model_dir) {
  const auto folder = ModelFolder::Open(model_dir);
  if (!folder) return tl::unexpected(folder.error());
  auto config = ReadTokenizerConfig(*folder);
  if (!config) return tl::unexpected(config.error());
  auto model = LoadModel(*folder, *config);
  if (!model) return tl::unexpected(model.error());
  SetBos(*config, model->get());
  if (auto set = SetEnds(*config, model->get()); !set) return tl::unexpected(set.error());
  return Tokenizer(std::move(*model));
}

Expected<Tokenizer> Tokenizer::Parse(const std::string& name, std::string_view bytes) {
  auto model = ParseSentencePieceTokenizer(name, bytes, {});
  if (!model) return tl::unexpected(model.error());
  if (auto set = SetEnds({}, model->get()); !set) return tl::unexpected(set.error());
  return Tokenizer(std::move(*model));
}

std::vector<int> Tokenizer::Encode(std::string_view text, bool add_bos) const {
  std::vector<int> ids = model_->Encode(text, /*find_special=*/true, /*at_start=*/true);
  if (add_bos && bos_id() >= 0) ids.insert(ids.begin(), bos_id());
  return ids;
}

std::vector<int> Tokenizer::EncodeText(std::string_view text, bool at_start) const {
  return model_->Encode(text, /*find_special=*/false, at_start);
}
std::string Tokenizer::Decode(std::span<const int> ids) const {
  return model_->Decode(ids);
}
std::string_view Tokenizer::Piece(int id) const {
  return model_->Piece(id);
}
int Tokenizer::vocab_size() const {
  return model_->vocab_size();
}
int Tokenizer::SpecialId(std::string_view text) const {
  return model_->SpecialId(text);
}
bool Tokenizer::adds_space() const {
  return model_->adds_space();
}
int Tokenizer::unk_id() const {
  return model_->unk_id;
}
int Tokenizer::bos_id() const {
  return model_->bos_id;
}
int Tokenizer::eos_id() const {
  return model_->eos_id;
}
const std::vector<int>& Tokenizer::stop_ids() const {
  return model_->stop_ids;
}

}  // namespace dashf::corpus
