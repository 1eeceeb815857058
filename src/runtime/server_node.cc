#include "runtime/server_node.h"

#include <fmt/format.h>

#include <thread>

#include "runtime/compute_gate.h"
#include "runtime/coordinator_link.h"
#include "runtime/edge_service.h"
#include "runtime/failpoint.h"
#include "runtime/learning.h"
#include "runtime/messages.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"
#include "train/peft_io.h"

namespace dashf::runtime {
namespace {

class ServerProcess {
 public:
  ServerProcess(const NodeConfig& config,
                const Credentials& credentials,
                Telemetry telemetry,
                BaseModel base)
      : config_(config),
        credentials_(credentials),
        telemetry_(std::move(telemetry)),
        base_(std::move(base)),
        service_(config.node, config.round, &store_) {}

  Expected<void> Run();

 private:
  Expected<std::string> Listen();
  v1::RegisterRequest Registration(const std::string& address) const;
  void TrainUploads();  // Until the store is closed.
  Expected<train::PhaseReport> TrainOne(const TrainingJob& job);

  const NodeConfig& config_;
  const Credentials& credentials_;
  const Telemetry telemetry_;
  const BaseModel base_;
  UserStore store_;
  EdgeService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<CoordinatorLink> link_;
};

Expected<std::string> ServerProcess::Listen() {
  const std::string& listen = config_.server.listen;
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, listen, credentials_, &port);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) return Fail(ErrorKind::kIo, listen, "cannot listen there");
  return fmt::format("{}:{}", listen.substr(0, listen.rfind(':')), port);
}

v1::RegisterRequest ServerProcess::Registration(const std::string& address) const {
  v1::RegisterRequest request;
  *request.mutable_node() = ToWire(config_.node);
  v1::ServerCapabilities& server = *request.mutable_server();
  const Server& device = config_.server.device;
  *server.mutable_compute() = ToWire(device.compute);
  server.set_bandwidth_hz(device.bandwidth_hz);
  server.set_tx_power_w_max(device.tx_power_w_max);
  server.set_address(address);
  return request;
}

Expected<void> ServerProcess::Run() {
  const auto address = Listen();
  if (!address) return tl::unexpected(address.error());
  auto link = CoordinatorLink::Open(config_, credentials_, Registration(*address));
  if (!link) return tl::unexpected(link.error());
  link_ = std::move(*link);
  telemetry_.Write("registered", {{"round", config_.round}, {"address", *address}});
  Failpoint(config_.node, "registered");
  std::thread trainer([this] { TrainUploads(); });
  bool ended = false;
  while (auto instruction = link_->Next()) {
    if (instruction->has_expect()) {
      const v1::Assignment& expect = instruction->expect();
      store_.Expect(expect.user(),
                    static_cast<int>(expect.local_layers()),
                    static_cast<int>(expect.layers()));
    } else if (instruction->has_drop()) {
      store_.Drop(instruction->drop().user());
    } else if (instruction->has_end()) {
      ended = true;
    }
  }
  store_.Close();
  trainer.join();
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  server_->Wait();
  if (ended) return {};
  return Fail(ErrorKind::kRoundFailed, Name(config_.node), "the coordinator is gone");
}

void ServerProcess::TrainUploads() {
  while (const auto job = store_.NextJob()) {
    v1::PhaseReport report;
    report.set_round(config_.round);
    report.set_user(job->user);
    *report.mutable_reporter() = ToWire(config_.node);
    report.set_phase(v1::PHASE_SERVER);
    const auto trained = TrainOne(*job);
    // A user that was dropped meanwhile is nobody's to report on.
    if (!store_.Expected(job->user)) continue;
    if (trained) {
      report.set_elapsed_s(trained->elapsed_s);
      report.set_cpu_s(trained->cpu_s);
    } else {
      report.set_failure(trained.error().Text());
    }
    if (auto reported = link_->Report(report); !reported) {
      telemetry_.Write("report_refused",
                       {{"user", job->user}, {"reason", reported.error().Text()}});
    }
  }
}

Expected<train::PhaseReport> ServerProcess::TrainOne(const TrainingJob& job) {
  const std::string who = "user " + job.user;
  const TrainingSettings& training = config_.training;
  const train::ModelConfig& model = base_.model.config();
  if (job.layers != model.layers || job.local_layers >= job.layers) {
    return Fail(ErrorKind::kBadInput,
                config_.model_folder,
                fmt::format("has {} layers, the assignment says {} of {}",
                            model.layers,
                            job.local_layers,
                            job.layers));
  }
  const auto samples = corpus::ParseSamples(who + "'s data set", job.data);
  if (!samples) return tl::unexpected(samples.error());
  auto adapter = train::InitialAdapter(model, training.adapter, training.seed);
  if (!adapter) return tl::unexpected(adapter.error());
  if (job.local_layers > 0) {
    const auto decoded = train::DecodeLayers(job.adapters, 1, job.local_layers, model, &*adapter);
    if (!decoded) return tl::unexpected(decoded.error());
  }
  const auto examples =
      corpus::TokenizeSamples(*samples, base_.tokenizer, base_.chat, training.tokens_max);
  if (!examples) return tl::unexpected(examples.error());
  train::TrainOptions options = training.OptionsFor(training.epochs_server);
  options.on_step = [&](const train::StepReport&) { return store_.Expected(job.user); };
  const auto turn = ComputeTurn::Take(config_.gate_folder, config_.gate_turns);
  if (!turn) return tl::unexpected(turn.error());
  telemetry_.Write("phase_started",
                   {{"round", config_.round}, {"user", job.user}, {"phase", "server"}});
  Failpoint(config_.node, "server");
  const auto trained =
      train::TrainServerPhase(base_.model, *examples, job.local_layers, options, &*adapter);
  if (!trained) return tl::unexpected(trained.error());
  if (trained->stopped) return Fail(ErrorKind::kRoundFailed, who, "was dropped");
  store_.Finish(job.user, train::EncodeLayers(*adapter, job.local_layers + 1, job.layers));
  return *trained;
}

}  // namespace

Expected<void> RunServer(const NodeConfig& config) {
  const auto credentials = LoadCredentials(config.tls, config.node);
  if (!credentials) return tl::unexpected(credentials.error());
  auto telemetry = Telemetry::Open(config.telemetry_path, config.node);
  if (!telemetry) return tl::unexpected(telemetry.error());
  auto base = LoadBaseModel(config.model_folder);
  if (!base) return tl::unexpected(base.error());
  ServerProcess node(config, *credentials, std::move(*telemetry), std::move(*base));
  return node.Run();
}

}  // namespace dashf::runtime
