// The files by which a member of the cluster proves itself. In a header of its own, as applications
// include it.
#pragma once

#include <string>

namespace active_master::protocol {

struct CredentialFiles {
  std::string secret = {};  // empty: no secret
  std::string tls_ca = {};  // these three all empty, or all there
  std::string tls_cert = {};
  std::string tls_key = {};
  std::string tls_crl = {};  // may be empty

  bool operator==(const CredentialFiles&) const = default;
};

}  // namespace active_master::protocol
