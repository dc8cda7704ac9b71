// How two parties open a session, as a script without I/O: each frame that arrives is given to
// take(), which says what to send.
//
//   dialler                        listener
//   Hello(name, kind, nonce)  -->
//                             <--  Challenge(node, nonce)     if the listener has a secret
//   Proof(code)               -->
//                             <--  Welcome(node, code)        or Refused at any time
//
// A code is the HMAC-SHA-256 by the shared key over: a label, which of the two makes it, the
// protocol version, the cluster, both names, the dialler's kind, both nonces, and what TLS exports
// for this connection (RFC 9266). So it serves in this connection, in this direction, for these
// names only: it can't be replayed, reflected, or relayed through another TLS connection. The
// listener proves itself last, so a stranger gets nothing to guess a secret from.
#pragma once

#include <optional>
#include <string>

#include "client/protocol/credentials.h"
#include "client/protocol/frame.h"

namespace active_master::protocol {

// Who a party says that it is.
struct Self {
  std::string cluster;
  std::string name;
  PeerKind kind = PEER_KIND_UNKNOWN;
  std::string software_version;

  bool operator==(const Self&) const = default;
};

inline constexpr size_t kNonceSize = 32;

// Nothing in a handshake comes near it; a stranger gets no larger buffer.
inline constexpr size_t kMaxHandshakeFrameSize = 4096;

// What the codes of both sides are made of.
struct Transcript {
  std::string cluster;
  std::string dialler;
  PeerKind kind = PEER_KIND_UNKNOWN;
  std::string listener;
  std::string dialler_nonce;
  std::string listener_nonce;
  std::string channel_binding;

  [[nodiscard]] std::string code(const Key& key, bool by_dialler) const;
};

class DiallerHandshake {
 public:
  // `node` is who shall answer.
  DiallerHandshake(Self self, std::string node, CredentialsPtr credentials,
                   std::string channel_binding);

  [[nodiscard]] Frame hello() const;
  // What to send, if anything. Then ask is_done() and error().
  [[nodiscard]] std::optional<Frame> take(const Frame& frame);

  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] const std::string& error() const { return error_; }
  // The secret that was proved with, empty without.
  [[nodiscard]] const Key& secret() const { return secret_; }

 private:
  [[nodiscard]] std::optional<Frame> prove(const Challenge& challenge);
  void finish(const Welcome& welcome);
  [[nodiscard]] bool check_who(const std::string& node, uint32_t version);

  const Self self_;
  const CredentialsPtr credentials_;
  Transcript transcript_;
  Key secret_;
  Key key_;  // of this session; empty until the proof is sent
  bool done_ = false;
  std::string error_;
};

class ListenerHandshake {
 public:
  ListenerHandshake(Self self, CredentialsPtr credentials, std::string channel_binding);

  // What to send, if anything. Then ask is_done() and error().
  [[nodiscard]] std::optional<Frame> take(const Frame& frame);

  // The dialler is who it says; welcome() is to be sent if it may come in.
  [[nodiscard]] bool is_done() const { return done_; }
  [[nodiscard]] Frame welcome() const;
  [[nodiscard]] const std::string& error() const { return error_; }
  // The dialler could not prove itself, which is more than a mistake in what it sent.
  [[nodiscard]] bool failed_authentication() const { return failed_authentication_; }

  [[nodiscard]] const std::string& name() const { return transcript_.dialler; }
  [[nodiscard]] PeerKind kind() const { return transcript_.kind; }
  // The secret that was proved with, empty without.
  [[nodiscard]] const Key& secret() const { return secret_; }

 private:
  [[nodiscard]] std::optional<Frame> greet(const Hello& hello);
  void verify(const Proof& proof);
  [[nodiscard]] std::string check(const Hello& hello) const;

  const Self self_;
  const CredentialsPtr credentials_;
  Transcript transcript_;
  Key secret_;
  Key key_;
  bool greeted_ = false;
  bool done_ = false;
  bool failed_authentication_ = false;
  std::string error_;
};

}  // namespace active_master::protocol
