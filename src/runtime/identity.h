// Who a node is. Its certificate carries its name as common name and its host name as subject
// alternative name, and serves both ends of a connection. src/runtime/authority.h issues them.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/node.h"

namespace dashf::runtime {

// PEM texts, as TLS wants them.
struct Credentials {
  std::string ca_pem;           // One authority or several.
  std::string certificate_pem;  // The node's own first, then those between it and the authority.
  std::string key_pem;

  bool operator==(const Credentials&) const = default;
};

struct CredentialPaths {
  std::string ca, certificate, key;
  std::string revoked = {};  // The authority's revocation list; empty: there is none.
};

// Where WriteCredentials puts a node's three files: ca.pem, user-u3.pem, user-u3.key.
CredentialPaths PathsIn(const std::filesystem::path& folder, const NodeId& node);

// Writes them; the key's file and the folder are their owner's alone (0600, 0700).
Expected<void> WriteCredentials(const std::filesystem::path& folder,
                                const NodeId& node,
                                const Credentials& credentials);

// Created with mode 0600, whole or not at all; refuses to replace a file. kIo.
Expected<void> WriteSecret(const std::filesystem::path& path, const std::string& text);

// Reads and checks what a node is about to present: sound PEM, the key belongs to the certificate,
// one of the authorities signed it, directly or through the others in the file, all are valid now,
// and it names this node for both ends of a connection. kIdentity names the file and the reason,
// with the date where one is at fault.
Expected<Credentials> LoadCredentials(const CredentialPaths& paths, const NodeId& node);

// When the first of the certificates in this PEM text ends.
std::chrono::system_clock::time_point EndOf(const std::string& certificate_pem);

// Says that others may read the key's file, or write it; nothing if they cannot.
std::optional<std::string> ExposedKey(const std::string& path);

}  // namespace dashf::runtime
