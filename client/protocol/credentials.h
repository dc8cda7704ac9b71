// What a party proves itself with and demands of others: a secret that the whole cluster shares,
// certificates, or both. What is configured is demanded; with neither, whoever can connect is
// believed, so a listener without credentials must be reachable from its own machine only.
//
// Credentials are read from files once and never change: a reload makes new ones.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <vector>

#include "client/protocol/credential_files.h"

namespace active_master::protocol {

// A secret as used: 32 bytes, whatever the file held.
using Key = std::string;

// The key with which one proxy proves itself. It can be given to that proxy in place of the secret:
// who steals it can be that proxy, but no node and no other proxy.
[[nodiscard]] Key proxy_key(const Key& secret, const std::string& cluster,
                            const std::string& proxy);

// A proxy's key as a line of a secret file.
[[nodiscard]] std::string proxy_key_line(const Key& key);

class Credentials {
 public:
  // A file holds one or two secrets, for the time of a rotation, one a line: the first one is used
  // to prove, all are accepted. Lines that begin with '#' are ignored.
  static constexpr size_t kMaxSecrets = 2;
  static constexpr size_t kMinSecretLength = 16;
  static constexpr size_t kMaxFileSize = 4096;

  struct Secret {
    Key key;
    bool is_proxy_key = false;  // for one proxy only, no node can use it
  };

  // On failure null, and in `error` the reason and the remedy; never anything of what a file holds.
  [[nodiscard]] static std::shared_ptr<const Credentials> load(const CredentialFiles& files,
                                                               std::string& error);

  // The same for a node or a witness, which a proxy's key is not enough for.
  [[nodiscard]] static std::shared_ptr<const Credentials> load_to_listen(
      const CredentialFiles& files, std::string& error);

  [[nodiscard]] const std::vector<Secret>& secrets() const { return secrets_; }
  [[nodiscard]] bool has_secret() const { return !secrets_.empty(); }
  // Is there a secret that only one proxy can use?
  [[nodiscard]] bool has_proxy_key() const;

  [[nodiscard]] bool has_tls() const { return tls_ != nullptr; }
  // Serves both sides of a connection. Both present a certificate and verify the other's.
  [[nodiscard]] boost::asio::ssl::context& tls() const { return *tls_; }

  [[nodiscard]] bool any() const { return has_secret() || has_tls(); }
  // Whoever can connect is believed when nobody has to prove anything: then it must be somebody on
  // this machine. Of an IP address; what is none nobody can listen on.
  [[nodiscard]] bool may_listen_on(const std::string& address) const;
  // Would what one accepts be accepted by the other without the same steps of a handshake?
  [[nodiscard]] bool demands_as(const Credentials& other) const {
    return has_secret() == other.has_secret() && has_tls() == other.has_tls();
  }
  [[nodiscard]] bool accepts(const Key& secret) const;

 private:
  std::vector<Secret> secrets_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
};

using CredentialsPtr = std::shared_ptr<const Credentials>;  // never null where it is used

[[nodiscard]] CredentialsPtr no_credentials();

}  // namespace active_master::protocol
