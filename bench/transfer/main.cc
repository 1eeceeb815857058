// How fast one large artefact goes from a user to its server and back over the loopback device,
// beside the same bytes over bare TLS: same certificates, same cipher, 16 KiB to a write, nothing
// checked, nothing kept. Both sides in this process. docs/protocol.md says what came of it.
//
//   dashf_bench_transfer [MEGABYTES [FOLDER]]
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/descriptor.h"
#include "base/digest.h"
#include "base/rng.h"
#include "base/termination.h"
#include "runtime/authority.h"
#include "runtime/edge_link.h"
#include "runtime/edge_service.h"
#include "runtime/openssl.h"
#include "runtime/tls.h"

namespace dashf::runtime {
namespace {

namespace fs = std::filesystem;

constexpr int kRepetitions = 5;

double CpuS() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

std::string RandomBytes(std::size_t size) {
  Rng rng(1);
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = rng.Next();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.data() + i);
  }
  return bytes;
}

struct Spent {
  std::vector<double> elapsed_s;  // Of each repetition.
  double cpu_s = 0.0;             // Of all.

  void Add(const std::function<double()>& transfer) {
    const double begun_s = CpuS();
    elapsed_s.push_back(transfer());
    cpu_s += CpuS() - begun_s;
  }
  double MedianS() {
    std::sort(elapsed_s.begin(), elapsed_s.end());
    return elapsed_s[elapsed_s.size() / 2];
  }
};

class EdgePort {
 public:
  EdgePort(const Credentials& credentials, const fs::path& folder)
      : folder_(folder),
        store_(UserStore::Open(folder / "spool", std::uint64_t{1} << 40).value()),
        service_(ServerNode("s0"), store_.get()) {
    int port = 0;
    grpc::ServerBuilder builder;
    ListenOn(builder, "127.0.0.1:0", credentials, &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = fmt::format("127.0.0.1:{}", port);
  }
  ~EdgePort() {
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
  }
  EdgePort(const EdgePort&) = delete;
  EdgePort& operator=(const EdgePort&) = delete;

  // There, and back as what the server has made of it.
  void Carry(const Credentials& user,
             const std::string& data,
             std::uint32_t number,
             Spent* upload,
             Spent* download) {
    EdgeLink::Settings settings;
    settings.attempt.user = "u0";
    settings.attempt.number = number;
    settings.server = ServerNode("s0");
    settings.address = address_;
    settings.folder = folder_ / fmt::format("u0-{}", number);
    settings.wanted = [] { return true; };
    DASHF_CHECK(store_->Expect(settings.attempt, 0, 1).has_value());
    EdgeLink link(settings, user);
    upload->Add([&] {
      const auto sent = link.Upload(data, "");
      DASHF_CHECK(sent && sent->tries == 1);
      return sent->elapsed_s;
    });
    DASHF_CHECK(store_->NextJob(std::chrono::milliseconds(0))->data == data);
    DASHF_CHECK(store_->Finish(settings.attempt, data, 0.0, 0.0).has_value());
    std::string back;
    download->Add([&] {
      const auto received = link.Download(&back);
      DASHF_CHECK(received && received->tries == 1);
      return received->elapsed_s;
    });
    DASHF_CHECK(back == data);
    store_->Drop(settings.attempt);
    fs::remove_all(settings.folder);
  }

 private:
  const fs::path folder_;
  std::unique_ptr<UserStore> store_;
  EdgeService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

SSL_CTX* ContextOf(const SSL_METHOD* method, const Credentials& credentials, const fs::path& file) {
  SSL_CTX* context = SSL_CTX_new(method);
  DASHF_CHECK(WriteCredentials(file, ServerNode("s0"), credentials).has_value());
  const CredentialPaths paths = PathsIn(file, ServerNode("s0"));
  DASHF_CHECK(SSL_CTX_use_certificate_chain_file(context, paths.certificate.c_str()) == 1 &&
              SSL_CTX_use_PrivateKey_file(context, paths.key.c_str(), SSL_FILETYPE_PEM) == 1);
  return context;
}

void Receive(SSL_CTX* context, int listener, std::size_t bytes) {
  const Descriptor socket(::accept(listener, nullptr, nullptr));
  const openssl::Connection connection(SSL_new(context));
  DASHF_CHECK(SSL_set_fd(connection.get(), socket.get()) == 1);
  DASHF_CHECK(SSL_accept(connection.get()) == 1);
  std::vector<char> block(std::size_t{16} << 10);
  while (bytes > 0) {
    const int n = SSL_read(connection.get(), block.data(), static_cast<int>(block.size()));
    DASHF_CHECK(n > 0);
    bytes -= static_cast<std::size_t>(n);
  }
  DASHF_CHECK(SSL_write(connection.get(), "!", 1) == 1);
}

double BareTlsS(const Credentials& credentials, const std::string& data, const fs::path& folder) {
  const openssl::Context server(ContextOf(TLS_server_method(), credentials, folder));
  const openssl::Context client(SSL_CTX_new(TLS_client_method()));
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  DASHF_CHECK(::bind(listener.get(), any, size) == 0 && ::listen(listener.get(), 1) == 0 &&
              ::getsockname(listener.get(), any, &size) == 0);
  std::thread receiver([&] { Receive(server.get(), listener.get(), data.size()); });
  const Descriptor socket(::socket(AF_INET, SOCK_STREAM, 0));
  DASHF_CHECK(::connect(socket.get(), any, size) == 0);
  const openssl::Connection connection(SSL_new(client.get()));
  DASHF_CHECK(SSL_set_fd(connection.get(), socket.get()) == 1);
  DASHF_CHECK(SSL_connect(connection.get()) == 1);
  const Stopwatch watch;
  for (std::size_t at = 0; at < data.size();) {
    const std::size_t most = std::min(data.size() - at, std::size_t{16} << 10);
    const int n = SSL_write(connection.get(), data.data() + at, static_cast<int>(most));
    DASHF_CHECK(n > 0);
    at += static_cast<std::size_t>(n);
  }
  char answer = 0;
  DASHF_CHECK(SSL_read(connection.get(), &answer, 1) == 1);
  const double elapsed_s = watch.ElapsedS();
  receiver.join();
  return elapsed_s;
}

int Main(std::size_t megabytes, const fs::path& folder) {
  const std::string data = RandomBytes(megabytes * 1'000'000);
  const auto authority = CertificateAuthority::Create().value();
  const Credentials server = authority.Issue(ServerNode("s0")).value();
  const Credentials user = authority.Issue(UserNode("u0")).value();
  EdgePort port(server, folder);
  Spent upload, download, bare;
  for (std::uint32_t i = 1; i <= kRepetitions; ++i) {  // Taking turns: the machine is others' too.
    port.Carry(user, data, i, &upload, &download);
    bare.Add([&] { return BareTlsS(server, data, folder); });
  }
  fmt::print("{} MB, medians of {}\n", megabytes, kRepetitions);
  const auto mb = static_cast<double>(megabytes);
  const double bare_s = bare.MedianS();
  for (const auto& [name, spent] : {std::pair("upload", &upload),
                                    std::pair("download", &download),
                                    std::pair("bare TLS", &bare)}) {
    const double elapsed_s = spent->MedianS();
    fmt::print("{:8} {:4.0f} MB/s, {:3.0f} % of bare TLS, {:.2f} s of processor time per GB\n",
               name,
               mb / elapsed_s,
               100 * bare_s / elapsed_s,
               spent->cpu_s / (mb * kRepetitions / 1e3));
  }
  return 0;
}

}  // namespace
}  // namespace dashf::runtime

int main(int argc, char** argv) {
  const auto megabytes = static_cast<std::size_t>(argc > 1 ? std::atoi(argv[1]) : 200);
  const std::filesystem::path folder =
      argc > 2 ? argv[2] : std::filesystem::temp_directory_path() / "dashf-bench-transfer";
  const int code = dashf::runtime::Main(megabytes, folder);
  std::filesystem::remove_all(folder);
  return code;
}
