#include "runtime/operator_client.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "operator.grpc.pb.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

using Json = OperatorClient::Json;
using grpc::StatusCode;

constexpr int kHandshakeTimeoutS = 5;
constexpr std::chrono::seconds kAnswerWithin(60);  // Of all pages.
constexpr char kCoordinator[] = "coordinator";

Error ErrorOf(const grpc::Status& status) {
  switch (status.error_code()) {
    case StatusCode::UNAUTHENTICATED:
    case StatusCode::PERMISSION_DENIED:
      return {ErrorKind::kIdentity, kCoordinator, status.error_message()};
    case StatusCode::INVALID_ARGUMENT:
    case StatusCode::NOT_FOUND:
    case StatusCode::FAILED_PRECONDITION:
      return {ErrorKind::kBadInput, "", status.error_message()};
    case StatusCode::UNIMPLEMENTED:
      return {ErrorKind::kIo, kCoordinator, "does not know this call: it is of another version"};
    default:
      return {ErrorKind::kIo, kCoordinator, "does not answer: " + status.error_message()};
  }
}

Expected<Json> Parsed(const v1::Document& document) {
  Json json = Json::parse(document.json(), nullptr, false);
  if (json.is_object()) return json;
  return Fail(ErrorKind::kIo, kCoordinator, "answers something that is no JSON object");
}

// The rows of all pages.
Expected<Json> AllRows(grpc::ClientReader<v1::Document>* reader) {
  Json rows = Json::array();
  Expected<void> sound;
  for (v1::Document document; sound && reader->Read(&document);) {
    auto page = Parsed(document);
    if (!page || !page->contains("rows") || !page->at("rows").is_array()) {
      sound = page ? Fail(ErrorKind::kIo, kCoordinator, "answers a page without rows")
                   : tl::unexpected(page.error());
      continue;
    }
    for (Json& row : page->at("rows")) rows.push_back(std::move(row));
  }
  if (!sound) return tl::unexpected(sound.error());
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return tl::unexpected(ErrorOf(status));
  return rows;
}

v1::Action ActionOf(Steering what) {
  switch (what) {
    case Steering::kStart:
      return v1::ACTION_START;
    case Steering::kDrain:
      return v1::ACTION_DRAIN;
    case Steering::kExclude:
      return v1::ACTION_EXCLUDE;
    case Steering::kAdmit:
      return v1::ACTION_ADMIT;
    case Steering::kStop:
      return v1::ACTION_STOP;
    case Steering::kStopNow:
      return v1::ACTION_STOP_NOW;
  }
  return v1::ACTION_UNSPECIFIED;
}

void Within(grpc::ClientContext* context) {
  context->set_deadline(std::chrono::system_clock::now() + kAnswerWithin);
}

}  // namespace

struct OperatorClient::Connection {
  LiveCredentials credentials;
  std::unique_ptr<v1::Operator::Stub> stub;
};

OperatorClient::OperatorClient(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {}
OperatorClient::OperatorClient(OperatorClient&&) noexcept = default;
OperatorClient::~OperatorClient() = default;

Expected<OperatorClient> OperatorClient::Connect(const OperatorConfig& config) {
  const auto own = LoadCredentials(config.tls, config.node);
  if (!own) return tl::unexpected(own.error());
  LiveCredentials credentials(*own);
  const auto address =
      FirstThatAnswers(CoordinatorNode(), config.coordinator, credentials, kHandshakeTimeoutS);
  if (!address) {
    Error error = address.error();
    if (error.kind == ErrorKind::kIo)
      error.message += " (is it running? Once its fleet is over, it leaves)";
    return tl::unexpected(error);
  }
  auto stub = v1::Operator::NewStub(ConnectTo(CoordinatorNode(), *address, credentials));
  return OperatorClient(
      std::make_unique<Connection>(Connection{std::move(credentials), std::move(stub)}));
}

Expected<Json> OperatorClient::Status() {
  grpc::ClientContext context;
  Within(&context);
  v1::Document document;
  const grpc::Status status = connection_->stub->Status(&context, {}, &document);
  if (!status.ok()) return tl::unexpected(ErrorOf(status));
  return Parsed(document);
}

Expected<Json> OperatorClient::Nodes() {
  grpc::ClientContext context;
  Within(&context);
  return AllRows(connection_->stub->Nodes(&context, {}).get());
}

Expected<Json> OperatorClient::Rounds(std::uint32_t last) {
  grpc::ClientContext context;
  Within(&context);
  v1::RoundsRequest request;
  request.set_last(last);
  return AllRows(connection_->stub->Rounds(&context, request).get());
}

Expected<Json> OperatorClient::Round(std::uint32_t number) {
  grpc::ClientContext context;
  Within(&context);
  v1::RoundsRequest request;
  request.set_round(number);
  return AllRows(connection_->stub->Rounds(&context, request).get());
}

Expected<Steered> OperatorClient::Steer(Steering what,
                                        const std::string& node,
                                        const std::string& reason) {
  grpc::ClientContext context;
  Within(&context);
  v1::SteerRequest request;
  request.set_action(ActionOf(what));
  request.set_node(node);
  request.set_reason(reason);
  v1::SteerReply reply;
  const grpc::Status status = connection_->stub->Steer(&context, request, &reply);
  if (!status.ok()) return tl::unexpected(ErrorOf(status));
  return Steered{reply.changed(), reply.said()};
}

Expected<void> OperatorClient::Logs(const std::string& node,
                                    std::uint32_t lines,
                                    bool follow,
                                    const std::function<bool(const std::string&)>& visit) {
  grpc::ClientContext context;
  if (!follow) Within(&context);
  v1::LogsRequest request;
  request.set_node(node);
  request.set_lines(lines);
  request.set_follow(follow);
  const auto reader = connection_->stub->Logs(&context, request);
  for (v1::Document document; reader->Read(&document);) {
    if (visit(document.json())) continue;
    context.TryCancel();
    return {};
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return tl::unexpected(ErrorOf(status));
  return {};
}

}  // namespace dashf::runtime
