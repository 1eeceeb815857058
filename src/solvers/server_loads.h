// Users shared out over servers so that each server is busy for about as long: scheduling on
// unrelated machines. Internal to the module; one thread at a time.
#pragma once

#include <vector>

#include "solvers/columns.h"

namespace dashf::solvers::internal {

class ServerLoads {
 public:
  // busy_s: per column, for how long it keeps its server busy. choices[n]: the user's column with
  // each of its servers, by ascending server. room: for so many users on each server, and no more
  // than its slots. All but `room` must outlive it.
  ServerLoads(const ScrProblem& problem,
              const Columns& columns,
              const std::vector<float>& busy_s,
              const std::vector<std::vector<int>>& choices,
              int room);

  // Users with the most to do first, each to where that ends earliest; slots repaired at last.
  // False if there is no association within the slots.
  bool Fill();
  // Moves and exchanges from the busiest server, as long as both servers end up less busy.
  void Level();

  const std::vector<int>& column_of_user() const { return column_of_user_; }
  double LongestS() const;

 private:
  std::size_t ServerOf(int column) const;
  double BusyS(int column) const { return busy_s_[static_cast<std::size_t>(column)]; }
  bool HasRoom(std::size_t server) const;
  int ChoiceAt(std::size_t user, std::size_t server) const;  // -1: out of reach.
  void Put(std::size_t user, int column);
  void Take(std::size_t user);
  bool LevelOnce();

  const ScrProblem& problem_;
  const Columns& columns_;
  const std::vector<float>& busy_s_;
  const std::vector<std::vector<int>>& choices_;
  const int room_;
  std::vector<int> column_of_user_;
  std::vector<std::vector<std::size_t>> users_;  // Per server.
  std::vector<double> load_s_;                   // Likewise.
};

}  // namespace dashf::solvers::internal
