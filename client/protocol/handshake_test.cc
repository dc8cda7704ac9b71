// The two sides of a handshake, against each other and against whoever would like to be one of
// them.
#include "client/protocol/handshake.h"

#include <gmock/gmock.h>

#include "client/protocol/test_credentials.h"

namespace active_master::protocol {
namespace {

using testing::HasSubstr;

constexpr const char* kOld = "the-old-secret-of-the-cluster";
constexpr const char* kNew = "the-new-secret-of-the-cluster";

class HandshakeTest : public testing::Test {
 protected:
  CredentialsPtr secret(const std::string& text) {
    return must_load({.secret = directory.write("secret", text)});
  }
  CredentialsPtr key_of(const std::string& proxy, const std::string& of) {
    return secret(proxy_key_line(proxy_key(secret(of)->secrets()[0].key, "shop", proxy)));
  }

  static Self node(const std::string& name) { return {"shop", name, PEER_KIND_NODE, "1"}; }
  static Self proxy(const std::string& name) { return {"shop", name, PEER_KIND_PROXY, "1"}; }

  // To the end, each frame through the wire's encoding.
  static void play(DiallerHandshake& dialler, ListenerHandshake& listener) {
    std::optional<Frame> to_listener = dialler.hello();
    while (to_listener) {
      auto answer = listener.take(*to_listener);
      if (listener.is_done()) answer = listener.welcome();
      if (!answer) return;
      to_listener = dialler.take(*answer);
    }
  }

  struct Verdict {
    bool ok;
    std::string dialler;
    std::string listener;
  };
  Verdict meet(const Self& self, const CredentialsPtr& own, const CredentialsPtr& theirs,
               const std::string& binding = "", const std::string& other_binding = "") {
    DiallerHandshake dialler(self, "node2", own, binding);
    ListenerHandshake listener(node("node2"), theirs, other_binding);
    play(dialler, listener);
    return {dialler.is_done() && listener.is_done(), dialler.error(), listener.error()};
  }

  TestDirectory directory;
};

TEST_F(HandshakeTest, WithoutSecretsNamesAreBelieved) {
  EXPECT_TRUE(meet(node("node1"), no_credentials(), no_credentials()).ok);
}

TEST_F(HandshakeTest, TheSameSecretOpens) {
  EXPECT_TRUE(meet(node("node1"), secret(kOld), secret(kOld)).ok);
  EXPECT_TRUE(meet(proxy("proxy1"), secret(kOld), secret(kOld)).ok);
}

TEST_F(HandshakeTest, AnotherSecretDoesNot) {
  const auto verdict = meet(node("node1"), secret(kOld), secret(kNew));
  EXPECT_FALSE(verdict.ok);
  EXPECT_THAT(verdict.listener, HasSubstr("the cluster's secret is not the one of node node2"));
}

TEST_F(HandshakeTest, WhoHasASecretTalksToNobodyWithout) {
  EXPECT_THAT(meet(node("node1"), secret(kOld), no_credentials()).dialler,
              HasSubstr("doesn't ask for the cluster's secret"));
  EXPECT_THAT(meet(node("node1"), no_credentials(), secret(kOld)).dialler,
              HasSubstr("there is none here: set the secret file"));
}

// Every step of a rotation, with each party at this step or the one before.
TEST_F(HandshakeTest, ARotationNeverShutsAnybodyOut) {
  const std::string old_text = std::string(kOld) + "\n";
  const std::string new_text = std::string(kNew) + "\n";
  const std::vector<std::string> steps = {old_text, old_text + new_text, new_text + old_text,
                                          new_text};
  for (size_t i = 0; i + 1 < steps.size(); ++i) {
    for (const auto& dialler : {steps[i], steps[i + 1]}) {
      for (const auto& listener : {steps[i], steps[i + 1]}) {
        EXPECT_TRUE(meet(node("node1"), secret(dialler), secret(listener)).ok)
            << "step " << i << ": " << dialler << " to " << listener;
        EXPECT_TRUE(meet(proxy("proxy1"), secret(dialler), secret(listener)).ok);
      }
    }
  }
  EXPECT_FALSE(meet(node("node1"), secret(old_text), secret(new_text)).ok) << "the end of it";
}

TEST_F(HandshakeTest, AProxysKeyOpensForThatProxyOnly) {
  EXPECT_TRUE(meet(proxy("proxy1"), key_of("proxy1", kOld), secret(kOld)).ok);
  EXPECT_FALSE(meet(proxy("proxy2"), key_of("proxy1", kOld), secret(kOld)).ok);
  EXPECT_FALSE(meet(node("node1"), key_of("proxy1", kOld), secret(kOld)).ok) << "never for a node";
  EXPECT_FALSE(meet(node("proxy1"), key_of("proxy1", kOld), secret(kOld)).ok);
  EXPECT_FALSE(meet(proxy("proxy1"), secret(kOld), key_of("proxy1", kOld)).ok)
      << "who has it is no node for others";
}

TEST_F(HandshakeTest, BothEndsMustBeOfTheSameTlsConnection) {
  EXPECT_TRUE(meet(node("node1"), secret(kOld), secret(kOld), "same", "same").ok);
  EXPECT_FALSE(meet(node("node1"), secret(kOld), secret(kOld), "one", "other").ok) << "relayed";
}

TEST_F(HandshakeTest, ACodeIsOfEverythingThatItIsMadeOf) {
  const Key key = secret(kOld)->secrets()[0].key;
  const Transcript good{"shop",          "node1",          PEER_KIND_NODE, "node2",
                        "dialler-nonce", "listener-nonce", "binding"};
  EXPECT_EQ(good.code(key, true), good.code(key, true));
  EXPECT_NE(good.code(key, true), good.code(key, false)) << "no reflection";
  const auto differs = [&](auto change) {
    Transcript other = good;
    change(other);
    return other.code(key, true) != good.code(key, true);
  };
  EXPECT_TRUE(differs([](auto& t) { t.cluster = "shop2"; }));
  EXPECT_TRUE(differs([](auto& t) { t.dialler = "node3"; }));
  EXPECT_TRUE(differs([](auto& t) { t.kind = PEER_KIND_PROXY; }));
  EXPECT_TRUE(differs([](auto& t) { t.listener = "node3"; }));
  EXPECT_TRUE(differs([](auto& t) { t.dialler_nonce = "x"; }));
  EXPECT_TRUE(differs([](auto& t) { t.listener_nonce = "x"; }));
  EXPECT_TRUE(differs([](auto& t) { t.channel_binding = "x"; }));
  EXPECT_TRUE(differs([](auto& t) {
    t.cluster = "shop5:node1";  // as if the field's length and the next one were part of it
    t.dialler = "";
  }));
}

TEST_F(HandshakeTest, AReplayedProofIsWorthNothing) {
  const auto credentials = secret(kOld);
  DiallerHandshake honest(node("node1"), "node2", credentials, "");
  ListenerHandshake first(node("node2"), credentials, "");
  const auto proof = honest.take(*first.take(honest.hello()));
  ASSERT_TRUE(proof);
  (void)first.take(*proof);
  EXPECT_TRUE(first.is_done());
  ListenerHandshake second(node("node2"), credentials, "");
  ASSERT_TRUE(second.take(honest.hello()));
  (void)second.take(*proof);
  EXPECT_FALSE(second.is_done());
  EXPECT_TRUE(second.failed_authentication());
}

// Somebody without the secret who sends back to each party what that party itself made.
TEST_F(HandshakeTest, AReflectedProofIsWorthNothing) {
  const auto credentials = secret(kOld);
  DiallerHandshake victim(node("node1"), "node2", credentials, "");
  Frame challenge;
  challenge.mutable_challenge()->set_protocol_version(kProtocolVersion);
  challenge.mutable_challenge()->set_node("node2");
  challenge.mutable_challenge()->set_nonce(victim.hello().hello().nonce());
  const auto proof = victim.take(challenge);
  ASSERT_TRUE(proof);
  Frame welcome;
  welcome.mutable_welcome()->set_protocol_version(kProtocolVersion);
  welcome.mutable_welcome()->set_node("node2");
  welcome.mutable_welcome()->set_code(proof->proof().code());
  (void)victim.take(welcome);
  EXPECT_FALSE(victim.is_done());
  EXPECT_THAT(victim.error(), HasSubstr("does not know the cluster's secret"));
}

TEST_F(HandshakeTest, NobodyProvesAnythingBeforeItHasTheOthersNonce) {
  const auto credentials = secret(kOld);
  DiallerHandshake dialler(node("node1"), "node2", credentials, "");
  Frame challenge;
  challenge.mutable_challenge()->set_protocol_version(kProtocolVersion);
  challenge.mutable_challenge()->set_node("node2");
  challenge.mutable_challenge()->set_nonce("short");
  EXPECT_FALSE(dialler.take(challenge));
  EXPECT_NE(dialler.error(), "");

  ListenerHandshake listener(node("node2"), credentials, "");
  Frame hello = DiallerHandshake(node("node1"), "node2", credentials, "").hello();
  hello.mutable_hello()->clear_nonce();
  EXPECT_FALSE(listener.take(hello));
  EXPECT_NE(listener.error(), "");
}

TEST_F(HandshakeTest, ASecondChallengeIsNotAnswered) {
  DiallerHandshake dialler(node("node1"), "node2", secret(kOld), "");
  ListenerHandshake listener(node("node2"), secret(kOld), "");
  const auto challenge = listener.take(dialler.hello());
  ASSERT_TRUE(dialler.take(*challenge));
  EXPECT_FALSE(dialler.take(*challenge)) << "or it would serve somebody who relays";
  EXPECT_NE(dialler.error(), "");
}

TEST_F(HandshakeTest, FramesInTheWrongOrderEndIt) {
  const auto credentials = secret(kOld);
  Frame state;
  state.mutable_node_state()->set_node("node1");
  Frame proof;
  proof.mutable_proof()->set_code(std::string(32, 'x'));
  for (const auto& frame : {state, proof, Frame{}}) {
    ListenerHandshake listener(node("node2"), credentials, "");
    EXPECT_FALSE(listener.take(frame));
    EXPECT_THAT(listener.error(), HasSubstr("must be a Hello"));
    EXPECT_FALSE(listener.take(DiallerHandshake(node("a"), "node2", credentials, "").hello()));
    EXPECT_FALSE(listener.is_done()) << "nothing mends it";
  }
  ListenerHandshake listener(node("node2"), credentials, "");
  const auto hello = DiallerHandshake(node("node1"), "node2", credentials, "").hello();
  ASSERT_TRUE(listener.take(hello));
  EXPECT_FALSE(listener.take(hello)) << "a second Hello could choose another name";
  EXPECT_THAT(listener.error(), HasSubstr("must be a Proof"));
}

TEST_F(HandshakeTest, NamesAndVersionsAreChecked) {
  const auto refused = [&](auto change) {
    Frame hello = DiallerHandshake(node("node1"), "node2", no_credentials(), "").hello();
    change(*hello.mutable_hello());
    ListenerHandshake listener(node("node2"), no_credentials(), "");
    (void)listener.take(hello);
    EXPECT_EQ(listener.is_done(), listener.error().empty());
    return !listener.is_done();
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& h) { h.set_name(""); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_name("a'b"); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_name("a\nb"); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_name(std::string(65, 'a')); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_cluster("other"); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_protocol_version(2); }));
  EXPECT_TRUE(refused([](auto& h) { h.set_kind(PEER_KIND_UNKNOWN); }));
}

TEST_F(HandshakeTest, WhatARefusalSaysCannotForgeALogLine) {
  DiallerHandshake dialler(node("node1"), "node2", no_credentials(), "");
  Frame refused;
  refused.mutable_refused()->set_reason("no\n2026-01-01 [ERROR] all is lost" +
                                        std::string(5000, 'x'));
  (void)dialler.take(refused);
  EXPECT_THAT(dialler.error(), HasSubstr("refused: no?2026"));
  EXPECT_LT(dialler.error().size(), 300);
}

TEST_F(HandshakeTest, TheNodeThatAnswersMustBeTheOneThatWasDialled) {
  DiallerHandshake dialler(node("node1"), "node3", secret(kOld), "");
  ListenerHandshake listener(node("node2"), secret(kOld), "");
  play(dialler, listener);
  EXPECT_FALSE(dialler.is_done());
  EXPECT_THAT(dialler.error(), HasSubstr("is called 'node2', not 'node3'"));
}

}  // namespace
}  // namespace active_master::protocol
