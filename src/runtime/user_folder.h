// What a user keeps in its folder of state: the memory of its work, the artefacts of the round that
// it is in, and each round's adapter. Everything is written whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "fleet/user_agent.h"
#include "train/adapter.h"
#include "train/model_config.h"

namespace dashf::runtime {

class UserFolder {
 public:
  // A state folder is not there, was made by Open(), which removes what it begins anew, or holds
  // nothing but what the node puts there besides: `may_lie_there`, files (with what their names go
  // on with) and folders. kBadInput names what else it holds.
  static Expected<void> CheckState(const std::filesystem::path& folder,
                                   const std::vector<std::filesystem::path>& may_lie_there);

  // `fresh` fixes shapes and is what the first round begins from; `adapter_settings`, an object of
  // JSON, says what it is. Makes the folder; what was trained with others is begun anew. Of another
  // fleet's work the best adapter alone goes on. kIo if it cannot be used, kBadInput if what lies
  // there is damaged or of another version.
  static Expected<UserFolder> Open(const std::filesystem::path& state_folder,
                                   const std::filesystem::path& adapter_folder,
                                   const std::string& model_folder,
                                   const train::ModelConfig& model,
                                   train::Adapter fresh,
                                   const std::string& adapter_settings,
                                   const std::string& fleet);
  // Where the adapters of another fleet's rounds have gone; empty: there was none.
  const std::filesystem::path& put_aside() const { return put_aside_; }
  // Earlier rounds have left an adapter of other settings, which is none to go on from.
  bool BeginsAnew() const { return begins_anew_; }

  Expected<fleet::UserMemory> ReadMemory() const;
  Expected<void> WriteMemory(const fleet::UserMemory& memory) const;

  // The round begins from the best adapter so far.
  Expected<void> BeginRound() const;
  bool GoesOn() const;  // This round's base is a former round's adapter.
  Expected<void> WriteLocal(const train::Adapter& adapter, int k) const;
  // For what keeps the local training on its way; gone once that is written, or another round
  // begins.
  std::filesystem::path CheckpointPath() const;
  Expected<void> WriteReturned(const std::string& layers) const;
  // The base with layers 1..k trained here, if k > 0, and those that came back from `first` on, if
  // it is not 0.
  Expected<train::Adapter> Adapter(int k, int first) const;

  // For what has come of an attempt's download; gone when the next round begins.
  std::filesystem::path TransferFolder(std::uint32_t round, int attempt) const;

  // The round's adapter, verified. It becomes the one to go on from, and the one in the adapter
  // folder, unless an earlier round's has a smaller loss on the same held-out data, of which `loss`
  // measures an adapter that was verified on others.
  using Loss = std::function<Expected<double>(const train::Adapter&)>;
  Expected<void> Keep(const train::Adapter& adapter,
                      std::uint32_t round,
                      const std::string& held_out_sha256,
                      const Loss& loss) const;

 private:
  UserFolder(std::filesystem::path state_folder,
             std::filesystem::path adapter_folder,
             std::string model_folder,
             const train::ModelConfig& model,
             train::Adapter fresh);
  Expected<void> TakeSettings(const std::string& adapter_settings);
  Expected<void> TakeFleet(const std::string& fleet);
  struct Best {
    std::uint32_t round = 0;
    double loss = 0.0;
  };
  // Of earlier rounds, on these held-out data; none: there is none.
  Expected<std::optional<Best>> ReadBest(const std::string& held_out_sha256,
                                         const Loss& loss) const;
  Expected<void> WriteBest(const Best& best, const std::string& held_out_sha256) const;
  Expected<void> WritePeft(const train::Adapter& adapter,
                           const std::filesystem::path& folder) const;

  std::filesystem::path state_folder_, adapter_folder_;
  std::string model_folder_;
  train::ModelConfig model_;
  train::Adapter fresh_;
  bool begins_anew_ = false;
  std::filesystem::path put_aside_;
};

}  // namespace dashf::runtime
