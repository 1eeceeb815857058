#include "runtime/user_node.h"

#include <fmt/format.h>

#include <filesystem>

#include "base/termination.h"
#include "runtime/compute_gate.h"
#include "runtime/coordinator_link.h"
#include "runtime/edge_link.h"
#include "runtime/failpoint.h"
#include "runtime/learning.h"
#include "runtime/messages.h"
#include "runtime/service_state.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

constexpr int kHandshakeTimeoutS = 10;

v1::Evaluation ToWire(const Quality& quality) {
  v1::Evaluation wire;
  wire.set_loss(quality.loss.value_or(0.0));
  if (quality.exact_match) wire.set_exact_match(*quality.exact_match);
  if (quality.choice_accuracy) wire.set_choice_accuracy(*quality.choice_accuracy);
  return wire;
}

class UserProcess {
 public:
  UserProcess(const NodeConfig& config,
              const LiveCredentials& credentials,
              Telemetry telemetry,
              BaseModel base,
              std::vector<corpus::Sample> train,
              train::HeldOut held_out,
              train::Adapter adapter)
      : config_(config),
        credentials_(credentials),
        telemetry_(std::move(telemetry)),
        base_(std::move(base)),
        train_(std::move(train)),
        held_out_(std::move(held_out)),
        adapter_(std::move(adapter)),
        data_(corpus::WriteSamples(train_)) {}

  Expected<void> Run();

 private:
  v1::RegisterRequest Registration() const;
  Expected<v1::Instruction> Await(v1::Instruction::WhatCase what);
  Expected<void> DoPhases(const v1::Assignment& assignment);
  std::string AddressOf(const NodeId& server, const v1::Assignment& assignment) const;
  // Runs a phase and reports how it went, either way.
  template <class Work>
  Expected<void> Phase(runtime::Phase phase, const Work& work);

  EdgeLink::Settings SettingsFor(const v1::Assignment& assignment);
  std::filesystem::path TransferFolder() const;  // For what has come of the attempt.
  Expected<void> TrainLocally(v1::PhaseReport* report);
  Expected<void> Upload(v1::PhaseReport* report);
  Expected<void> Download(v1::PhaseReport* report);
  Expected<void> Verify(v1::PhaseReport* report);
  Expected<void> WriteAdapter() const;

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  const Telemetry telemetry_;
  const BaseModel base_;
  const std::vector<corpus::Sample> train_;
  const train::HeldOut held_out_;
  train::Adapter adapter_;
  const std::string data_;  // As it is sent.
  int k_ = 0, layers_ = 0;
  std::unique_ptr<EdgeLink> edge_;
  ServiceState service_state_;
  const ServicePulse pulse_{&service_state_};
  std::unique_ptr<CoordinatorLink> link_;
};

v1::RegisterRequest UserProcess::Registration() const {
  v1::RegisterRequest request;
  *request.mutable_node() = runtime::ToWire(config_.node);
  v1::UserCapabilities& user = *request.mutable_user();
  const UserKit& kit = config_.user;
  *user.mutable_compute() = runtime::ToWire(kit.device.compute);
  user.set_tx_power_w_max(kit.device.tx_power_w_max);
  user.set_memory_bytes_max(kit.device.memory_bytes_max);
  *user.mutable_profile() = runtime::ToWire(kit.profile);
  user.set_samples(train_.size());
  user.set_data_bytes(data_.size());
  return request;
}

// The wanted instruction; kRoundFailed if the round ends for this node first.
Expected<v1::Instruction> UserProcess::Await(v1::Instruction::WhatCase what) {
  while (auto instruction = link_->Next()) {
    if (instruction->what_case() == what) return std::move(*instruction);
    if (!instruction->has_end()) continue;
    return Fail(ErrorKind::kRoundFailed, Name(config_.node), instruction->end().reason());
  }
  return Fail(ErrorKind::kRoundFailed, Name(config_.node), "the coordinator is gone");
}

Expected<void> UserProcess::Run() {
  auto link = CoordinatorLink::Open(config_, credentials_, Registration());
  if (!link) return tl::unexpected(link.error());
  link_ = std::move(*link);
  telemetry_.Write("registered", {{"round", config_.round}});
  service_state_.Ready("registered");
  Failpoint(config_.node, "registered");
  const auto start = Await(v1::Instruction::kStart);
  if (!start) return tl::unexpected(start.error());
  if (auto done = DoPhases(start->start()); !done) return done;
  const auto end = Await(v1::Instruction::kEnd);
  if (!end) return tl::unexpected(end.error());
  if (end->end().success()) return {};
  return Fail(ErrorKind::kRoundFailed, Name(config_.node), end->end().reason());
}

// Of the addresses that its server tells, the first that answers; the first if none does, so that
// the upload says why.
std::string UserProcess::AddressOf(const NodeId& server, const v1::Assignment& assignment) const {
  const auto& told = assignment.server_address();
  if (told.empty()) return "";
  if (told.size() == 1) return told.Get(0);
  return FirstThatAnswers(server, {told.begin(), told.end()}, credentials_, kHandshakeTimeoutS)
      .value_or(told.Get(0));
}

Expected<void> UserProcess::DoPhases(const v1::Assignment& assignment) {
  k_ = static_cast<int>(assignment.local_layers());
  layers_ = static_cast<int>(assignment.layers());
  if (layers_ != base_.model.config().layers || k_ > layers_) {
    return Fail(ErrorKind::kBadInput,
                config_.model_folder,
                fmt::format("has {} layers, the assignment says {} of {}",
                            base_.model.config().layers,
                            k_,
                            layers_));
  }
  if (k_ > 0) {
    if (auto done = Phase(runtime::Phase::kLocal, [this](auto* r) { return TrainLocally(r); });
        !done) {
      return done;
    }
  }
  if (k_ < layers_) {
    edge_ = std::make_unique<EdgeLink>(SettingsFor(assignment), credentials_);
    auto done = Phase(runtime::Phase::kUpload, [this](auto* r) { return Upload(r); });
    if (!done) return done;
    if (auto ready = Await(v1::Instruction::kCollect); !ready) {
      return tl::unexpected(ready.error());
    }
    done = Phase(runtime::Phase::kDownload, [this](auto* r) { return Download(r); });
    if (!done) return done;
  }
  return Phase(runtime::Phase::kVerify, [this](auto* r) { return Verify(r); });
}

EdgeLink::Settings UserProcess::SettingsFor(const v1::Assignment& assignment) {
  return {.attempt = {config_.node.id, config_.round, assignment.attempt()},
          .server = ServerNode(assignment.server()),
          .address = AddressOf(ServerNode(assignment.server()), assignment),
          .folder = TransferFolder(),
          .wanted = [this] { return !link_->Over(); },
          .on_pause =
              [this](const std::string& reason, std::chrono::milliseconds pause) {
                telemetry_.Write("transfer_waits",
                                 {{"round", config_.round},
                                  {"reason", reason},
                                  {"pause_s", static_cast<double>(pause.count()) / 1e3}});
              },
          .patience = {}};
}

std::filesystem::path UserProcess::TransferFolder() const {
  std::filesystem::path folder = config_.user.adapter_folder;
  folder += ".transfer";
  return folder;
}

template <class Work>
Expected<void> UserProcess::Phase(runtime::Phase phase, const Work& work) {
  Failpoint(config_.node, Key(phase));
  telemetry_.Write("phase_started",
                   {{"round", config_.round}, {"user", config_.node.id}, {"phase", Key(phase)}});
  v1::PhaseReport report;
  report.set_round(config_.round);
  report.set_user(config_.node.id);
  *report.mutable_reporter() = runtime::ToWire(config_.node);
  report.set_phase(runtime::ToWire(phase));
  const Expected<void> done = work(&report);
  if (!done) report.set_failure(done.error().Text());
  const Expected<void> reported = link_->Report(report);
  return done ? reported : done;
}

Expected<void> UserProcess::TrainLocally(v1::PhaseReport* report) {
  const TrainingSettings& training = config_.training;
  const auto examples =
      corpus::TokenizeSamples(train_, base_.tokenizer, base_.chat, training.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  train::TrainOptions options = training.OptionsFor(training.epochs_user);
  options.on_step = [this](const train::StepReport&) { return !link_->Over(); };
  const auto turn = ComputeTurn::Take(config_.gate_folder, config_.gate_turns);
  if (!turn) return tl::unexpected(turn.error());
  const auto trained =
      train::TrainUserPhase(base_.model, *examples, k_, training.objective, options, &adapter_);
  if (!trained) return tl::unexpected(trained.error());
  if (trained->stopped) return Fail(ErrorKind::kRoundFailed, "", "the round ended");
  report->set_elapsed_s(trained->elapsed_s);
  report->set_cpu_s(trained->cpu_s);
  return {};
}

Expected<void> UserProcess::Upload(v1::PhaseReport* report) {
  const auto sent = edge_->Upload(data_, k_ > 0 ? train::EncodeLayers(adapter_, 1, k_) : "");
  if (!sent) return tl::unexpected(sent.error());
  report->set_elapsed_s(sent->elapsed_s);
  report->set_bytes(sent->bytes);
  return {};
}

Expected<void> UserProcess::Download(v1::PhaseReport* report) {
  std::string adapters;
  const auto received = edge_->Download(&adapters);
  if (!received) return tl::unexpected(received.error());
  report->set_elapsed_s(received->elapsed_s);
  report->set_bytes(received->bytes);
  const int first = config_.training.FirstReturned(k_);
  return train::DecodeLayers(adapters, first, layers_, base_.model.config(), &adapter_);
}

Expected<void> UserProcess::Verify(v1::PhaseReport* report) {
  const auto turn = ComputeTurn::Take(config_.gate_folder, config_.gate_turns);
  if (!turn) return tl::unexpected(turn.error());
  const Stopwatch watch;
  if (auto sound = train::CheckAdapter(adapter_, base_.model.config()); !sound) return sound;
  const auto before = QualityOf(base_.model, nullptr, held_out_);
  if (!before) return tl::unexpected(before.error());
  const auto after = QualityOf(base_.model, &adapter_, held_out_);
  if (!after) return tl::unexpected(after.error());
  *report->mutable_before() = ToWire(*before);
  *report->mutable_after() = ToWire(*after);
  if (auto written = WriteAdapter(); !written) return written;
  report->set_elapsed_s(watch.ElapsedS());
  return {};
}

// Two files, so beside its place first and then renamed: the folder is there whole or not at all.
Expected<void> UserProcess::WriteAdapter() const {
  const std::filesystem::path folder = config_.user.adapter_folder;
  std::filesystem::path part = folder;
  part += ".part";
  auto saved = train::SaveAdapter(adapter_, base_.model.config(), config_.model_folder, part);
  if (!saved) return saved;
  std::error_code failed;
  std::filesystem::remove_all(folder, failed);
  if (!failed) std::filesystem::rename(part, folder, failed);
  if (!failed) std::filesystem::remove_all(TransferFolder(), failed);
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  return {};
}

}  // namespace

Expected<void> RunUser(const NodeConfig& config, const OnData& on_data) {
  const auto credentials = LiveCredentials::Load(config.tls, config.node, SayNotice);
  if (!credentials) return tl::unexpected(credentials.error());
  auto telemetry = Telemetry::Open(config.telemetry_path, config.node);
  if (!telemetry) return tl::unexpected(telemetry.error());
  auto base = LoadBaseModel(config.model_folder, config.training.storage);
  if (!base) return tl::unexpected(base.error());
  corpus::DataReport taken_train, taken_test;
  auto train = corpus::ReadSamples(config.user.train_path, std::nullopt, &taken_train);
  if (!train) return tl::unexpected(train.error());
  const int tokens_max = config.training.tokens_max;
  const auto examples =
      corpus::TokenizeSamples(*train, base->tokenizer, base->chat, tokens_max, &taken_train);
  if (!examples)
    return Fail(examples.error().kind, config.user.train_path, examples.error().Text());
  const auto test = corpus::ReadSamples(config.user.test_path, std::nullopt, &taken_test);
  if (!test) return tl::unexpected(test.error());
  auto adapter =
      train::InitialAdapter(base->model.config(), config.training.adapter, config.training.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  auto held_out = train::PrepareHeldOut(
      *test, config.user.labels, base->tokenizer, base->chat, tokens_max, &taken_test);
  if (!held_out) return Fail(held_out.error().kind, config.user.test_path, held_out.error().Text());
  on_data(config.user.train_path, taken_train);
  on_data(config.user.test_path, taken_test);
  UserProcess node(config,
                   *credentials,
                   std::move(*telemetry),
                   std::move(*base),
                   std::move(*train),
                   std::move(*held_out),
                   std::move(*adapter));
  return node.Run();
}

}  // namespace dashf::runtime
