#include "runtime/orders_wire.h"

#include "fleet/orders.h"
#include "runtime/messages.h"
#include "runtime/plan_scope.h"

namespace dashf::runtime {
namespace {

v1::Assignment AssignmentOf(const fleet::State& state,
                            const Deployment& deployment,
                            const Emulation& emulation,
                            const std::string& user,
                            const std::string& server,
                            std::uint32_t round,
                            int attempt,
                            const Decision& decision) {
  v1::Assignment assignment;
  assignment.set_user(user);
  assignment.set_server(server);
  for (const std::string& address : deployment.AddressesOf(server)) {
    assignment.add_server_address(address);
  }
  assignment.set_layers(static_cast<std::uint32_t>(state.layers));
  assignment.set_round(round);
  assignment.set_attempt(static_cast<std::uint32_t>(attempt));
  Fill(decision, &assignment);
  const SplitProfile* profile = deployment.ProfileOf(user);
  if (emulation.time_scale > 0.0 && profile != nullptr) {
    const fleet::Member* member = state.Find(UserNode(user));
    const bool goes_on = member != nullptr && member->rounds_done > 0;
    const fleet::Task& task = state.round->tasks.at(user);
    *assignment.mutable_pace() =
        ToWire(PaceOf(goes_on ? WithAllLayersUp(*profile) : *profile,
                      decision.local_layers,
                      EmulatedSeconds(user, task.predicted_s, task.factors, emulation),
                      emulation));
  }
  return assignment;
}

}  // namespace

v1::Orders OrdersOf(const fleet::State& state,
                    const Deployment& deployment,
                    const Emulation& emulation,
                    const NodeId& node) {
  v1::Orders wire;
  if (node.role == Role::kServer) {
    const fleet::ServerOrders orders = OrdersOfServer(state, node.id);
    if (orders.leave) {
      wire.mutable_leave()->set_success(true);
      return wire;
    }
    for (const auto& work : orders.work) {
      v1::Assignment& assignment = *wire.mutable_serve()->add_assignments();
      assignment = AssignmentOf(state,
                                deployment,
                                emulation,
                                work.user,
                                node.id,
                                work.round,
                                work.attempt,
                                work.decision);
      assignment.set_phase(ToWire(work.uploaded ? fleet::Phase::kServer : fleet::Phase::kUpload));
    }
    wire.mutable_serve();
    return wire;
  }
  const fleet::UserOrders orders = OrdersOfUser(state, node.id);
  switch (orders.kind) {
    case fleet::UserOrders::Kind::kRest:
      wire.mutable_rest()->set_reason(orders.reason);
      break;
    case fleet::UserOrders::Kind::kWork:
      *wire.mutable_work() = AssignmentOf(state,
                                          deployment,
                                          emulation,
                                          node.id,
                                          orders.server,
                                          orders.round,
                                          orders.attempt,
                                          orders.decision);
      wire.mutable_work()->set_phase(ToWire(orders.phase));
      break;
    case fleet::UserOrders::Kind::kLeave:
      wire.mutable_leave()->set_success(orders.success);
      wire.mutable_leave()->set_reason(orders.reason);
      break;
  }
  return wire;
}

}  // namespace dashf::runtime
