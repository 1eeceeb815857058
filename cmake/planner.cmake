# The planner's modules, one static library each (CONTRIBUTING.md says what stands on what), for the programs and
# for what links them into a shared library: Python's extension module (python/).
# DASHF_FMT: how fmt is linked.
set(DASHF_FMT fmt::fmt CACHE STRING "fmt's library, or fmt::fmt-header-only to need none")
set(DASHF_PLANNER_MODULES base scenario plan problem certificate opt solvers sweep)

dashf_module(base LINK ${DASHF_FMT} nlohmann_json::nlohmann_json tl::expected OpenSSL::Crypto)
dashf_module(scenario LINK dashf_base)
dashf_module(plan LINK dashf_scenario)
dashf_module(problem LINK dashf_plan)
dashf_module(certificate LINK dashf_plan Threads::Threads)
dashf_module(opt LINK dashf_base Eigen3::Eigen Threads::Threads)
dashf_module(solvers LINK dashf_problem dashf_opt)
dashf_module(sweep LINK dashf_scenario)
foreach(module ${DASHF_PLANNER_MODULES})  # Hidden: as fast as in a program, and bits the same.
  set_target_properties(dashf_${module} PROPERTIES POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
endforeach()
