#include "client/protocol/credentials.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/protocol/test_credentials.h"

namespace active_master::protocol {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kSecret = "correct-horse-battery-staple";

class CredentialsTest : public testing::Test {
 protected:
  std::string error_of(const CredentialFiles& files) {
    std::string error;
    EXPECT_EQ(Credentials::load(files, error), nullptr);
    EXPECT_THAT(error, Not(HasSubstr("horse"))) << "no part of a secret in an error";
    return error;
  }
  std::string error_of_text(const std::string& text) {
    return error_of({.secret = directory.write("secret", text)});
  }

  TestDirectory directory;
};

TEST_F(CredentialsTest, NoFilesAreNoCredentials) {
  std::string error;
  const auto none = Credentials::load({}, error);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->any());
}

TEST_F(CredentialsTest, ReadsOneSecretOrTwo) {
  const auto one = must_load({.secret = directory.write("one", std::string(kSecret) + "\n")});
  EXPECT_EQ(one->secrets().size(), 1);
  EXPECT_TRUE(one->any());
  const auto two =
      must_load({.secret = directory.write("two", "# new\nanother-secret-of-16+\n\n# old\r\n" +
                                                      std::string(kSecret) + "\r\n")});
  ASSERT_EQ(two->secrets().size(), 2);
  EXPECT_EQ(two->secrets()[1].key, one->secrets()[0].key) << "however its line ends";
  EXPECT_TRUE(two->accepts(one->secrets()[0].key));
  EXPECT_FALSE(one->accepts(two->secrets()[0].key));
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithASecret) {
  EXPECT_THAT(error_of_text(""), HasSubstr("holds no secret; make one with"));
  EXPECT_THAT(error_of_text("# only a comment\n"), HasSubstr("holds no secret"));
  EXPECT_THAT(error_of_text("short-horse"), HasSubstr("wrong line 1: a secret of less than 16"));
  EXPECT_THAT(error_of_text("horse with some spaces"), HasSubstr("without spaces"));
  EXPECT_THAT(error_of_text(std::string("horse-of-many-bytes\0\xff", 21)),
              HasSubstr("visible ASCII"));
  EXPECT_THAT(error_of_text("horse-number-1-of-3\nhorse-number-2-of-3\nhorse-number-3-of-3\n"),
              HasSubstr("wrong line 3: more than 2"));
  EXPECT_THAT(error_of_text(std::string(5000, 'x')), HasSubstr("too long"));
  EXPECT_THAT(error_of_text("proxy-key:horse"), HasSubstr("not the key of a proxy"));
  EXPECT_THAT(error_of_text("proxy-key:abcd"), HasSubstr("not the key of a proxy"));
}

TEST_F(CredentialsTest, RefusesAFileThatOthersCanRead) {
  const auto path = directory.write("secret", kSecret);
  for (const mode_t mode : {0640, 0604, 0620, 0644, 0777}) {
    ASSERT_EQ(chmod(path.c_str(), mode), 0);
    EXPECT_THAT(error_of({.secret = path}), HasSubstr("chmod 600")) << std::oct << mode;
  }
  ASSERT_EQ(chmod(path.c_str(), 0400), 0);
  EXPECT_TRUE(must_load({.secret = path}));
}

TEST_F(CredentialsTest, RefusesAFileOfSomebodyElse) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give files away";
  const auto path = directory.write("secret", kSecret);
  ASSERT_EQ(chown(path.c_str(), 12345, 0), 0);
  EXPECT_THAT(error_of({.secret = path}), HasSubstr("belongs to another user"));
}

TEST_F(CredentialsTest, RefusesWhatIsNoFile) {
  EXPECT_THAT(error_of({.secret = directory.path("missing")}), HasSubstr("No such file"));
  EXPECT_THAT(error_of({.secret = directory.path("")}), HasSubstr("no regular file"));
  ASSERT_EQ(mkfifo(directory.path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of({.secret = directory.path("pipe")}), HasSubstr("no regular file"))
      << "and does not wait for somebody to write to it";
}

TEST_F(CredentialsTest, AProxysKeyIsOfItsNameAndCluster) {
  const auto secret = must_load({.secret = directory.write("secret", kSecret)})->secrets()[0].key;
  const auto key = proxy_key(secret, "shop", "proxy1");
  EXPECT_NE(key, secret);
  EXPECT_NE(key, proxy_key(secret, "shop", "proxy2"));
  EXPECT_NE(key, proxy_key(secret, "shop2", "proxy1"));
  const auto line = proxy_key_line(key);
  EXPECT_THAT(line, testing::StartsWith("proxy-key:"));
  const auto read = must_load({.secret = directory.write("key", line + "\n")});
  EXPECT_EQ(read->secrets()[0].key, key);
  EXPECT_TRUE(read->has_proxy_key());
}

TEST_F(CredentialsTest, ReadsTls) {
  TestCa ca(directory);
  auto files = ca.files("node1");
  EXPECT_TRUE(must_load(files)->has_tls());
  files.tls_crl = ca.revoke({1000});
  EXPECT_TRUE(must_load(files)->has_tls());
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithTls) {
  TestCa ca(directory);
  const auto good = ca.files("node1");
  auto files = good;
  files.tls_key.clear();
  EXPECT_THAT(error_of(files), HasSubstr("all three or none"));
  EXPECT_THAT(error_of({.tls_crl = "only this"}), HasSubstr("all three or none"));
  files = good;
  files.tls_ca = directory.path("missing");
  EXPECT_THAT(error_of(files), HasSubstr("the CA's certificate"));
  files = good;
  files.tls_cert = directory.write("garbage", "garbage");
  EXPECT_THAT(error_of(files), HasSubstr("the certificate"));
  files = good;
  files.tls_key = ca.files("node2").tls_key;
  EXPECT_THAT(error_of(files), HasSubstr("the key (of that certificate")) << "of another one";
  files = good;
  files.tls_crl = directory.write("garbage", "garbage");
  EXPECT_THAT(error_of(files), HasSubstr("revoked"));
  ASSERT_EQ(chmod(good.tls_key.c_str(), 0644), 0);
  EXPECT_THAT(error_of(good), HasSubstr("chmod 600"));
}

TEST_F(CredentialsTest, AKeyWithAPassphraseIsRefusedAndNobodyIsAsked) {
  TestCa ca(directory);
  auto files = ca.files("node1");
  EVP_PKEY* key = EVP_EC_gen("P-256");
  FILE* out = std::fopen(files.tls_key.c_str(), "w");
  unsigned char phrase[] = "horse";
  PEM_write_PrivateKey(out, key, EVP_aes_128_cbc(), phrase, 5, nullptr, nullptr);
  std::fclose(out);
  EVP_PKEY_free(key);
  EXPECT_THAT(error_of(files), HasSubstr("without a passphrase"));
}

}  // namespace
}  // namespace active_master::protocol
