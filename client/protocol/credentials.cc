#include "client/protocol/credentials.h"

#include <fcntl.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <openssl/x509_vfy.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/algorithm/hex.hpp>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

namespace active_master::protocol {
namespace {

namespace ssl = boost::asio::ssl;
using boost::system::error_code;

constexpr std::string_view kProxyKeyPrefix = "proxy-key:";

// A file descriptor that is closed whatever happens.
class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      // A named pipe must not make the server wait for a writer.
      : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  const int fd_;
};

std::string about(const char* what, const std::string& path, const std::string& problem) {
  return std::string("the ") + what + " '" + path + "' " + problem;
}

// What is wrong with a file that others must not be able to read. Looked at through the open file,
// so that it can't be exchanged in between.
std::string check_private(const char* what, const std::string& path, const OpenFile& file,
                          mode_t forbidden) {
  if (file.fd() < 0) {
    return about(what, path, std::string("can't be read: ") + std::strerror(errno));
  }
  struct stat info {};
  if (fstat(file.fd(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return about(what, path, "is no regular file");
  }
  if (info.st_uid != geteuid() && (info.st_uid != 0 || (forbidden & S_IRGRP) != 0)) {
    return about(what, path, "belongs to another user: chown it to the user of this program");
  }
  if ((info.st_mode & forbidden) != 0) {
    return about(what, path, "can be read or changed by other users: chmod 600 it");
  }
  return {};
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
  constexpr const char* kWhat = "secret file";
  const OpenFile file(path);
  if (auto error = check_private(kWhat, path, file, S_IRWXG | S_IRWXO); !error.empty()) {
    return error;
  }
  std::string text(Credentials::kMaxFileSize + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.fd(), text.data() + size, text.size() - size);
    if (got < 0) return about(kWhat, path, std::string("can't be read: ") + std::strerror(errno));
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size == text.size()) return about(kWhat, path, "is too long to be one");
  const auto error = parse_secrets(std::string_view(text).substr(0, size), secrets);
  OPENSSL_cleanse(text.data(), text.size());
  return error.empty() ? "" : about(kWhat, path, error);
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
  const OpenFile key(files.tls_key);
  error = check_private("key", files.tls_key, key, S_IWGRP | S_IRWXO);
  if (!error.empty()) return nullptr;
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
