#include "client/protocol/handshake.h"

#include <openssl/crypto.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <algorithm>
#include <stdexcept>

#include "client/protocol/names.h"

namespace active_master::protocol {
namespace {

constexpr size_t kMaxReason = 200;  // of a refusal, which comes from whoever answered

std::string make_nonce() {
  std::string nonce(kNonceSize, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(nonce.data()), kNonceSize) != 1) {
    throw std::runtime_error("no random numbers can be had");
  }
  return nonce;
}

// With its length before it, so that no two lists of fields look alike.
void add(std::string& text, const std::string& field) {
  text += std::to_string(field.size()) + ":" + field;
}

bool equal(const std::string& a, const std::string& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Key session_key(const Credentials::Secret& secret, const Transcript& transcript) {
  if (transcript.kind != PEER_KIND_PROXY || secret.is_proxy_key) return secret.key;
  return proxy_key(secret.key, transcript.cluster, transcript.dialler);
}

std::string version_error(const std::string& node) {
  return "node " + node + " speaks protocol version " + std::to_string(kProtocolVersion) + " only";
}

// A reason as it may be shown and logged: short, on one line, without control characters.
std::string printable(const std::string& text) {
  std::string result = text.substr(0, kMaxReason);
  std::ranges::replace_if(
      result, [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

}  // namespace

std::string Transcript::code(const Key& key, bool by_dialler) const {
  std::string text;
  add(text, "active_master handshake");
  add(text, by_dialler ? "dialler" : "listener");
  add(text, std::to_string(kProtocolVersion));
  add(text, cluster);
  add(text, dialler);
  add(text, std::to_string(kind));
  add(text, listener);
  add(text, dialler_nonce);
  add(text, listener_nonce);
  add(text, channel_binding);
  unsigned char code[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), code, &size);
  return {reinterpret_cast<const char*>(code), size};
}

// --- The side that dials ---

DiallerHandshake::DiallerHandshake(Self self, std::string node, CredentialsPtr credentials,
                                   std::string channel_binding)
    : self_(std::move(self)),
      credentials_(std::move(credentials)),
      transcript_{self_.cluster,
                  self_.name,
                  self_.kind,
                  std::move(node),
                  make_nonce(),
                  std::string(),
                  std::move(channel_binding)} {}

Frame DiallerHandshake::hello() const {
  Frame frame;
  auto& hello = *frame.mutable_hello();
  hello.set_protocol_version(kProtocolVersion);
  hello.set_cluster(self_.cluster);
  hello.set_name(self_.name);
  hello.set_kind(self_.kind);
  hello.set_software_version(self_.software_version);
  hello.set_nonce(transcript_.dialler_nonce);
  return frame;
}

std::optional<Frame> DiallerHandshake::take(const Frame& frame) {
  if (done_ || !error_.empty()) return std::nullopt;
  if (frame.has_refused()) {
    error_ = "refused: " + printable(frame.refused().reason());
  } else if (frame.has_challenge() && key_.empty()) {
    return prove(frame.challenge());
  } else if (frame.has_welcome()) {
    finish(frame.welcome());
  } else {
    error_ = "it doesn't answer as a node does";
  }
  return std::nullopt;
}

bool DiallerHandshake::check_who(const std::string& node, uint32_t version) {
  if (node != transcript_.listener) {
    error_ = "the node there is called '" + printable(node).substr(0, kMaxNameLength) + "', not '" +
             transcript_.listener + "': correct the address";
  } else if (version != kProtocolVersion) {
    error_ = "it speaks protocol version " + std::to_string(version);
  }
  return error_.empty();
}

std::optional<Frame> DiallerHandshake::prove(const Challenge& challenge) {
  if (!check_who(challenge.node(), challenge.protocol_version())) return std::nullopt;
  if (!credentials_->has_secret()) {
    error_ = "it asks for the cluster's secret, and there is none here: set the secret file";
    return std::nullopt;
  }
  if (challenge.nonce().size() != kNonceSize) {
    error_ = "its challenge is none";
    return std::nullopt;
  }
  transcript_.listener_nonce = challenge.nonce();
  secret_ = credentials_->secrets().front().key;
  key_ = session_key(credentials_->secrets().front(), transcript_);
  Frame frame;
  frame.mutable_proof()->set_code(transcript_.code(key_, true));
  return frame;
}

void DiallerHandshake::finish(const Welcome& welcome) {
  if (!check_who(welcome.node(), welcome.protocol_version())) return;
  if (credentials_->has_secret() && key_.empty()) {
    error_ = "it doesn't ask for the cluster's secret: set its secret file, too";
  } else if (!key_.empty() && !equal(welcome.code(), transcript_.code(key_, false))) {
    error_ = "it does not know the cluster's secret: nothing that it says is believed";
  }
  done_ = error_.empty();
}

// --- The side that listens ---

ListenerHandshake::ListenerHandshake(Self self, CredentialsPtr credentials,
                                     std::string channel_binding)
    : self_(std::move(self)), credentials_(std::move(credentials)) {
  transcript_.cluster = self_.cluster;
  transcript_.listener = self_.name;
  transcript_.channel_binding = std::move(channel_binding);
}

std::optional<Frame> ListenerHandshake::take(const Frame& frame) {
  if (done_ || !error_.empty()) return std::nullopt;
  if (!greeted_ && frame.has_hello()) return greet(frame.hello());
  if (!greeted_) {
    error_ = "the first message must be a Hello";
  } else if (frame.has_proof()) {
    verify(frame.proof());
  } else {
    error_ = "the second message must be a Proof";
  }
  return std::nullopt;
}

std::string ListenerHandshake::check(const Hello& hello) const {
  if (hello.protocol_version() != kProtocolVersion) return version_error(self_.name);
  if (hello.cluster() != self_.cluster) {
    return "node " + self_.name + " belongs to another cluster";
  }
  if (!is_valid_name(hello.name())) return "the name is not valid";
  if (hello.kind() != PEER_KIND_NODE && hello.kind() != PEER_KIND_PROXY &&
      hello.kind() != PEER_KIND_WITNESS) {
    return "neither a node nor a proxy nor a witness";
  }
  if (credentials_->has_secret() && hello.nonce().size() != kNonceSize) return "no nonce";
  return {};
}

std::optional<Frame> ListenerHandshake::greet(const Hello& hello) {
  error_ = check(hello);
  if (!error_.empty()) return std::nullopt;
  greeted_ = true;
  transcript_.dialler = hello.name();
  transcript_.kind = hello.kind();
  transcript_.dialler_nonce = hello.nonce();
  if (!credentials_->has_secret()) {
    done_ = true;
    return std::nullopt;
  }
  transcript_.listener_nonce = make_nonce();
  Frame frame;
  auto& challenge = *frame.mutable_challenge();
  challenge.set_protocol_version(kProtocolVersion);
  challenge.set_node(self_.name);
  challenge.set_nonce(transcript_.listener_nonce);
  return frame;
}

void ListenerHandshake::verify(const Proof& proof) {
  for (const auto& secret : credentials_->secrets()) {
    // One proxy's key proves nothing to a listener of that proxy's kind: there is none.
    if (secret.is_proxy_key) continue;
    const Key key = session_key(secret, transcript_);
    if (!equal(proof.code(), transcript_.code(key, true))) continue;
    secret_ = secret.key;
    key_ = key;
    done_ = true;
    return;
  }
  failed_authentication_ = true;
  error_ = "the cluster's secret is not the one of node " + self_.name;
}

Frame ListenerHandshake::welcome() const {
  Frame frame;
  auto& welcome = *frame.mutable_welcome();
  welcome.set_protocol_version(kProtocolVersion);
  welcome.set_node(self_.name);
  if (!key_.empty()) welcome.set_code(transcript_.code(key_, false));
  return frame;
}

}  // namespace active_master::protocol
