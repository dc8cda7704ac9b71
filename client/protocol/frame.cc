#include "client/protocol/frame.h"

namespace active_master::protocol {

std::string encode(const Frame& frame) {
  std::string bytes(kHeaderSize, '\0');
  frame.AppendToString(&bytes);
  const auto size = static_cast<uint32_t>(bytes.size() - kHeaderSize);
  for (size_t i = 0; i < kHeaderSize; ++i) {
    bytes[i] = static_cast<char>(size >> (8 * (kHeaderSize - 1 - i)));
  }
  return bytes;
}

std::optional<Frame> FrameDecoder::next() {
  if (!error_.empty() || buffer_.size() - consumed_ < kHeaderSize) return std::nullopt;
  uint32_t size = 0;
  for (size_t i = 0; i < kHeaderSize; ++i) {
    size = size << 8 | static_cast<unsigned char>(buffer_[consumed_ + i]);
  }
  if (size > limit_) {
    error_ = "a frame of " + std::to_string(size) + " bytes is over the limit of " +
             std::to_string(limit_);
    return std::nullopt;
  }
  if (buffer_.size() - consumed_ - kHeaderSize < size) {
    buffer_.erase(0, consumed_);  // once per incomplete frame, not once per frame
    consumed_ = 0;
    return std::nullopt;
  }
  Frame frame;
  if (!frame.ParseFromArray(buffer_.data() + consumed_ + kHeaderSize, static_cast<int>(size))) {
    error_ = "a frame is not a valid message";
    return std::nullopt;
  }
  consumed_ += kHeaderSize + size;
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    consumed_ = 0;
  }
  return frame;
}

}  // namespace active_master::protocol
