#include "client/protocol/frame.h"

#include <gtest/gtest.h>

namespace active_master::protocol {
namespace {

Frame hello(const std::string& name) {
  Frame frame;
  frame.mutable_hello()->set_name(name);
  return frame;
}

TEST(FrameDecoder, GivesBackWhatWasEncodedHoweverItArrives) {
  const std::string bytes =
      encode(hello("node1")) + encode(hello("")) + encode(hello(std::string(1000, 'x')));
  for (size_t chunk = 1; chunk <= bytes.size(); ++chunk) {
    FrameDecoder decoder;
    std::vector<std::string> names;
    for (size_t at = 0; at < bytes.size(); at += chunk) {
      decoder.append(bytes.data() + at, std::min(chunk, bytes.size() - at));
      while (const auto frame = decoder.next()) names.push_back(frame->hello().name());
    }
    ASSERT_EQ(names, (std::vector<std::string>{"node1", "", std::string(1000, 'x')}))
        << "chunk " << chunk;
    EXPECT_EQ(decoder.error(), "");
  }
}

TEST(FrameDecoder, RefusesALengthOverTheLimitBeforeItArrives) {
  FrameDecoder decoder;
  decoder.append("\x7f\xff\xff\xff", 4);
  EXPECT_FALSE(decoder.next());
  EXPECT_NE(decoder.error(), "");
  const auto good = encode(hello("node1"));
  decoder.append(good.data(), good.size());
  EXPECT_FALSE(decoder.next()) << "nothing may be decoded after an error";
}

TEST(FrameDecoder, RefusesWhatIsNoMessage) {
  FrameDecoder decoder;
  decoder.append("\0\0\0\2\xff\xff", 6);
  EXPECT_FALSE(decoder.next());
  EXPECT_NE(decoder.error(), "");
}

}  // namespace
}  // namespace active_master::protocol
