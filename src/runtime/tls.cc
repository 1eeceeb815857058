#include "runtime/tls.h"

#include <absl/synchronization/mutex.h>
#include <fmt/format.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/printable.h"
#include "runtime/address.h"
#include "runtime/transfer.h"
#include "runtime/x509.h"

namespace dashf::runtime {
namespace {

constexpr int kMessageBytesMax = static_cast<int>(kChunkBytesMax) + (64 << 10);
// Together: a silent peer is given up within 50 s, and not one that is 5 s away behind a full pipe.
constexpr int kKeepaliveMs = 20'000;
constexpr int kKeepaliveTimeoutMs = 30'000;
// Who asks again decides when; the channel is not to sleep for longer than that.
constexpr int kReconnectMs = 50;
constexpr int kReconnectMaxMs = 5'000;
constexpr int kConnectTimeoutMs = 60'000;

using openssl::Connection;
using openssl::Context;
using openssl::Reason;

class Socket {
 public:
  explicit Socket(int file) : file_(file) {}
  ~Socket() {
    if (file_ >= 0) ::close(file_);
  }
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Socket& operator=(Socket&&) = delete;
  int file() const { return file_; }

 private:
  int file_;
};

// OpenSSL writes to sockets without MSG_NOSIGNAL: a peer that hangs up in the handshake (a port
// forwarder whose target is down) is an error of that write, and not the end of this process.
class NoBrokenPipe {
 public:
  NoBrokenPipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoBrokenPipe() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec at_once{};
    sigtimedwait(&pipe_, nullptr, &at_once);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  NoBrokenPipe(const NoBrokenPipe&) = delete;
  NoBrokenPipe& operator=(const NoBrokenPipe&) = delete;

 private:
  sigset_t pipe_, before_;
};

Expected<Socket> ConnectOne(const addrinfo& at, int timeout_s) {
  Socket socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  ::setsockopt(socket.file(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket.file(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (::connect(socket.file(), at.ai_addr, at.ai_addrlen) == 0) return socket;
  return Fail(ErrorKind::kIo, "", fmt::format("cannot connect: {}", std::strerror(errno)));
}

using Addresses = std::unique_ptr<addrinfo, openssl::Deleter<::freeaddrinfo>>;

// A name may stand for several.
Expected<Addresses> Resolve(const std::string& text) {
  const auto address = ParseReachable(text, text);
  if (!address) return tl::unexpected(address.error());
  const addrinfo hints{.ai_flags = 0,
                       .ai_family = AF_UNSPEC,
                       .ai_socktype = SOCK_STREAM,
                       .ai_protocol = 0,
                       .ai_addrlen = 0,
                       .ai_addr = nullptr,
                       .ai_canonname = nullptr,
                       .ai_next = nullptr};
  addrinfo* found = nullptr;
  const std::string port = fmt::to_string(address->port);
  const int failed = ::getaddrinfo(address->host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) return Fail(ErrorKind::kIo, text, ::gai_strerror(failed));
  return Addresses(found);
}

// Why nobody can listen at the address; empty if this process just could, or it is no address.
std::string WhyNoSocket(const std::string& text) {
  const auto address = ParseAddress("", text);
  if (!address) return "";
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string port = fmt::to_string(address->port);
  const int failed = ::getaddrinfo(address->host.c_str(), port.c_str(), &hints, &found);
  if (failed != 0) return ::gai_strerror(failed);
  const Addresses results(found);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const Socket socket(::socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int reuse = 1;  // As gRPC does: what a process before this one has left is no matter.
    ::setsockopt(socket.file(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    if (::bind(socket.file(), at->ai_addr, at->ai_addrlen) != 0 ||
        ::listen(socket.file(), 1) != 0) {
      return std::strerror(errno);
    }
  }
  return "";
}

bool Use(SSL_CTX* context, const Credentials& credentials) {
  const auto authorities = x509::ParseCertificates("", credentials.ca_pem);
  const auto chain = x509::ParseCertificates("", credentials.certificate_pem);
  const auto key = x509::ParseKey("", credentials.key_pem);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  static constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  bool used = authorities && chain && key &&
              SSL_CTX_use_certificate(context, chain->front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, key->get()) == 1 &&
              SSL_CTX_set_alpn_protos(context, kHttp2.data(), kHttp2.size()) == 0;
  if (!used) return false;
  for (const openssl::Certificate& authority : *authorities) {
    used = used && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) == 1;
  }
  for (std::size_t i = 1; i < chain->size(); ++i) {
    used = used && SSL_CTX_add1_chain_cert(context, (*chain)[i].get()) == 1;
  }
  return used;
}

constexpr char kNoReason[] = "no reason given";

// Keeps whose certificate was refused, for OpenSSL forgets it. As SSL_verify_cb wants it.
int NoteRefused(int accepted, X509_STORE_CTX* context) {
  if (accepted == 1) return 1;
  const auto* connection = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* name = static_cast<std::string*>(SSL_get_app_data(connection));
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (name != nullptr && leaf != nullptr) *name = x509::CommonName(leaf);
  return 0;
}

// Of a peer's certificate that is not taken; `name` is what it says of itself.
Error CertificateRefused(const NodeId& peer,
                         const std::string& where,
                         const std::string& name,
                         long reason) {
  if (reason == X509_V_ERR_HOSTNAME_MISMATCH) {
    return {ErrorKind::kIdentity,
            where,
            fmt::format("expected {}, but the certificate of '{}' answered there",
                        Name(peer),
                        Printable(Clipped(name, 64)))};
  }
  return {ErrorKind::kIdentity,
          where,
          fmt::format("its certificate is refused: {}", X509_verify_cert_error_string(reason))};
}

// Whether the peer's silence has ended what OpenSSL waited for, after an outcome that was not 1.
bool WasSilent(const SSL* connection, int outcome) {
  const int what = SSL_get_error(connection, outcome);
  return what == SSL_ERROR_WANT_READ || what == SSL_ERROR_WANT_WRITE;
}

Error Silent(const std::string& where, int timeout_s) {
  return {ErrorKind::kIo,
          where,
          fmt::format("takes the connection, but says nothing within {} s", timeout_s)};
}

// Whether the peer hung up instead of answering: it is gone, or never was a peer of ours.
bool HungUp() {
  const unsigned long code = ERR_peek_last_error();
  return code == 0 || (ERR_GET_LIB(code) == ERR_LIB_SSL &&
                       ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

// Debian builds Abseil with its search for deadlocks, which takes as long as a coordinator's own
// work does.
void LeaveOutDeadlockSearch() {
  static const bool done = [] {
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    return true;
  }();
  static_cast<void>(done);
}

void SetLimits(grpc::ChannelArguments& arguments) {
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

// Over a connection that stands.
Expected<void> Shake(const NodeId& peer,
                     const std::string& where,
                     const LiveCredentials& credentials,
                     const Socket& socket,
                     int timeout_s) {
  ERR_clear_error();
  const Context context(SSL_CTX_new(TLS_client_method()));
  if (!context || !Use(context.get(), credentials.Current())) {
    return Fail(ErrorKind::kIdentity, where, "own credentials are unusable: " + Reason(kNoReason));
  }
  const Connection connection(SSL_new(context.get()));
  std::string host = HostName(peer), refused;
  if (!connection || SSL_set_fd(connection.get(), socket.file()) != 1 ||
      SSL_set1_host(connection.get(), host.c_str()) != 1 ||
      SSL_ctrl(
          connection.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) !=
          1) {
    return Fail(ErrorKind::kIdentity, where, Reason(kNoReason));
  }
  SSL_set_app_data(connection.get(), &refused);
  SSL_set_verify(connection.get(), SSL_VERIFY_PEER, NoteRefused);
  if (const int outcome = SSL_connect(connection.get()); outcome != 1) {
    const long verified = SSL_get_verify_result(connection.get());
    if (verified != X509_V_OK) {
      return tl::unexpected(CertificateRefused(peer, where, refused, verified));
    }
    if (WasSilent(connection.get(), outcome)) return tl::unexpected(Silent(where, timeout_s));
    if (HungUp()) return Fail(ErrorKind::kIo, where, "hung up in the TLS handshake");
    return Fail(ErrorKind::kIdentity,
                where,
                fmt::format("the TLS handshake failed: {}", Reason(kNoReason)));
  }
  // In TLS 1.3 the server judges our certificate after our side of the handshake is over: only its
  // first bytes (HTTP/2 SETTINGS) show that it has accepted it.
  char byte = 0;
  const int outcome = SSL_read(connection.get(), &byte, 1);
  if (outcome == 1) return {};
  if (WasSilent(connection.get(), outcome)) return tl::unexpected(Silent(where, timeout_s));
  // gRPC refuses by hanging up, without an alert: a peer that died just now looks the same.
  return Fail(ErrorKind::kIdentity,
              where,
              HungUp() ? "this node's certificate was refused, or the peer died: it hung up"
                       : fmt::format("this node's certificate was refused: {}", Reason(kNoReason)));
}

}  // namespace

std::shared_ptr<grpc::Channel> ConnectTo(const NodeId& peer,
                                         const std::string& address,
                                         const LiveCredentials& credentials) {
  LeaveOutDeadlockSearch();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(credentials.provider());
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  grpc::ChannelArguments arguments;
  SetLimits(arguments);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kReconnectMaxMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kConnectTimeoutMs);
  arguments.SetSslTargetNameOverride(HostName(peer));
  // No environment's HTTP proxy between nodes.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::experimental::TlsCredentials(options), arguments);
}

void ListenOn(grpc::ServerBuilder& builder,
              const std::string& address,
              const LiveCredentials& credentials,
              int* port) {
  LeaveOutDeadlockSearch();
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kKeepaliveMs / 2);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 16);  // Per connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::experimental::TlsServerCredentialsOptions options(credentials.provider());
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  builder.AddListeningPort(address, grpc::experimental::TlsServerCredentials(options), port);
}

// gRPC says no more than that it cannot.
Error CannotListen(const std::string& address) {
  const std::string reason = WhyNoSocket(address);
  return {ErrorKind::kIo, address, "cannot listen there" + (reason.empty() ? "" : ": " + reason)};
}

std::optional<NodeId> PeerOf(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return std::nullopt;
  const auto names = auth->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.size() != 1) return std::nullopt;
  return ParseName({names.front().data(), names.front().size()});
}

bool Revoked(const grpc::ServerContextBase& context, RevokedCertificates* revoked) {
  const auto auth = context.auth_context();
  const auto pem = auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  return pem.size() == 1 && revoked->Revoked({pem.front().data(), pem.front().size()});
}

Expected<void> TryHandshake(const NodeId& peer,
                            const std::string& address,
                            const LiveCredentials& credentials,
                            int timeout_s) {
  const NoBrokenPipe whatever_the_peer_does;
  const auto found = Resolve(address);
  if (!found) return tl::unexpected(found.error());
  const std::string where = fmt::format("{} at {}", Name(peer), address);
  std::optional<Error> failure;
  for (const addrinfo* at = found->get(); at != nullptr; at = at->ai_next) {
    auto socket = ConnectOne(*at, timeout_s);
    auto met = socket ? Shake(peer, where, credentials, *socket, timeout_s)
                      : Fail(ErrorKind::kIo, address, socket.error().message);
    if (met) return {};
    // Where one is not there, that may be the peer's.
    if (!failure || failure->kind == ErrorKind::kIdentity) failure = met.error();
  }
  return tl::unexpected(*failure);
}

Expected<std::string> FirstThatAnswers(const NodeId& peer,
                                       const std::vector<std::string>& addresses,
                                       const LiveCredentials& credentials,
                                       int timeout_s) {
  std::vector<Error> failures;
  for (const std::string& address : addresses) {
    const auto met = TryHandshake(peer, address, credentials, timeout_s);
    if (met) return address;
    failures.push_back(met.error());
  }
  if (failures.empty()) return Fail(ErrorKind::kIo, Name(peer), "has no address");
  if (failures.size() == 1) return tl::unexpected(failures.front());
  Error all{ErrorKind::kIo, Name(peer), "answers at none of its addresses"};
  for (const Error& failure : failures) {
    if (failure.kind == ErrorKind::kIdentity) all.kind = failure.kind;
    all.message += (&failure == &failures.front() ? ": " : "; ") + failure.Text();
  }
  return tl::unexpected(all);
}

}  // namespace dashf::runtime
