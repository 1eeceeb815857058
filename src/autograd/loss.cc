#include "autograd/loss.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

namespace dashf::autograd {
namespace {

constexpr std::int64_t kLogitsMax = std::int64_t{1} << 21;  // 8 MiB of float32 at a time.

// Calls visit(first row, rows) until all rows are covered.
template <class Visit>
void ForEachChunk(std::int64_t rows, std::int64_t vocab, Visit visit) {
  const std::int64_t chunk = std::max<std::int64_t>(1, kLogitsMax / vocab);
  for (std::int64_t first = 0; first < rows; first += chunk) {
    visit(first, std::min(chunk, rows - first));
  }
}

// dL/dlogits = (softmax - onehot) / N; dL/dhidden = dL/dlogits head; dL/dhead = dL/dlogits' hidden.
class HeadLossFunction : public torch::autograd::Function<HeadLossFunction> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context,
                            const at::Tensor& hidden,
                            const at::Tensor& head,
                            const at::Tensor& targets) {
    const std::int64_t rows = hidden.size(0);
    at::Tensor total = at::zeros({}, hidden.options());
    const at::Tensor d_hidden = at::empty_like(hidden);
    at::Tensor d_head = head.requires_grad() ? at::zeros_like(head) : at::Tensor();
    ForEachChunk(rows, head.size(0), [&](std::int64_t first, std::int64_t count) {
      const at::Tensor x = hidden.narrow(0, first, count);
      const at::Tensor target = targets.narrow(0, first, count).unsqueeze(1);
      at::Tensor log_p = at::mm(x, head.t()).log_softmax(1);
      total.sub_(log_p.gather(1, target).sum());
      at::Tensor d_logits = log_p.exp_();
      d_logits.scatter_add_(1, target, at::full_like(target, -1, hidden.options()));
      d_logits.div_(static_cast<double>(rows));
      d_hidden.narrow(0, first, count).copy_(at::mm(d_logits, head));
      if (d_head.defined()) d_head.addmm_(d_logits.t(), x);
    });
    context->save_for_backward({d_hidden, d_head});
    return total.div_(static_cast<double>(rows));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_loss) {
    const torch::autograd::variable_list saved = context->get_saved_variables();
    return {saved[0] * d_loss[0],
            saved[1].defined() ? saved[1] * d_loss[0] : at::Tensor(),
            at::Tensor()};
  }
};

}  // namespace

at::Tensor HeadLoss(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets) {
  return HeadLossFunction::apply(hidden, head, targets);
}

}  // namespace dashf::autograd
