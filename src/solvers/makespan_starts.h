// Associations for makespan mode, from a simple picture of it: all users end their phase at the
// same time and all servers are busy until the same time. Internal to the module; pure.
#pragma once

#include <Eigen/Core>
#include <functional>
#include <vector>

#include "solvers/columns.h"

namespace dashf::solvers::internal {

struct MakespanStart {
  std::vector<int> column_of_user;  // Within the slots; empty: there is none.
  double user_phase_s = 0.0;        // The deadline it was made for.
  double scr = 0.0;                 // About what it promises.
};

class MakespanStarts {
 public:
  // `problem` and `columns` (all rows) must outlive it.
  MakespanStarts(const ScrProblem& problem, const Columns& columns);

  // Everyone ends its phase within `user_phase_s` where it can, at the split of least energy and
  // server time: of the latter a second costs w_t / M where all M servers are busy for as long. The
  // servers are shared out so that they are (server_loads.h), with no server, or one user, or any
  // number above the mean number: shares count for less the more one server has to give.
  // Without `level` the servers stay as the first sharing out leaves them, which takes far less
  // time.
  MakespanStart At(double user_phase_s, bool level) const;

  // At the latest deadline.
  MakespanStart Any() const { return At(phases_s_.back(), false); }

  // The `count` most promising of many deadlines, all different, the best first; fewer if there are
  // no more or time is up. The same for any number of threads.
  std::vector<MakespanStart> Best(std::size_t count,
                                  int threads,
                                  const std::function<bool()>& out_of_time) const;

 private:
  struct Row {
    double user_phase_s = 0.0;  // At full clock and power and the mean user's bandwidth.
    double upload_s = 0.0;      // Of it.
    double clock_s = 0.0;       // Of the whole server.
    double local_energy = 0.0, server_energy = 0.0, fixed_cost = 0.0;  // As UserTerms, y = 1.
    bool uses[3] = {};                                                 // Bandwidth, power, clock.
    bool serves = true;                                                // Not all-local.
  };
  double EnergyCost(const Row& row, double user_phase_s, double server_phase_s) const;
  // The user's column of least cost with each of its servers, of those that end in time if any do.
  template <class Cost>
  std::vector<int> Choose(std::size_t user, double user_phase_s, const Cost& cost_of) const;
  double Promise(const std::vector<int>& column_of_user, double user_phase_s, double busy_s) const;
  double ServerPhaseS(const std::vector<int>& columns, double busy_s) const;

  const ScrProblem& problem_;
  const Columns& columns_;
  std::vector<Row> rows_;         // Per column.
  std::vector<float> busy_s_;     // Likewise: for how long it keeps its server busy.
  std::vector<double> phases_s_;  // All that a deadline for the user phase can be, ascending.
};

}  // namespace dashf::solvers::internal
