// For tests: credentials of every kind, made on the spot in a directory of their own.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "client/protocol/credentials.h"

namespace active_master::protocol {

class TestDirectory {
 public:
  TestDirectory() {
    std::string path = std::filesystem::temp_directory_path() / "credentials.XXXXXX";
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("no temporary directory");
    path_ = path;
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  [[nodiscard]] std::string path(const std::string& name) const { return path_ / name; }

  // Its path; readable by its owner only.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name)) << text;
    std::filesystem::permissions(
        path(name), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    return path(name);
  }

 private:
  std::filesystem::path path_;
};

// A certificate authority that issues whatever a test asks for.
class TestCa {
 public:
  explicit TestCa(const TestDirectory& directory, std::string name = "ca")
      : directory_(directory), name_(std::move(name)), key_(make_key()) {
    certificate_ = make(name_, {}, key_.get(), 3600, true);
    save(name_ + ".pem", certificate_.get());
  }

  struct Issued {
    std::string cert;
    std::string key;
    long serial;
  };

  // `names` as in an extension, such as "DNS:node1" or "IP:127.0.0.1"; without any, the common name
  // counts.
  Issued issue(const std::string& common_name, const std::string& names = "",
               long seconds_valid = 3600) {
    const auto key = make_key();
    const auto certificate = make(common_name, names, key.get(), seconds_valid, false);
    save(common_name + ".pem", certificate.get());
    const auto key_path = directory_.write(common_name + ".key", "");
    const auto out = open(key_path);
    PEM_write_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {directory_.path(common_name + ".pem"), key_path, last_serial_};
  }

  // A list with these serial numbers on it; its path.
  std::string revoke(const std::vector<long>& serials) {
    const std::unique_ptr<X509_CRL, decltype(&X509_CRL_free)> list(X509_CRL_new(), X509_CRL_free);
    X509_CRL_set_version(list.get(), 1);
    X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(certificate_.get()));
    const std::unique_ptr<ASN1_TIME, decltype(&ASN1_TIME_free)> time(ASN1_TIME_new(),
                                                                     ASN1_TIME_free);
    X509_CRL_set1_lastUpdate(list.get(), X509_gmtime_adj(time.get(), -60));
    X509_CRL_set1_nextUpdate(list.get(), X509_gmtime_adj(time.get(), 3600));
    for (const long serial : serials) {
      X509_REVOKED* entry = X509_REVOKED_new();
      const std::unique_ptr<ASN1_INTEGER, decltype(&ASN1_INTEGER_free)> number(ASN1_INTEGER_new(),
                                                                               ASN1_INTEGER_free);
      ASN1_INTEGER_set(number.get(), serial);
      X509_REVOKED_set_serialNumber(entry, number.get());
      X509_REVOKED_set_revocationDate(entry, X509_gmtime_adj(time.get(), -60));
      X509_CRL_add0_revoked(list.get(), entry);
    }
    X509_CRL_sort(list.get());
    X509_CRL_sign(list.get(), key_.get(), EVP_sha256());
    const auto out = open(directory_.path(name_ + ".crl"));
    PEM_write_X509_CRL(out.get(), list.get());
    return directory_.path(name_ + ".crl");
  }

  // All that somebody of this name needs.
  CredentialFiles files(const std::string& common_name, const std::string& names = "") {
    const auto issued = issue(common_name, names);
    return {"", path(), issued.cert, issued.key, ""};
  }

  [[nodiscard]] std::string path() const { return directory_.path(name_ + ".pem"); }

 private:
  using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  static Pkey make_key() { return {EVP_EC_gen("P-256"), EVP_PKEY_free}; }

  static std::unique_ptr<FILE, int (*)(FILE*)> open(const std::string& path) {
    std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "w"), std::fclose);
    if (!file) throw std::runtime_error("can't write " + path);
    return file;
  }

  void save(const std::string& name, X509* certificate) const {
    const auto out = open(directory_.path(name));
    PEM_write_X509(out.get(), certificate);
  }

  static void extend(X509* certificate, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    if (extension == nullptr) throw std::runtime_error("no extension " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  Certificate make(const std::string& common_name, const std::string& names, EVP_PKEY* key,
                   long seconds_valid, bool is_ca) {
    Certificate made(X509_new(), X509_free);
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++last_serial_);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -7200);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), seconds_valid);
    X509_set_pubkey(made.get(), key);
    X509_NAME* subject = X509_get_subject_name(made.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                               0);
    X509* issuer = is_ca ? made.get() : certificate_.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
    extend(made.get(), issuer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (!names.empty()) extend(made.get(), issuer, NID_subject_alt_name, names);
    X509_sign(made.get(), key_.get(), EVP_sha256());
    return made;
  }

  const TestDirectory& directory_;
  const std::string name_;
  const Pkey key_;
  Certificate certificate_{nullptr, X509_free};
  long last_serial_ = 0;
};

inline CredentialsPtr must_load(const CredentialFiles& files) {
  std::string error;
  auto loaded = Credentials::load(files, error);
  if (!loaded) throw std::runtime_error(error);
  return loaded;
}

}  // namespace active_master::protocol
