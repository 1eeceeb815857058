#include "runtime/tls.h"

#include <fmt/format.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/openssl.h"
#include "runtime/transfer.h"

namespace dashf::runtime {
namespace {

constexpr int kMessageBytesMax = static_cast<int>(kChunkBytesMax) + (64 << 10);
constexpr int kKeepaliveMs = 15'000;         // Together: a silent peer is given up
constexpr int kKeepaliveTimeoutMs = 10'000;  // within 25 s.

using openssl::Bio;
using openssl::Certificate;
using openssl::Connection;
using openssl::Context;
using openssl::Key;
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

Expected<Socket> Connect(const std::string& address, int timeout_s) {
  const auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    return Fail(ErrorKind::kBadInput, address, "must be HOST:PORT");
  }
  const addrinfo hints{.ai_flags = 0,
                       .ai_family = AF_UNSPEC,
                       .ai_socktype = SOCK_STREAM,
                       .ai_protocol = 0,
                       .ai_addrlen = 0,
                       .ai_addr = nullptr,
                       .ai_canonname = nullptr,
                       .ai_next = nullptr};
  addrinfo* found = nullptr;
  const int failed = ::getaddrinfo(
      address.substr(0, colon).c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (failed != 0) return Fail(ErrorKind::kIo, address, ::gai_strerror(failed));
  const std::unique_ptr<addrinfo, openssl::Deleter<::freeaddrinfo>> results(found);
  Socket socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval timeout{.tv_sec = timeout_s, .tv_usec = 0};
  ::setsockopt(socket.file(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(socket.file(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (::connect(socket.file(), found->ai_addr, found->ai_addrlen) == 0) return socket;
  return Fail(ErrorKind::kIo, address, fmt::format("cannot connect: {}", std::strerror(errno)));
}

Bio Memory(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

bool Use(SSL_CTX* context, const Credentials& credentials) {
  const Certificate authority(
      PEM_read_bio_X509(Memory(credentials.ca_pem).get(), nullptr, nullptr, nullptr));
  const Certificate own(
      PEM_read_bio_X509(Memory(credentials.certificate_pem).get(), nullptr, nullptr, nullptr));
  const Key key(
      PEM_read_bio_PrivateKey(Memory(credentials.key_pem).get(), nullptr, nullptr, nullptr));
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  static constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  return authority && own && key &&
         X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) == 1 &&
         SSL_CTX_use_certificate(context, own.get()) == 1 &&
         SSL_CTX_use_PrivateKey(context, key.get()) == 1 &&
         SSL_CTX_set_alpn_protos(context, kHttp2.data(), kHttp2.size()) == 0;
}

constexpr char kNoReason[] = "no reason given";

// Whether the peer hung up instead of answering: it is gone, or never was a peer of ours.
bool HungUp() {
  const unsigned long code = ERR_peek_last_error();
  return code == 0 || (ERR_GET_LIB(code) == ERR_LIB_SSL &&
                       ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING);
}

void SetLimits(grpc::ChannelArguments& arguments) {
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> ServerCredentialsOf(const Credentials& credentials) {
  grpc::SslServerCredentialsOptions options(
      GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  options.pem_root_certs = credentials.ca_pem;
  options.pem_key_cert_pairs.push_back({credentials.key_pem, credentials.certificate_pem});
  return grpc::SslServerCredentials(options);
}

std::shared_ptr<grpc::Channel> ConnectTo(const NodeId& peer,
                                         const std::string& address,
                                         const Credentials& credentials) {
  const grpc::SslCredentialsOptions options{
      credentials.ca_pem, credentials.key_pem, credentials.certificate_pem};
  grpc::ChannelArguments arguments;
  SetLimits(arguments);
  arguments.SetSslTargetNameOverride(HostName(peer));
  // No environment's HTTP proxy between nodes.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(address, grpc::SslCredentials(options), arguments);
}

void ListenOn(grpc::ServerBuilder& builder,
              const std::string& address,
              const Credentials& credentials,
              int* port) {
  builder.SetMaxReceiveMessageSize(kMessageBytesMax);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kKeepaliveMs / 2);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, 16);  // Per connection.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddListeningPort(address, ServerCredentialsOf(credentials), port);
}

std::optional<NodeId> PeerOf(const grpc::ServerContextBase& context) {
  const auto auth = context.auth_context();
  if (auth == nullptr || !auth->IsPeerAuthenticated()) return std::nullopt;
  const auto names = auth->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
  if (names.size() != 1) return std::nullopt;
  return ParseName({names.front().data(), names.front().size()});
}

Expected<void> TryHandshake(const NodeId& peer,
                            const std::string& address,
                            const Credentials& credentials,
                            int timeout_s) {
  const auto socket = Connect(address, timeout_s);
  if (!socket) return tl::unexpected(socket.error());
  ERR_clear_error();
  const Context context(SSL_CTX_new(TLS_client_method()));
  const std::string where = fmt::format("{} at {}", Name(peer), address);
  if (!context || !Use(context.get(), credentials)) {
    return Fail(ErrorKind::kIdentity, where, "own credentials are unusable: " + Reason(kNoReason));
  }
  const Connection connection(SSL_new(context.get()));
  std::string host = HostName(peer);
  if (!connection || SSL_set_fd(connection.get(), socket->file()) != 1 ||
      SSL_set1_host(connection.get(), host.c_str()) != 1 ||
      SSL_ctrl(
          connection.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data()) !=
          1) {
    return Fail(ErrorKind::kIdentity, where, Reason(kNoReason));
  }
  if (SSL_connect(connection.get()) != 1) {
    const long verified = SSL_get_verify_result(connection.get());
    if (verified != X509_V_OK) {
      return Fail(
          ErrorKind::kIdentity,
          where,
          fmt::format("its certificate is refused: {}", X509_verify_cert_error_string(verified)));
    }
    if (HungUp()) return Fail(ErrorKind::kIo, where, "hung up in the TLS handshake");
    return Fail(ErrorKind::kIdentity,
                where,
                fmt::format("the TLS handshake failed: {}", Reason(kNoReason)));
  }
  // In TLS 1.3 the server judges our certificate after our side of the handshake is over: only its
  // first bytes (HTTP/2 SETTINGS) show that it has accepted it.
  char byte = 0;
  if (SSL_read(connection.get(), &byte, 1) == 1) return {};
  // gRPC refuses by hanging up, without an alert: a peer that died just now looks the same.
  return Fail(ErrorKind::kIdentity,
              where,
              HungUp() ? "this node's certificate was refused, or the peer died: it hung up"
                       : fmt::format("this node's certificate was refused: {}", Reason(kNoReason)));
}

}  // namespace dashf::runtime
