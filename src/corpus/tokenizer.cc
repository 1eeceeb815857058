#include "corpus/tokenizer.h"

#include <filesystem>
#include <utility>

#include "base/file.h"
#include "base/file_kind.h"
#include "corpus/bpe_tokenizer.h"
#include "corpus/sentencepiece_tokenizer.h"
#include "corpus/tokenizer_config.h"
#include "corpus/tokenizer_json.h"
#include "corpus/tokenizer_model.h"

namespace dashf::corpus {
namespace {

constexpr std::uint64_t kModelBytesMax = std::uint64_t{1} << 28;

using Model = std::shared_ptr<TokenizerModel>;

Expected<std::string> ReadModelFile(const std::string& path) {
  auto bytes = ReadFile(path, kModelBytesMax);
  if (!bytes) return bytes;
  if (auto pointer = LfsPointer(*bytes)) return Fail(ErrorKind::kBadInput, path, *pointer);
  return bytes;
}

Expected<Model> LoadSentencePiece(const std::string& path, const TokenizerConfig& config) {
  const auto bytes = ReadModelFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  return ParseSentencePieceTokenizer(path, *bytes, config);
}

Expected<Model> LoadJson(const std::string& path) {
  const auto bytes = ReadModelFile(path);
  if (!bytes) return tl::unexpected(bytes.error());
  auto model = ParseTokenizerJson(path, *bytes);
  if (!model) return tl::unexpected(model.error());
  return MakeBpeTokenizer(std::move(*model));
}

// What cannot be read as a SentencePiece model, as tiktoken's files of the same name, is no loss
// where a tokenizer.json says the same; if neither can be read, both say why.
Expected<Model> LoadModel(const std::string& model_dir, const TokenizerConfig& config) {
  const std::filesystem::path folder = model_dir;
  std::error_code ignored;  // What cannot be looked at is for ReadFile to report.
  const bool has_model = std::filesystem::exists(folder / "tokenizer.model", ignored);
  const bool has_json = std::filesystem::exists(folder / "tokenizer.json", ignored);
  if (!has_model && has_json) return LoadJson(folder / "tokenizer.json");
  auto model = LoadSentencePiece(folder / "tokenizer.model", config);
  if (model || !has_json) return model;
  auto json = LoadJson(folder / "tokenizer.json");
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
  auto config = ReadTokenizerConfig(model_dir);
  if (!config) return tl::unexpected(config.error());
  auto model = LoadModel(model_dir, *config);
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
