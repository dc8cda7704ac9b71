// Frames on the wire: a 4-byte big-endian length, then one protocol::Frame of that length.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "active_master.pb.h"

namespace active_master::protocol {

// The version that this build speaks; there is only one so far.
inline constexpr uint32_t kProtocolVersion = 1;

// No message of ours comes near it: the largest is a SwitchoverReport with a few dozen rows. A
// larger length is garbage or an attack, and closes the connection.
inline constexpr size_t kMaxFrameSize = size_t{256} * 1024;

inline constexpr size_t kHeaderSize = 4;

[[nodiscard]] std::string encode(const Frame& frame);

// Takes bytes as they arrive and gives back whole frames.
class FrameDecoder {
 public:
  // A larger frame is an error; see kMaxFrameSize.
  void set_limit(size_t limit) { limit_ = limit; }

  void append(const char* data, size_t size) { buffer_.append(data, size); }

  // The next whole frame, if one is there. After error() nothing more is decoded.
  [[nodiscard]] std::optional<Frame> next();

  // What was wrong with the stream; empty while nothing is.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  std::string buffer_;
  size_t consumed_ = 0;
  size_t limit_ = kMaxFrameSize;
  std::string error_;
};

}  // namespace active_master::protocol
