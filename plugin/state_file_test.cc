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

  std::filesystem::path directory_;
};

Durable some() {
  Durable durable;
  durable.identity = {"cluster", "node1", 1};
  durable.role = Role::kActive;
  durable.epoch = {5};
  durable.active_node = "node1";
  return durable;
}

TEST_F(StateFileTest, NoFileIsNoError) {
  std::string error = "old";
  EXPECT_FALSE(StateFile(path()).load(error));
  EXPECT_EQ(error, "");
}

TEST_F(StateFileTest, IsReadAsStored) {
  const StateFile file(path());
  EXPECT_EQ(file.store(some()), "");
  std::string error;
  EXPECT_EQ(file.load(error), some()) << error;
  EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(StateFileTest, ACrashWhileWritingLeavesTheOldState) {
  const StateFile file(path());
  EXPECT_EQ(file.store(some()), "");
  std::ofstream(path() + ".new") << "active_master state 1\nrole=";
  std::string error;
  EXPECT_EQ(file.load(error), some()) << error;
}

TEST_F(StateFileTest, ADamagedFileIsAnErrorNotAFreshStart) {
  std::ofstream(path()) << "active_master state 1\nrole=ACTIVE\n";
  std::string error;
  EXPECT_FALSE(StateFile(path()).load(error));
  EXPECT_NE(error.find("is damaged"), std::string::npos) << error;
}

TEST_F(StateFileTest, AFailedStoreSaysWhatFailed) {
  const StateFile file(directory_ / "missing" / "active_master.state");
  EXPECT_NE(file.store(some()).find("can't create"), std::string::npos);
}

}  // namespace
}  // namespace active_master
