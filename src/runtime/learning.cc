#include "runtime/learning.h"

namespace dashf::runtime {

Expected<llama::Storage> BaseStorage(const train::StorageChoice& choice) {
  auto storage = train::StorageFor(choice);
  if (storage) return storage;
  return Fail(storage.error().kind, "training." + storage.error().where, storage.error().message);
}

Expected<BaseModel> LoadBaseModel(const std::string& folder,
                                  const train::StorageChoice& choice,
                                  int threads) {
  train::SetThreads(threads);
  const auto storage = BaseStorage(choice);
  if (!storage) return tl::unexpected(storage.error());
  auto model = train::LoadModel(folder, *storage);
  if (!model) return tl::unexpected(model.error());
  auto tokenizer = corpus::Tokenizer::Load(folder);
  if (!tokenizer) return tl::unexpected(tokenizer.error());
  auto chat = corpus::LoadChatTemplate(folder, *tokenizer);
  return BaseModel{std::move(*model), std::move(*tokenizer), std::move(chat)};
}

Expected<Quality> QualityOf(const train::Model& model,
                            const train::Adapter* adapter,
                            const train::HeldOut& held_out) {
  const auto assessment = train::Assess(model, adapter, held_out);
  if (!assessment) return tl::unexpected(assessment.error());
  return Quality{.loss = assessment->evaluation.loss,
                 .exact_match = assessment->evaluation.exact_match,
                 .choice_accuracy = assessment->choice_accuracy};
}

}  // namespace dashf::runtime
