// What must not compile: a plan taken without asking whether there is one, and a method that cannot
// say that there is none.
#include <dashf/solvers/method.h>

using namespace dashf::solvers;

SolveResult Careless(const dashf::Scenario& scenario, const SolveOptions& options);

int main() {
  const SolveResult plan = FindMethod("prices")->solve({}, {});       // error
  const Method method{"careless", "never without a plan", Careless};  // error
  return static_cast<int>(plan.plan.size() + method.name.size());
}
