// One adapter made of several users', as federated averaging would: what personal adapters are held
// against. Pure functions, safe from any thread.
#pragma once

#include <span>

#include "train/adapter.h"

namespace dashf::study {

// Every number the mean of its counterparts: of A and of B apart (McMahan et al. 2017,
// arXiv:1602.05629, on LoRA's factors), or of prompts and gates. At least one adapter, all of one
// configuration.
train::Adapter MeanOfFactors(std::span<const train::Adapter> adapters);

// The mean of the products B A, exactly: [B_1 .. B_n] / n times [A_1; ..; A_n], of rank n r, where
// the mean of the factors has cross terms B_i A_j. LoRA alone.
train::Adapter MeanOfProducts(std::span<const train::Adapter> adapters);

}  // namespace dashf::study
