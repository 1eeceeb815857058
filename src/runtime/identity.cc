#include "runtime/identity.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "base/descriptor.h"
#include "base/file.h"
#include "runtime/x509.h"

namespace dashf::runtime {
namespace {

using openssl::Certificate;
using openssl::Key;
using openssl::Store;
using openssl::StoreContext;

constexpr std::uint64_t kPemBytesMax = 1 << 20;

using Chain = std::vector<Certificate>;

Expected<void> CheckDates(const std::string& where, const std::string& what, X509* certificate) {
  const ASN1_TIME* until = X509_get0_notAfter(certificate);
  const ASN1_TIME* from = X509_get0_notBefore(certificate);
  if (X509_cmp_current_time(until) < 0) {
    return Fail(
        ErrorKind::kIdentity, where, fmt::format("{} expired on {}", what, x509::DateOf(until)));
  }
  if (X509_cmp_current_time(from) > 0) {
    return Fail(ErrorKind::kIdentity,
                where,
                fmt::format("{} is not valid before {}", what, x509::DateOf(from)));
  }
  return {};
}

using Stack =
    std::unique_ptr<STACK_OF(X509),
                    openssl::Deleter<[](STACK_OF(X509) * stack) { sk_X509_free(stack); }>>;

// Up to one of the authorities, through the chain's others.
Expected<void> CheckSigned(const CredentialPaths& paths,
                           const Chain& chain,
                           const Chain& authorities) {
  const Store store(X509_STORE_new());
  const StoreContext context(X509_STORE_CTX_new());
  const Stack between(sk_X509_new_null());
  bool ready = store && context && between;
  for (const Certificate& authority : authorities) {
    ready = ready && X509_STORE_add_cert(store.get(), authority.get()) == 1;
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    ready = ready && sk_X509_push(between.get(), chain[i].get()) > 0;
  }
  if (!ready ||
      X509_STORE_CTX_init(context.get(), store.get(), chain.front().get(), between.get()) != 1) {
    return x509::OpenSslFailed(paths.certificate);
  }
  if (X509_verify_cert(context.get()) == 1) return {};
  const int failure = X509_STORE_CTX_get_error(context.get());
  X509* at = X509_STORE_CTX_get_current_cert(context.get());
  if (at != nullptr &&
      (failure == X509_V_ERR_CERT_HAS_EXPIRED || failure == X509_V_ERR_CERT_NOT_YET_VALID)) {
    const auto is_at = [at](const Certificate& one) { return X509_cmp(one.get(), at) == 0; };
    const bool in_chain = std::any_of(chain.begin(), chain.end(), is_at);
    return CheckDates(in_chain ? paths.certificate : paths.ca,
                      fmt::format("the certificate of '{}'", x509::CommonName(at)),
                      at);
  }
  return Fail(
      ErrorKind::kIdentity,
      paths.certificate,
      fmt::format("was not issued by {}: {}", paths.ca, X509_verify_cert_error_string(failure)));
}

// The names that peers look at, and that it may stand at both ends of a connection.
Expected<void> CheckNames(const std::string& path, X509* certificate, const NodeId& node) {
  const std::string name = x509::CommonName(certificate), host = HostName(node);
  if (name != Name(node)) {
    return Fail(ErrorKind::kIdentity,
                path,
                fmt::format("names '{}', but this node is '{}'", name, Name(node)));
  }
  if (X509_check_host(certificate, host.data(), host.size(), 0, nullptr) != 1) {
    return Fail(ErrorKind::kIdentity,
                path,
                fmt::format("must have the subject alternative name DNS:{}", host));
  }
  for (const auto& [purpose, what] :
       {std::pair(X509_PURPOSE_SSL_CLIENT, "client"), {X509_PURPOSE_SSL_SERVER, "server"}}) {
    if (X509_check_purpose(certificate, purpose, 0) != 1) {
      return Fail(ErrorKind::kIdentity, path, fmt::format("does not allow to be a TLS {}", what));
    }
  }
  return {};
}

}  // namespace

CredentialPaths PathsIn(const std::filesystem::path& folder, const NodeId& node) {
  const std::string stem = FileStem(node);
  return {folder / "ca.pem", folder / (stem + ".pem"), folder / (stem + ".key"), ""};
}

Expected<void> WriteSecret(const std::filesystem::path& path, const std::string& text) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  const bool opened = file.get() >= 0;
  const bool written = opened && WriteAll(file.get(), text) && ::fsync(file.get()) == 0;
  const int reason = errno;
  if (written && file.Close() == 0) return {};
  if (opened) ::unlink(path.c_str());
  return Fail(ErrorKind::kIo, path.string(), fmt::format("not written: {}", std::strerror(reason)));
}

Expected<void> WriteCredentials(const std::filesystem::path& folder,
                                const NodeId& node,
                                const Credentials& credentials) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (!failed) {
    std::filesystem::permissions(folder, std::filesystem::perms::owner_all, failed);
  }
  const CredentialPaths paths = PathsIn(folder, node);
  if (!failed) std::filesystem::remove(paths.key, failed);
  if (failed) return Fail(ErrorKind::kIo, folder.string(), failed.message());
  if (auto done = WriteFileAtomically(paths.ca, credentials.ca_pem); !done) return done;
  if (auto done = WriteFileAtomically(paths.certificate, credentials.certificate_pem); !done) {
    return done;
  }
  return WriteSecret(paths.key, credentials.key_pem);
}

Expected<Credentials> LoadCredentials(const CredentialPaths& paths, const NodeId& node) {
  Credentials credentials;
  const std::pair<const std::string*, std::string*> files[] = {
      {&paths.ca, &credentials.ca_pem},
      {&paths.certificate, &credentials.certificate_pem},
      {&paths.key, &credentials.key_pem}};
  for (const auto& [path, text] : files) {
    auto bytes = ReadFile(*path, kPemBytesMax);
    if (!bytes) return Fail(ErrorKind::kIdentity, bytes.error().where, bytes.error().message);
    *text = std::move(*bytes);
  }
  const auto authorities = x509::ParseCertificates(paths.ca, credentials.ca_pem);
  if (!authorities) return tl::unexpected(authorities.error());
  const auto chain = x509::ParseCertificates(paths.certificate, credentials.certificate_pem);
  if (!chain) return tl::unexpected(chain.error());
  X509* own = chain->front().get();
  auto sound = CheckDates(paths.certificate, "the certificate", own);
  if (sound) sound = CheckSigned(paths, *chain, *authorities);
  if (sound) sound = CheckNames(paths.certificate, own, node);
  if (!sound) return tl::unexpected(sound.error());
  const auto key = x509::ParseKey(paths.key, credentials.key_pem);
  if (!key) return tl::unexpected(key.error());
  if (X509_check_private_key(own, key->get()) != 1) {
    ERR_clear_error();
    return Fail(ErrorKind::kIdentity, paths.key, "is not the key of " + paths.certificate);
  }
  return credentials;
}

std::chrono::system_clock::time_point EndOf(const std::string& certificate_pem) {
  auto end = std::chrono::system_clock::time_point::max();
  const auto chain = x509::ParseCertificates("", certificate_pem);
  if (!chain) return {};
  for (const Certificate& one : *chain) {
    end = std::min(end, x509::TimeOf(X509_get0_notAfter(one.get())));
  }
  return end;
}

std::optional<std::string> ExposedKey(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || (status.st_mode & 077) == 0) return std::nullopt;
  return fmt::format("{}: others may open this private key (mode {:03o}): chmod 600 {}",
                     path,
                     status.st_mode & 0777,
                     path);
}

}  // namespace dashf::runtime
