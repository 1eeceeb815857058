#include "runtime/user_node.h"
#include "base/digest.h"

#include <fmt/format.h>

#include <optional>
#include <utility>

#include "runtime/live_credentials.h"
#include "runtime/node_places.h"
#include "runtime/process.h"
#include "runtime/settings_call.h"
#include "runtime/user_process.h"
#include "runtime/work.h"

namespace dashf::runtime {
namespace {

// What does not depend on the settings, read once.
struct OwnSamples {
  std::vector<corpus::Sample> train, test;
  corpus::DataReport taken_train, taken_test;
};

Expected<OwnSamples> ReadFiles(const UserKit& kit) {
  OwnSamples files;
  auto train = corpus::ReadSamples(kit.train_path, std::nullopt, &files.taken_train);
  if (!train) return tl::unexpected(train.error());
  auto test = corpus::ReadSamples(kit.test_path, std::nullopt, &files.taken_test);
  if (!test) return tl::unexpected(test.error());
  files.train = std::move(*train);
  files.test = std::move(*test);
  return files;
}

// As long as the settings in `config` are the fleet's; then none.
Expected<std::optional<int>> TrainAsTold(const NodeConfig& config,
                                         const LiveCredentials& credentials,
                                         const Telemetry& telemetry,
                                         const ServiceState& service_state,
                                         OwnSamples files,
                                         const UserVoice& voice) {
  std::optional<EndedBySignals> starting(std::in_place);
  const TrainingSettings& training = config.training;
  const auto storage = BaseStorage(training.storage);
  if (!storage) return tl::unexpected(storage.error());
  voice.on_storage(*storage);
  auto base = LoadBaseModel(config.model_folder, training.storage, config.Threads());
  if (!base) return tl::unexpected(base.error());
  const auto examples = corpus::TokenizeSamples(
      files.train, base->tokenizer, base->chat, training.tokens_max, &files.taken_train);
  if (!examples)
    return Fail(examples.error().kind, config.user.train_path, examples.error().Text());
  auto adapter = train::InitialAdapter(base->model.config(), training.adapter, training.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  auto held_out = train::PrepareHeldOut(files.test,
                                        config.user.labels,
                                        base->tokenizer,
                                        base->chat,
                                        training.tokens_max,
                                        &files.taken_test);
  if (!held_out) return Fail(held_out.error().kind, config.user.test_path, held_out.error().Text());
  voice.on_data(config.user.train_path, files.taken_train);
  voice.on_data(config.user.test_path, files.taken_test);
  const auto work = WorkOf(config);
  if (!work) return tl::unexpected(work.error());
  auto folder = UserFolder::Open(config.user.state_folder,
                                 config.user.adapter_folder,
                                 config.model_folder,
                                 base->model.config(),
                                 std::move(*adapter),
                                 WriteAdapterSettings(training),
                                 config.fleet);
  if (!folder) return tl::unexpected(folder.error());
  if (folder->BeginsAnew()) {
    voice.log.Warning("folder",
                      "the adapter of earlier rounds is of other settings: the next begins anew");
  }
  if (!folder->put_aside().empty()) {
    voice.log.Info(
        "folder",
        fmt::format("the rounds of another fleet are kept in {}; their best adapter goes on",
                    folder->put_aside().string()));
  }
  auto memory = folder->ReadMemory();
  if (!memory) return tl::unexpected(memory.error());
  UserProcess node(
      config,
      credentials,
      telemetry,
      service_state,
      std::move(*base),
      std::move(files.train),
      std::move(*held_out),
      Sha256Hex(fmt::format("{} {}", training.tokens_max, corpus::WriteSamples(files.test))),
      std::move(*folder),
      std::move(*memory),
      voice.log);
  starting.reset();
  return node.Run(*work);
}

// Before any work: nobody's files are written over, and no pipe is waited for.
Expected<void> CheckPlaces(const NodeConfig& config) {
  auto sound = CheckAdapterFolder(config.user.adapter_folder);
  if (sound) {
    sound = UserFolder::CheckState(config.user.state_folder,
                                   {config.user.adapter_folder, config.telemetry_path});
  }
  for (const std::string& path :
       {config.user.train_path, config.user.test_path, config.model_folder}) {
    if (sound) sound = CheckPlainFiles(path);
  }
  return sound;
}

}  // namespace

Expected<int> RunUser(const NodeConfig& config, const UserVoice& voice) {
  std::optional<EndedBySignals> starting(std::in_place);
  if (auto sound = CheckPlaces(config); !sound) return tl::unexpected(sound.error());
  const auto credentials = LiveCredentials::Load(config.tls, config.node, NoticeTo(voice.log));
  if (!credentials) return tl::unexpected(credentials.error());
  const auto telemetry =
      Telemetry::Open(config.telemetry_path, config.node, config.telemetry_limits, voice.log);
  if (!telemetry) return tl::unexpected(telemetry.error());
  const auto files = ReadFiles(config.user);
  if (!files) return tl::unexpected(files.error());
  ServiceState service_state;
  const ServicePulse pulse(&service_state);
  starting.reset();
  return LiveAsTold(config, *credentials, voice.log, [&](const NodeConfig& as_told) {
    return TrainAsTold(as_told, *credentials, *telemetry, service_state, *files, voice);
  });
}

}  // namespace dashf::runtime
