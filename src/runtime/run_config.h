// What `dashf run` is to do, as one TOML file (configs/README.md lists every key). Everything has a
// default.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "runtime/node_config.h"

namespace dashf::runtime {

struct RunConfig {
  struct {
    std::string file;  // dashf.scenario/1; empty: generated from what follows.
    int users = 10;
    int servers = 2;
    std::uint64_t seed = 1;
    std::string delay = "sum";
    double bandwidth_hz = 20e6;
    double machine_share = 1.0;  // The fastest user's share of this machine's measured rate.
  } scenario;
  struct {
    std::string method = "prices";
    std::uint64_t seed = 1;
    double handover_penalty = 0.0;     // As CoordinatorKit's.
    bool work_conserving = true;       // As ServerKit's.
    std::optional<bool> learn;         // As CoordinatorKit's.
    std::vector<std::string> compare;  // Methods of comparison.json; empty: all.
  } plan;
  int rounds = 1;           // >= 1; users go on from their adapters.
  double time_scale = 0.0;  // Of a plan that is emulated (emulation.h); 0: it is not.
  std::map<std::string, double> slowdown;  // By user, of its emulated device (emulation.h).
  std::string model;                       // A model folder; empty: the one that ships.
  struct {
    std::string folder;       // One subfolder per user with train.jsonl and test.jsonl, or
    std::string file;         // one file of samples, shared out among the users, or
    bool sections = false;    // the sections task, made from apt's lists. Default if none is set.
    int train_records = 120;  // Per user.
    int test_records = 40;    // Per user.
    std::uint64_t seed = 1;
  } data;
  TrainingSettings training;
  struct {
    bool all_server = true;
    bool centralised = true;
  } references;
};

// Strict: an unknown key, a wrong type or a number out of range is kBadInput that names file, key,
// rule and value. Relative paths are taken from the file's own folder.
Expected<RunConfig> ParseRunConfig(const std::string& name, std::string_view text);
Expected<RunConfig> ReadRunConfig(const std::string& path);

}  // namespace dashf::runtime
