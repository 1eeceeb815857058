// What users, servers and the references have in common: the base model with its tokenizer, and how
// good an adapter is on held-out data.
#pragma once

#include <string>

#include "base/error.h"
#include "corpus/chat.h"
#include "corpus/tokenizer.h"
#include "round/round_record.h"
#include "runtime/node_config.h"
#include "train/adapter.h"
#include "train/compute.h"
#include "train/held_out.h"
#include "train/model.h"

namespace dashf::runtime {

// As train::StorageFor, whose errors name the training's key.
Expected<llama::Storage> BaseStorage(const train::StorageChoice& choice);

struct BaseModel {
  train::Model model;
  corpus::Tokenizer tokenizer;
  Expected<corpus::ChatTemplate> chat;  // Or why there is none, which matters to conversations.
};
// The model folder's weights and tokenizer; sets the process's threads. kBadInput at
// "training.arithmetic" also where this processor lacks what is chosen.
Expected<BaseModel> LoadBaseModel(const std::string& folder,
                                  const train::StorageChoice& choice,
                                  int threads = 1);

// A null adapter means the bare model.
Expected<Quality> QualityOf(const train::Model& model,
                            const train::Adapter* adapter,
                            const train::HeldOut& held_out);

}  // namespace dashf::runtime
