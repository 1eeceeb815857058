#include "runtime/server_node.h"

#include <fmt/format.h>

#include <thread>

#include "runtime/address.h"
#include "runtime/coordinator_link.h"
#include "runtime/edge_service.h"
#include "runtime/failpoint.h"
#include "runtime/learning.h"
#include "runtime/messages.h"
#include "runtime/server_training.h"
#include "runtime/service_state.h"
#include "runtime/telemetry.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

class ServerProcess {
 public:
  ServerProcess(const NodeConfig& config,
                const LiveCredentials& credentials,
                Telemetry telemetry,
                BaseModel base,
                UserStore* store)
      : config_(config),
        credentials_(credentials),
        telemetry_(std::move(telemetry)),
        base_(std::move(base)),
        store_(*store),
        service_(config.node, store) {}

  Expected<void> Run();

 private:
  Expected<std::vector<std::string>> Listen();  // What users are told.
  v1::RegisterRequest Registration(const std::vector<std::string>& addresses) const;
  void TrainUploads();  // Until the store is closed.
  void Expect(const Attempt& attempt, const v1::Assignment& assignment);
  void Report(const Attempt& attempt, const Expected<train::PhaseReport>& trained);

  const NodeConfig& config_;
  const LiveCredentials& credentials_;
  const Telemetry telemetry_;
  const BaseModel base_;
  UserStore& store_;
  EdgeService service_;
  std::unique_ptr<grpc::Server> server_;
  ServiceState service_state_;
  const ServicePulse pulse_{&service_state_};
  std::unique_ptr<CoordinatorLink> link_;
};

Expected<std::vector<std::string>> ServerProcess::Listen() {
  const std::string& listen = config_.server.listen;
  int port = 0;
  grpc::ServerBuilder builder;
  ListenOn(builder, listen, credentials_, &port);
  builder.RegisterService(&service_);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr || port == 0) return Fail(ErrorKind::kIo, listen, "cannot listen there");
  return Advertised(listen, port, config_.server.advertise);
}

v1::RegisterRequest ServerProcess::Registration(const std::vector<std::string>& addresses) const {
  v1::RegisterRequest request;
  *request.mutable_node() = ToWire(config_.node);
  v1::ServerCapabilities& server = *request.mutable_server();
  const Server& device = config_.server.device;
  *server.mutable_compute() = ToWire(device.compute);
  server.set_bandwidth_hz(device.bandwidth_hz);
  server.set_tx_power_w_max(device.tx_power_w_max);
  for (const std::string& address : addresses) server.add_address(address);
  return request;
}

Expected<void> ServerProcess::Run() {
  const auto addresses = Listen();
  if (!addresses) return tl::unexpected(addresses.error());
  auto link = CoordinatorLink::Open(config_, credentials_, Registration(*addresses));
  if (!link) return tl::unexpected(link.error());
  link_ = std::move(*link);
  telemetry_.Write("registered", {{"round", config_.round}, {"address", *addresses}});
  service_state_.Ready("registered");
  Failpoint(config_.node, "registered");
  std::thread trainer([this] { TrainUploads(); });
  bool ended = false;
  while (auto instruction = link_->Next()) {
    if (instruction->has_expect()) {
      const v1::Assignment& expect = instruction->expect();
      Expect({expect.user(), instruction->round(), expect.attempt()}, expect);
    } else if (instruction->has_drop()) {
      const v1::DropUser& drop = instruction->drop();
      store_.Drop({drop.user(), instruction->round(), drop.attempt()});
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
  ServerTraining training(config_, base_, telemetry_, &store_);
  const int together = config_.training.users_per_batch;
  for (auto jobs = store_.NextJobs(together); !jobs.empty(); jobs = store_.NextJobs(together)) {
    training.Train(jobs, [this](const Attempt& attempt, const auto& trained) {
      // A user that was dropped meanwhile is nobody's to report on.
      if (store_.Wanted(attempt)) Report(attempt, trained);
    });
  }
}

// What an earlier process has finished may not have been reported.
void ServerProcess::Expect(const Attempt& attempt, const v1::Assignment& assignment) {
  const auto kept = store_.Expect(
      attempt, static_cast<int>(assignment.local_layers()), static_cast<int>(assignment.layers()));
  if (!kept) return Report(attempt, tl::unexpected(kept.error()));
  for (const FinishedJob& finished : store_.Finished()) {
    if (finished.attempt != attempt) continue;
    train::PhaseReport report;
    report.elapsed_s = finished.elapsed_s;
    report.cpu_s = finished.cpu_s;
    Report(attempt, report);
  }
}

void ServerProcess::Report(const Attempt& attempt, const Expected<train::PhaseReport>& trained) {
  v1::PhaseReport report;
  report.set_round(attempt.round);
  report.set_user(attempt.user);
  *report.mutable_reporter() = ToWire(config_.node);
  report.set_phase(v1::PHASE_SERVER);
  if (trained) {
    report.set_elapsed_s(trained->elapsed_s);
    report.set_cpu_s(trained->cpu_s);
  } else {
    report.set_failure(trained.error().Text());
  }
  if (auto reported = link_->Report(report); !reported) {
    telemetry_.Write("report_refused",
                     {{"user", attempt.user}, {"reason", reported.error().Text()}});
  }
}

}  // namespace

Expected<void> RunServer(const NodeConfig& config) {
  const auto credentials = LiveCredentials::Load(config.tls, config.node, SayNotice);
  if (!credentials) return tl::unexpected(credentials.error());
  auto telemetry = Telemetry::Open(config.telemetry_path, config.node);
  if (!telemetry) return tl::unexpected(telemetry.error());
  auto base = LoadBaseModel(config.model_folder, config.training.storage);
  if (!base) return tl::unexpected(base.error());
  const auto store = UserStore::Open(config.server.spool_folder, config.server.spool_bytes_max);
  if (!store) return tl::unexpected(store.error());
  for (const std::string& damaged : (*store)->damaged()) {
    telemetry->Write("spool_damaged", {{"reason", damaged}});
  }
  ServerProcess node(config, *credentials, std::move(*telemetry), std::move(*base), store->get());
  return node.Run();
}

}  // namespace dashf::runtime
