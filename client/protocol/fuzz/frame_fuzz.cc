// Any stream of bytes, in any portions: frames come out or an error does; what came out encodes
// again.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstdlib>

#include "client/protocol/frame.h"

using namespace active_master::protocol;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  FrameDecoder decoder;
  decoder.set_limit(input.ConsumeBool() ? 4096 : kMaxFrameSize);
  while (input.remaining_bytes() > 0 && decoder.error().empty()) {
    const auto portion = input.ConsumeRandomLengthString();
    decoder.append(portion.data(), portion.size());
    while (const auto frame = decoder.next()) {
      FrameDecoder again;
      const auto bytes = encode(*frame);
      again.append(bytes.data(), bytes.size());
      if (!again.next()) std::abort();
    }
  }
  return 0;
}
