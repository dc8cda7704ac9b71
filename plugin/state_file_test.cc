#include "plugin/state_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace active_master {
namespace {

class StateFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("state_file_test." + std::to_string(getpid()));
    std::filesystem::create_directory(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string path() const { return directory_ / "active_master.state"; }

  [[nodiscard]] std::string content() const {
    std::ifstream in(path(), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& text) const {
    std::ofstream(path(), std::ios::binary | std::ios::trunc) << text;
  }

  std::filesystem::path directory_;
};

Durable in_epoch(uint64_t epoch) {
  Durable durable;
  durable.identity = {"cluster", "node1", 1};
  durable.role = Role::kActive;
  durable.epoch = {epoch};
  durable.active_node = "node1";
  return durable;
}

TEST_F(StateFileTest, NoFileIsNoError) {
  std::string error = "old";
  EXPECT_FALSE(StateFile(path()).load(error));
  EXPECT_EQ(error, "");
}

TEST_F(StateFileTest, IsReadAsStoredLast) {
  StateFile file(path());
  std::string error;
  for (uint64_t epoch = 1; epoch <= 5; ++epoch) {
    EXPECT_EQ(file.store(in_epoch(epoch)), "");
    EXPECT_EQ(file.load(error), in_epoch(epoch)) << error;
  }
  StateFile restarted(path());
  EXPECT_EQ(restarted.store(in_epoch(6)), "");
  EXPECT_EQ(restarted.load(error), in_epoch(6)) << error;
}

// Sectors of a write reach the disk in any order, or not at all.
TEST_F(StateFileTest, ACrashWhileWritingLeavesTheOldOrTheNewState) {
  for (const uint64_t epoch : {2, 3}) {  // the one slot, and the other
    StateFile file(path());
    EXPECT_EQ(file.store(in_epoch(epoch - 1)), "");
    const std::string before = content();
    EXPECT_EQ(file.store(in_epoch(epoch)), "");
    const std::string after = content();
    ASSERT_EQ(before.size(), after.size());
    const size_t slot = before.size() / 2;
    // What was synced holds the new state; the other one was written without waiting.
    for (const size_t torn : {size_t{0}, slot}) {
      for (const bool tail : {false, true}) {
        for (size_t at = 0; at < slot; at += 64) {
          std::string text = before;
          const size_t from = torn + (tail ? at : 0);
          const size_t to = torn + (tail ? slot : at);
          text.replace(from, to - from, after, from, to - from);
          write(text);
          std::string error;
          const auto loaded = StateFile(path()).load(error);
          EXPECT_TRUE(loaded == in_epoch(epoch - 1) || loaded == in_epoch(epoch))
              << torn << ' ' << from << ".." << to << ' ' << error;
        }
      }
    }
    write(after);
  }
}

TEST_F(StateFileTest, ADamagedSlotLosesNothing) {
  StateFile file(path());
  EXPECT_EQ(file.store(in_epoch(1)), "");
  EXPECT_EQ(file.store(in_epoch(2)), "");
  const std::string whole = content();
  for (const size_t at : {size_t{30}, whole.size() / 2 + 30}) {
    std::string text = whole;
    text[at] ^= 1;
    write(text);
    std::string error;
    EXPECT_EQ(StateFile(path()).load(error), in_epoch(2)) << error;
    StateFile next(path());
    EXPECT_EQ(next.store(in_epoch(3)), "");
    EXPECT_EQ(next.load(error), in_epoch(3)) << error;
  }
}

TEST_F(StateFileTest, IsMadeAgainWhenItIsTakenAway) {
  StateFile file(path());
  EXPECT_EQ(file.store(in_epoch(1)), "");
  std::filesystem::remove(path());
  EXPECT_EQ(file.store(in_epoch(2)), "");
  std::string error;
  EXPECT_EQ(file.load(error), in_epoch(2)) << error;
}

TEST_F(StateFileTest, ADamagedFileIsAnErrorNotAFreshStart) {
  std::ofstream(path()) << "active_master state 1\nrole=ACTIVE\n";
  std::string error;
  EXPECT_FALSE(StateFile(path()).load(error));
  EXPECT_NE(error.find("is damaged"), std::string::npos) << error;
}

TEST_F(StateFileTest, AFailedStoreSaysWhatFailed) {
  StateFile file(directory_ / "missing" / "active_master.state");
  EXPECT_NE(file.store(in_epoch(5)).find("can't create"), std::string::npos);
}

}  // namespace
}  // namespace active_master
