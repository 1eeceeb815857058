// What nodes say to a coordinator: a JSON list of hellos and reports (proto/dashf.proto), each from
// the node that its certificate names. Nobody who is let in leaves the others without a plan, and
// whatever is taken can be read again from the log and becomes orders. Other bytes are messages as
// they stand on the wire.
#include <google/protobuf/util/json_util.h>

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/check.h"
#include "fleet/codec.h"
#include "fleet/step.h"
#include "runtime/emulation.h"
#include "runtime/messages.h"
#include "runtime/orders_wire.h"
#include "runtime/plan_scope.h"
#include "runtime/taking_part.h"
#include "runtime/transfer.h"
#include "scenario/generator.h"

namespace {

using namespace dashf;
using namespace dashf::runtime;
using nlohmann::json;

const Emulation kEmulation{.time_scale = 2.0, .machine_flop_per_s = 1e9, .slowdown = {}};

const Scenario& World() {
  static const Scenario world = [] {
    Scenario made = *GenerateStudy(2, 2, {}, Rng(1));
    for (SplitProfile& profile : made.profiles) {  // Three splits say as much as all of them.
      for (auto* column : {&profile.local_flop,
                           &profile.server_flop,
                           &profile.upload_bit,
                           &profile.download_bit,
                           &profile.local_memory_bytes}) {
        *column = {column->front(), column->at(1), column->back()};
      }
    }
    DASHF_CHECK(Validate(made));
    return made;
  }();
  return world;
}

class Fleet {
 public:
  Fleet() {
    fleet::Configured configured;
    configured.layers = 2;
    for (const User& user : World().users) configured.users.push_back(user.id);
    for (const Server& server : World().servers) configured.servers.push_back(server.id);
    Take(configured);
  }

  void Hear(const NodeId& from, const v1::Hello& hello) {
    const auto named = FromWire(hello.node());
    if (!named || *named != from || !deployment_.Has(from)) return;
    auto report = CapabilitiesOf(from, hello, state_.layers);
    if (!report) return Take(fleet::TurnedAway{from, report.error().Text()});
    Take(fleet::Joined{from, hello.incarnation(), *report});
  }
  void Hear(const NodeId& from, const v1::PhaseReport& wire) {
    if (const auto report = FromWire(from, wire)) Take(*report);
  }
  void Lose(const NodeId& node) {
    if (const auto* member = state_.Find(node)) {
      Take(fleet::WentAway{node, member->incarnation});
    }
  }

 private:
  void Take(const fleet::Event& event) {
    const auto read_again = fleet::EventFromJson(fleet::KindOf(event), Again(ToJson(event)));
    DASHF_CHECK(read_again);
    DASHF_CHECK(Again(ToJson(*read_again)) == Again(ToJson(event)));
    const fleet::StepResult result = Step(state_, at_ += 1000, event);
    if (result.verdict != fleet::Verdict::kAccepted) return;
    if (const auto* joined = std::get_if<fleet::Joined>(&event)) {
      DASHF_CHECK(deployment_.Hear(joined->node, joined->report));
      DASHF_CHECK(ValidateRules(deployment_.scenario()));
    }
    const auto folded = fleet::StateFromJson(Again(ToJson(state_)));
    DASHF_CHECK(folded);
    DASHF_CHECK(ToJson(*folded) == ToJson(state_));
    for (const User& user : World().users) {
      (void)OrdersOf(state_, deployment_, kEmulation, UserNode(user.id));
    }
    for (const Server& server : World().servers) {
      (void)OrdersOf(state_, deployment_, kEmulation, ServerNode(server.id));
    }
    for (const fleet::Effect& effect : result.effects) {
      if (const auto* plan = std::get_if<fleet::MakePlan>(&effect)) Plan(*plan);
    }
  }
  // Everybody one layer of two, at the first server there is.
  void Plan(const fleet::MakePlan& wanted) {
    const PlanScope scope = ScopeOf(state_, deployment_.scenario());
    const Scenario& scenario = scope.request.scenario;
    if (!scenario.users.empty()) DASHF_CHECK(ValidateRules(scenario));
    fleet::PlanMade made{wanted.round, wanted.plan, {}};
    for (const User& user : scenario.users) {
      const Decision decision{.server = 0, .local_layers = 1};
      made.assignments.push_back({user.id, scenario.servers.front().id, decision, {}, ""});
    }
    Take(made);
  }
  static json Again(const json& value) {
    return json::parse(value.dump(-1, ' ', false, json::error_handler_t::replace));
  }

  Deployment deployment_{World()};
  fleet::State state_;
  fleet::Millis at_ = 0;
};

template <class Message>
bool ReadJson(const json& value, Message* message) {
  const std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return google::protobuf::util::JsonStringToMessage(text, message).ok();
}

void HearAll(const json& said) {
  Fleet fleet;
  for (const json& one : said) {
    if (!one.is_object()) continue;
    const json from = one.value("from", json());
    const auto node = from.is_string() ? ParseName(from.get<std::string>()) : std::nullopt;
    if (!node) continue;
    v1::Hello hello;
    v1::PhaseReport report;
    if (one.contains("hello") && ReadJson(one["hello"], &hello)) fleet.Hear(*node, hello);
    if (one.contains("report") && ReadJson(one["report"], &report)) fleet.Hear(*node, report);
    if (one.contains("lost")) fleet.Lose(*node);
  }
}

void ReadWire(std::string_view bytes) {
  const auto read = [bytes](auto* message) {
    return message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  };
  Fleet fleet;
  if (v1::NodeMessage message; read(&message) && message.has_hello()) {
    if (const auto node = FromWire(message.hello().node())) fleet.Hear(*node, message.hello());
  }
  if (v1::PhaseReport report; read(&report)) {
    fleet.Hear(UserNode(report.user()), report);
    fleet.Hear(ServerNode(World().servers.front().id), report);
  }
  if (v1::UploadPart part; read(&part)) {
    std::vector<Announced> announced;
    for (const auto& artefact : part.header().artefacts()) announced.push_back(FromWire(artefact));
    (void)CheckAnnounced(announced, 2);
    (void)FromWire(part.chunk());
  }
  if (v1::CoordinatorMessage told; read(&told)) (void)DecisionIn(told.orders().work());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const json said = json::parse(text, nullptr, false);
  if (said.is_array()) {
    HearAll(said);
  } else {
    ReadWire(text);
  }
  return 0;
}
