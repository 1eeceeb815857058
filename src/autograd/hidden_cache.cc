#include "autograd/hidden_cache.h"

#include <ATen/Functions.h>
#include <ATen/core/grad_mode.h>

#include "train/batch_order.h"

namespace dashf::autograd {

HiddenCache::HiddenCache(const LlamaWeights& weights,
                         const AdapterTensors* tensors,
                         const std::vector<corpus::Example>& examples,
                         int layers,
                         int batch_size) {
  const at::NoGradGuard no_grad;
  std::int64_t total = 0;
  for (const corpus::Example& example : examples) {
    begin_.push_back(total);
    length_.push_back(std::ssize(example.tokens));
    total += length_.back();
  }
  rows_ = at::empty({total, weights.config.hidden_size}, weights.embedding.options());
  for (const auto& chosen : train::BatchOrder(examples, batch_size, nullptr)) {
    const Batch batch = MakeBatch(examples, chosen);
    const at::Tensor hidden =
        ForwardLayers(weights, tensors, Embed(weights, batch.tokens), batch.shape, 0, layers);
    for (std::size_t row = 0; row < chosen.size(); ++row) {
      const std::size_t i = chosen[row];
      const auto first = static_cast<std::int64_t>(row) * batch.shape.length;
      rows_.narrow(0, begin_[i], length_[i]).copy_(hidden.narrow(0, first, length_[i]));
    }
  }
}

at::Tensor HiddenCache::Gather(const Batch& batch) const {
  at::Tensor index = at::empty({batch.shape.rows * batch.shape.length}, at::kLong);
  std::int64_t* row = index.data_ptr<std::int64_t>();
  for (const std::size_t i : batch.examples) {
    for (std::int64_t t = 0; t < batch.shape.length; ++t) {
      *row++ = begin_[i] + (t < length_[i] ? t : 0);
    }
  }
  return rows_.index_select(0, index);
}

}  // namespace dashf::autograd
