// Any frames in any order, to both sides of a handshake: without the secret nobody gets in.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "client/protocol/handshake.h"

using namespace active_master::protocol;

namespace {

CredentialsPtr with_secret() {
  std::string path = "/tmp/handshake_fuzz.XXXXXX";
  const int fd = mkstemp(path.data());  // mode 600
  if (fd < 0) std::abort();
  std::ofstream(path) << "a-secret-that-no-fuzzer-guesses-0123456789\n";
  std::string error;
  auto loaded = Credentials::load({.secret = path}, error);
  std::remove(path.c_str());
  if (!loaded) std::abort();
  return loaded;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const CredentialsPtr secret = with_secret();
  FuzzedDataProvider input(data, size);
  const auto credentials = input.ConsumeBool() ? secret : no_credentials();
  const Self self{"cluster", "node1", PEER_KIND_NODE, "1"};
  DiallerHandshake dialler({"cluster", "node2", PEER_KIND_NODE, "1"}, "node1", credentials, "");
  ListenerHandshake listener(self, credentials, "");
  while (input.remaining_bytes() > 0) {
    Frame frame;
    if (!frame.ParseFromString(input.ConsumeRandomLengthString())) continue;
    (void)dialler.take(frame);
    (void)listener.take(frame);
    if (dialler.is_done() && !dialler.error().empty()) std::abort();
    if (listener.is_done() && !listener.error().empty()) std::abort();
  }
  if (credentials == secret && (dialler.is_done() || listener.is_done())) std::abort();
  return 0;
}
