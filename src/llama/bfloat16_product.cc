#include "llama/bfloat16_product.h"

#include <compare>
#include <map>

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
  static const dnnl::engine engine = [] {
    dnnl::set_primitive_cache_capacity(
        0);  // Of all that were ever used: Prepared() keeps the last.
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

memory::desc Shape(std::int64_t rows,
                   std::int64_t columns,
                   memory::data_type type,
                   std::int64_t row_step,
                   std::int64_t column_step) {
  return {{rows, columns}, type, {row_step, column_step}};
}

// A product's operands, with the numbers that may differ from one to the next in place of sizes and
// steps, or DNNL_RUNTIME_DIM_VAL for any.
struct Shapes {
  std::int64_t rows, columns, inner;  // c (rows, columns) = a (rows, inner) op(b).
  std::int64_t a_stride, b_stride, c_stride;
  bool plain, adds;

  memory::desc A() const { return Shape(rows, inner, memory::data_type::bf16, a_stride, 1); }
  memory::desc B() const {
    const auto type = memory::data_type::bf16;
    return Shape(inner, columns, type, plain ? b_stride : 1, plain ? 1 : b_stride);
  }
  memory::desc C() const { return Shape(rows, columns, memory::data_type::f32, c_stride, 1); }

  auto operator<=>(const Shapes&) const = default;
};

dnnl::matmul Prepare(const Shapes& shapes) {
  dnnl::primitive_attr attributes;
  if (shapes.adds) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const dnnl::matmul::desc product(shapes.A(), shapes.B(), shapes.C());
  return dnnl::matmul(dnnl::matmul::primitive_desc(product, attributes, Processor()));
}

// Products with a transposed matrix of weights, half of a step's, are up to 1.6 times as fast where
// oneDNN knows their sizes. To prepare one takes half a millisecond, so that it must be large, and
// some 100 KB; a training's batches all have different sizes.
bool PaysOff(const Shapes& shapes) {
  constexpr double kProductsMin = 1 << 27;
  const auto size = [](std::int64_t n) { return static_cast<double>(n); };
  return !shapes.plain &&
         size(shapes.rows) * size(shapes.columns) * size(shapes.inner) >= kProductsMin;
}

// One set per thread: a primitive may be executed by one thread at a time.
const dnnl::matmul& Prepared(Shapes shapes) {
  constexpr std::size_t kKeptMax = 16;  // A batch takes about ten.
  thread_local std::map<Shapes, dnnl::matmul> kept;
  if (!PaysOff(shapes)) {
    constexpr std::int64_t kAny = DNNL_RUNTIME_DIM_VAL;
    shapes = {kAny, kAny, kAny, kAny, kAny, kAny, shapes.plain, shapes.adds};
  }
  const auto found = kept.find(shapes);
  if (found != kept.end()) return found->second;
  if (kept.size() == kKeptMax) kept.clear();
  return kept.emplace(shapes, Prepare(shapes)).first->second;
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
  const Shapes shapes = {
      c.rows, c.columns, a.columns, a.stride, b.stride, c.stride, plain, beta == 1.0F};
  const memory from(shapes.A(), Processor(), Address(a.data));
  const memory weights(shapes.B(), Processor(), Address(b.data));
  const memory to(shapes.C(), Processor(), c.data);
  thread_local dnnl::stream stream(Processor());
  Prepared(shapes).execute(stream,
                           {{DNNL_ARG_SRC, from}, {DNNL_ARG_WEIGHTS, weights}, {DNNL_ARG_DST, to}});
  stream.wait();
#else
  DASHF_CHECK(HasBFloat16Products());
#endif
}

}  // namespace dashf::llama
