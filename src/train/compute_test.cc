#include "train/compute.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "llama/processor.h"

namespace dashf::train {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Products, AreMeasuredAndSaidWithTheirLibraryAndKernels) {
  const Products products = MeasureProducts();
  EXPECT_GT(products.flop_per_s, 0.0);
  EXPECT_GT(products.peak_flop_per_s, 0.0);
  EXPECT_EQ(products.kernels, llama::ProductKernels());
  EXPECT_EQ(Describe({"oneDNN", "AVX-512 + AMX", 104.16e9, 241e9}),
            "oneDNN with AVX-512 + AMX, 104.2 GFLOP/s per core");
}

TEST(Products, AreWarnedOfBelowHalfOfThePeakAloneAndWithTheCause) {
  const std::string vectors = llama::ProcessorVectors();
  EXPECT_EQ(ProductsWarning({"oneDNN", vectors, 50e9, 100e9}), "");
  EXPECT_THAT(ProductsWarning({"oneDNN", vectors, 49e9, 100e9}),
              AllOf(HasSubstr("49.0 GFLOP/s"), HasSubstr("100.0"), HasSubstr("other work")));
  const Products narrow{"oneDNN", "fewer", 10e9, 100e9};
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "OPENBLAS_CORETYPE"}) {
    ASSERT_EQ(unsetenv(name), 0);
  }
  EXPECT_THAT(ProductsWarning(narrow),
              AllOf(HasSubstr("fewer"), HasSubstr(vectors), HasSubstr("a newer version")));
#if defined(__x86_64__)
  const char* const cap = "DNNL_MAX_CPU_ISA";
#else
  const char* const cap = "OPENBLAS_CORETYPE";
#endif
  EXPECT_EQ(ProductsWarning(narrow).find("OPENBLAS_CORETYPE=NEOVERSEN1") != std::string::npos,
            vectors == "NEON");
  ASSERT_EQ(setenv(cap, "SOME", 1), 0);
  EXPECT_THAT(ProductsWarning(narrow), HasSubstr(std::string(cap) + "=SOME"));
  EXPECT_THAT(ProductsWarning({"oneDNN", vectors, 10e9, 100e9}), Not(HasSubstr("SOME")));
  unsetenv(cap);
}

}  // namespace
}  // namespace dashf::train
