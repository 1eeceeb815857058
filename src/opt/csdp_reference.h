// For tests: the value of a BlockSdp by CSDP (Borchers 1999), an independent implementation,
// through the SDPA sparse format. CSDP maximises <F_0, X> over <F_i, X> = c_i with X semidefinite,
// so costs change sign, slacks are added to inequalities, and all nonnegative variables share one
// diagonal block.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "opt/block_sdp.h"

namespace dashf::opt {

inline constexpr const char* kNoCsdp = "csdp (Debian's coinor-csdp) is not installed";

inline bool HasCsdp() {
  return std::system("command -v csdp > /dev/null 2>&1") == 0;
}

class SdpaWriter {
 public:
  explicit SdpaWriter(const BlockSdp& problem) {
    for (const SdpBlock& block : problem.blocks) {
      if (block.order > 0) ++matrices_;
    }
    // Row numbers start at 1: the coupling rows, then each block's own; matrix 0 is the cost.
    for (std::size_t i = 0; i < problem.scalars.size(); ++i) {
      const int place = NextPlace();
      Entry(0, diagonal(), place, place, -problem.scalars[i].cost);
      scalar_place_.push_back(place);
    }
    for (const CouplingRow& row : problem.coupling) AddRow(row.scalars, Relation::kAtMost, row.rhs);
    int matrix = 0;
    for (const SdpBlock& block : problem.blocks) AddBlock(block, block.order > 0 ? ++matrix : 0);
  }

  std::string Text(const BlockSdp& problem) const {
    std::string text = fmt::format("{}\n{}\n", rhs_.size(), matrices_ + (places_ > 0 ? 1 : 0));
    for (const SdpBlock& block : problem.blocks) {
      if (block.order > 0) text += fmt::format("{} ", block.order);
    }
    if (places_ > 0) text += fmt::format("{}", -places_);
    text += "\n";
    for (const double value : rhs_) text += fmt::format("{:.17g} ", value);
    return text + "\n" + entries_;
  }

 private:
  int diagonal() const { return matrices_ + 1; }
  int NextPlace() { return ++places_; }
  void Entry(int row, int block, int i, int j, double value) {
    if (value != 0.0) {
      entries_ += fmt::format("{} {} {} {} {:.17g}\n", row, block, i, j, value);
    }
  }
  int AddRow(const std::vector<VectorEntry>& scalars, Relation relation, double rhs) {
    rhs_.push_back(rhs);
    const int row = static_cast<int>(rhs_.size());
    for (const auto& [index, value] : scalars) {
      Entry(row, diagonal(), scalar_place_[index], scalar_place_[index], value);
    }
    if (relation == Relation::kAtMost) {
      const int slack = NextPlace();
      Entry(row, diagonal(), slack, slack, 1.0);
    }
    return row;
  }
  void AddForm(int row, const BlockForm& form, int matrix, int first_weight, double factor) {
    // The format forbids repeated entries, so sum them first.
    std::vector<SymmetricEntry> entries;
    for (const SymmetricEntry& entry : form.matrix) {
      bool known = false;
      for (SymmetricEntry& other : entries) {
        if (other.row != entry.row || other.column != entry.column) continue;
        other.value += entry.value;
        known = true;
      }
      if (!known) entries.push_back(entry);
    }
    for (const auto& [i, j, value] : entries) Entry(row, matrix, i + 1, j + 1, factor * value);
    for (const auto& [index, value] : form.weights) {
      Entry(row, diagonal(), first_weight + index, first_weight + index, factor * value);
    }
  }
  void AddBlock(const SdpBlock& block, int matrix) {
    const int first_weight = places_ + 1;
    places_ += block.weights;
    AddForm(0, block.cost, matrix, first_weight, -1.0);
    for (const BlockRow& row : block.rows) {
      AddForm(AddRow(row.scalars, row.relation, row.rhs), row.form, matrix, first_weight, 1.0);
    }
    for (const auto& part : block.coupling) {
      AddForm(part.row + 1, part.form, matrix, first_weight, 1.0);
    }
  }

  int matrices_ = 0, places_ = 0;
  std::vector<int> scalar_place_;
  std::vector<double> rhs_;
  std::string entries_;
};

// The optimal value; empty if CSDP does not claim success.
inline std::optional<double> CsdpValue(const BlockSdp& problem) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("dashf_csdp_{}", ::getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "problem.dat-s") << SdpaWriter(problem).Text(problem);
  const std::string command = fmt::format(
      "cd '{}' && OMP_NUM_THREADS=1 csdp problem.dat-s solution > log 2>&1", folder.string());
  const bool success = std::system(command.c_str()) == 0;
  std::optional<double> value;
  std::ifstream log(folder / "log");
  const std::string key = "Primal objective value:";
  for (std::string line; success && std::getline(log, line);) {
    if (line.starts_with(key)) value = -std::stod(line.substr(key.size()));
  }
  std::filesystem::remove_all(folder);
  return value;
}

}  // namespace dashf::opt
