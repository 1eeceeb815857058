#include "llama/bfloat16_product.h"

#include "base/check.h"
#include "llama/vector_math.h"

#if defined(__x86_64__)
#include <dnnl.hpp>
#endif

namespace dashf::llama {
namespace {

#if defined(__x86_64__)

using dnnl::memory;

const dnnl::engine& Processor() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc Shape(std::int64_t rows,
                   std::int64_t columns,
                   memory::data_type type,
                   std::int64_t row_step,
                   std::int64_t column_step) {
  return {{rows, columns}, type, {row_step, column_step}};
}

// Prepared for any sizes: a training's batches all have different ones.
dnnl::matmul Prepare(Op op_b, bool adds) {
  constexpr std::int64_t kAny = DNNL_RUNTIME_DIM_VAL;
  const bool plain = op_b == Op::kPlain;
  dnnl::primitive_attr attributes;
  if (adds) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc product(
      Shape(kAny, kAny, memory::data_type::bf16, kAny, 1),
      Shape(kAny, kAny, memory::data_type::bf16, plain ? kAny : 1, plain ? 1 : kAny),
      Shape(kAny, kAny, memory::data_type::f32, kAny, 1));
  return dnnl::matmul(dnnl::matmul::primitive_desc(product, attributes, Processor()));
}

// One set per thread: a primitive may be executed by one thread at a time.
const dnnl::matmul& Prepared(Op op_b, bool adds) {
  thread_local const dnnl::matmul products[2][2] = {
      {Prepare(Op::kPlain, false), Prepare(Op::kPlain, true)},
      {Prepare(Op::kTransposed, false), Prepare(Op::kTransposed, true)}};
  return products[op_b == Op::kTransposed ? 1 : 0][adds ? 1 : 0];
}

// oneDNN reads through pointers to what it may not write.
template <class T>
void* Address(const T* data) {
  return const_cast<T*>(data);
}

#endif

DASHF_VECTORISED void RoundRow(const float* from, std::int64_t count, std::uint16_t* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(from[i]);
    const std::uint32_t rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
    // Rounding could carry a NaN's fraction into its sign: it becomes a quiet one instead.
    const bool is_nan = (bits & 0x7FFFFFFFU) > 0x7F800000U;
    to[i] = static_cast<std::uint16_t>(is_nan ? (bits >> 16) | 0x40U : rounded);
  }
}

}  // namespace

bool HasBFloat16Products() {
#if defined(__x86_64__)
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::avx512_core_bf16:
    case dnnl::cpu_isa::avx512_core_amx:
      return true;
    default:
      return false;
  }
#else
  return false;
#endif
}

void RoundToBFloat16(Matrix<const float> from, Matrix<std::uint16_t> to) {
  DASHF_CHECK(from.rows == to.rows && from.columns == to.columns);
  for (std::int64_t i = 0; i < from.rows; ++i) RoundRow(from.Row(i), from.columns, to.Row(i));
}

void MultiplyBFloat16(Matrix<const std::uint16_t> a,
                      Matrix<const std::uint16_t> b,
                      Op op_b,
                      float beta,
                      Matrix<float> c) {
  DASHF_CHECK(beta == 0.0F || beta == 1.0F);
  const bool plain = op_b == Op::kPlain;
  DASHF_CHECK(a.rows == c.rows && (plain ? b.columns : b.rows) == c.columns);
  DASHF_CHECK((plain ? b.rows : b.columns) == a.columns);
  if (c.rows == 0 || c.columns == 0) return;
#if defined(__x86_64__)
  const memory from(
      Shape(a.rows, a.columns, memory::data_type::bf16, a.stride, 1), Processor(), Address(a.data));
  const memory weights(Shape(a.columns,
                             c.columns,
                             memory::data_type::bf16,
                             plain ? b.stride : 1,
                             plain ? 1 : b.stride),
                       Processor(),
                       Address(b.data));
  const memory to(
      Shape(c.rows, c.columns, memory::data_type::f32, c.stride, 1), Processor(), c.data);
  thread_local dnnl::stream stream(Processor());
  Prepared(op_b, beta == 1.0F)
      .execute(stream, {{DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, to}});
  stream.wait();
#else
  DASHF_CHECK(HasBFloat16Products());
#endif
}

}  // namespace dashf::llama
