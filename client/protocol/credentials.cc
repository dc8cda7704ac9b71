#include "client/protocol/credentials.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <boost/algorithm/hex.hpp>
#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string_view>

#include "client/protocol/private_file.h"

namespace active_master::protocol {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr std::string_view kProxyKeyPrefix = "proxy-key:";

std::string about(const char* what, const std::string& path, const std::string& problem) {
  return std::string("the ") + what + " '" + path + "' " + problem;
}

std::optional<Key> parse_proxy_key(std::string_view line) {
  Key key;
  try {
    boost::algorithm::unhex(line.begin(), line.end(), std::back_inserter(key));
  } catch (const std::exception&) {
    return std::nullopt;
  }
  if (key.size() != SHA256_DIGEST_LENGTH) return std::nullopt;
  return key;
}

Key hash(std::string_view text) {
  Key key(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(key.data()));
  return key;
}

// The secrets in the file's text; what is wrong is told by line, never by content.
std::string parse_secrets(std::string_view text, std::vector<Credentials::Secret>& secrets) {
  for (size_t number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.front() == '#') continue;
    const auto wrong = [number](const std::string& problem) {
      return "has a wrong line " + std::to_string(number) + ": " + problem;
    };
    if (secrets.size() == Credentials::kMaxSecrets) {
      return wrong("more than " + std::to_string(Credentials::kMaxSecrets) + " secrets");
    }
    if (!std::ranges::all_of(line, [](char c) { return c > ' ' && c <= '~'; })) {
      return wrong("a secret is of visible ASCII characters without spaces");
    }
    if (line.starts_with(kProxyKeyPrefix)) {
      const auto key = parse_proxy_key(line.substr(kProxyKeyPrefix.size()));
      if (!key) return wrong("not the key of a proxy, as active-master proxy-key makes it");
      secrets.push_back({*key, true});
    } else if (line.size() < Credentials::kMinSecretLength) {
      return wrong("a secret of less than " + std::to_string(Credentials::kMinSecretLength) +
                   " characters; make one with: openssl rand -hex 32");
    } else {
      secrets.push_back({hash(line), false});
    }
  }
  return secrets.empty() ? "holds no secret; make one with: openssl rand -hex 32" : "";
}

std::string read_secrets(const std::string& path, std::vector<Credentials::Secret>& secrets) {
  std::string error;
  std::string text = read_private_file(path, Credentials::kMaxFileSize + 1, error);
  if (error.empty()) {
    error = text.size() > Credentials::kMaxFileSize ? "is too long to be one"
                                                    : parse_secrets(text, secrets);
  }
  OPENSSL_cleanse(text.data(), text.size());
  return error.empty() ? "" : about("secret file", path, error);
}

std::string use_crl(ssl::context& context, const std::string& path) {
  X509_STORE* store = SSL_CTX_get_cert_store(context.native_handle());
  X509_LOOKUP* lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
  if (lookup == nullptr || X509_load_crl_file(lookup, path.c_str(), X509_FILETYPE_PEM) <= 0) {
    return about("list of revoked certificates", path, "can't be read as PEM");
  }
  X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
  return {};
}

std::shared_ptr<ssl::context> make_tls(const CredentialFiles& files, std::string& error) {
  if (files.tls_ca.empty() || files.tls_cert.empty() || files.tls_key.empty()) {
    error = "TLS needs a CA's certificate, an own certificate and its key: set all three or none";
    return nullptr;
  }
  error = check_private_file(files.tls_key, Privacy::kGroup);
  if (!error.empty()) {
    error = about("key", files.tls_key, error);
    return nullptr;
  }
  const auto context = std::make_shared<ssl::context>(ssl::context::tls);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  // No resumption: a certificate that was revoked since must be seen as what it is.
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(native, 0);
  context->set_options(ssl::context::no_compression | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  context->set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  error_code failure;
  // Without it OpenSSL would ask for a passphrase on the server's terminal, and wait.
  context->set_password_callback(
      [](size_t, ssl::context::password_purpose) { return std::string(); }, failure);
  const auto failed = [&](const char* what, const std::string& path) {
    error = about(what, path, "can't be used: " + failure.message());
    return nullptr;
  };
  if (context->load_verify_file(files.tls_ca, failure)) {
    return failed("CA's certificate", files.tls_ca);
  }
  if (context->use_certificate_chain_file(files.tls_cert, failure)) {
    return failed("certificate", files.tls_cert);
  }
  if (context->use_private_key_file(files.tls_key, ssl::context::pem, failure)) {
    return failed("key (of that certificate, without a passphrase)", files.tls_key);
  }
  if (!files.tls_crl.empty()) error = use_crl(*context, files.tls_crl);
  return error.empty() ? context : nullptr;
}

}  // namespace

Key proxy_key(const Key& secret, const std::string& cluster, const std::string& proxy) {
  // Names can't hold the separator.
  const std::string text = "active_master proxy key\n" + cluster + "\n" + proxy;
  Key key(SHA256_DIGEST_LENGTH, '\0');
  unsigned int size = SHA256_DIGEST_LENGTH;
  HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       reinterpret_cast<unsigned char*>(key.data()), &size);
  return key;
}

std::string proxy_key_line(const Key& key) {
  std::string line(kProxyKeyPrefix);
  boost::algorithm::hex_lower(key.begin(), key.end(), std::back_inserter(line));
  return line;
}

CredentialsPtr Credentials::load(const CredentialFiles& files, std::string& error) {
  error.clear();
  const auto made = std::make_shared<Credentials>();
  if (!files.secret.empty()) error = read_secrets(files.secret, made->secrets_);
  if (!error.empty()) return nullptr;
  const bool wants_tls = !files.tls_ca.empty() || !files.tls_cert.empty() ||
                         !files.tls_key.empty() || !files.tls_crl.empty();
  if (wants_tls) made->tls_ = make_tls(files, error);
  return error.empty() ? made : nullptr;
}

CredentialsPtr Credentials::load_to_listen(const CredentialFiles& files, std::string& error) {
  auto loaded = load(files, error);
  if (!loaded || !loaded->has_proxy_key()) return loaded;
  error = about("secret file", files.secret, "holds a proxy's key: a node needs the secret");
  return nullptr;
}

bool Credentials::may_listen_on(const std::string& address) const {
  error_code error;
  return any() || boost::asio::ip::make_address(address, error).is_loopback() || error;
}

bool Credentials::has_proxy_key() const {
  return std::ranges::any_of(secrets_, &Secret::is_proxy_key);
}

bool Credentials::accepts(const Key& secret) const {
  return std::ranges::any_of(secrets_, [&](const Secret& own) { return own.key == secret; });
}

CredentialsPtr no_credentials() {
  static const auto none = std::make_shared<const Credentials>();
  return none;
}

}  // namespace active_master::protocol
