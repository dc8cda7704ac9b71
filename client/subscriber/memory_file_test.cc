#include "client/subscriber/memory_file.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

namespace active_master::client {
namespace {

using testing::HasSubstr;

class MemoryFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove_all(directory); }

  const std::string directory = [] {
    std::string name = testing::TempDir() + "memory_file_XXXXXX";
    return std::string(::mkdtemp(name.data()));
  }();
  const std::string path = directory + "/proxy.state";
  std::string error;
};

TEST_F(MemoryFileTest, GivesBackWhatWasStored) {
  const MemoryFile file(path);
  EXPECT_FALSE(file.load(error));
  EXPECT_EQ(error, "");
  const Route route{7, "node2", {"10.0.0.2", 3306}};
  EXPECT_EQ(file.store({6, "node1", {"10.0.0.1", 3306}}), "");
  EXPECT_EQ(file.store(route), "");
  EXPECT_EQ(MemoryFile(path).load(error), route);
  EXPECT_EQ(error, "");
}

TEST_F(MemoryFileTest, SaysWhenItIsDamagedOrCantBeWritten) {
  std::ofstream(path) << "active_master_proxy 7 node2 10.0.0.2:33";
  EXPECT_FALSE(MemoryFile(path).load(error));
  EXPECT_THAT(error, HasSubstr("is damaged"));
  EXPECT_THAT(MemoryFile(directory + "/none/file").store({1, "n", {"h", 1}}),
              HasSubstr("can't write"));
}

TEST_F(MemoryFileTest, KeepsNothingWithoutAPath) {
  EXPECT_EQ(MemoryFile("").store({1, "n", {"h", 1}}), "");
  EXPECT_FALSE(MemoryFile("").load(error));
}

}  // namespace
}  // namespace active_master::client
