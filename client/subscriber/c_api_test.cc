// The plain C interface, from C++ and from Python.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <array>
#include <csignal>
#include <cstring>

#include "client/subscriber/active_master.h"
#include "client/subscriber/fake_node.h"

namespace active_master::client {
namespace {

using testing::HasSubstr;

class CApiTest : public testing::Test {
 protected:
  CApiTest() {
    active_master_log_level("off");
    options.size = sizeof options;
    options.name = "app1";
    nodes = "a=" + node.address().address.to_string();
    options.nodes = nodes.c_str();
    options.heartbeat_ms = 20;
  }
  ~CApiTest() override { active_master_destroy(cluster); }

  void create() {
    ASSERT_EQ(active_master_create(&options, &cluster, nullptr, 0), ACTIVE_MASTER_OK);
  }
  std::string refusal() {
    std::array<char, 200> error{};
    EXPECT_EQ(active_master_create(&options, &cluster, error.data(), error.size()),
              ACTIVE_MASTER_INVALID);
    return error.data();
  }

  FakeNode node{"a"};
  std::string nodes;
  active_master_options options{};
  active_master_client* cluster = nullptr;
  active_master_pass* pass = nullptr;
  active_master_route route{};
};

TEST_F(CApiTest, LetsTransactionsInWhereTheyBelong) {
  node.say(active(1, "127.0.0.1:3311"));
  create();
  ASSERT_EQ(active_master_enter(cluster, 60'000, &pass, &route), ACTIVE_MASTER_OK);
  EXPECT_EQ(route.epoch, 1);
  EXPECT_STREQ(route.node, "a");
  EXPECT_STREQ(route.host, "127.0.0.1");
  EXPECT_EQ(route.port, 3311);
  EXPECT_TRUE(eventually([&] { return node.proxy().driver() == "library"; }));
  active_master_leave(pass);
}

TEST_F(CApiTest, HoldsAndWaitsForWhoIsInside) {
  node.say(active(1));
  create();
  ASSERT_EQ(active_master_enter(cluster, 60'000, &pass, nullptr), ACTIVE_MASTER_OK);
  node.say(pause(2, 22));
  ASSERT_TRUE(
      eventually([&] { return active_master_current(cluster, &route) == ACTIVE_MASTER_TIMEOUT; }));
  EXPECT_FALSE(node.proxy().holding());
  active_master_leave(pass);
  EXPECT_TRUE(eventually([&] { return node.proxy().holding(); }));
  EXPECT_EQ(active_master_enter(cluster, 0, &pass, &route), ACTIVE_MASTER_TIMEOUT);
  EXPECT_EQ(pass, nullptr);
  node.say(active(3));
  EXPECT_TRUE(
      eventually([&] { return active_master_current(cluster, &route) == ACTIVE_MASTER_OK; }));
  EXPECT_EQ(route.epoch, 3);
}

TEST_F(CApiTest, APassMayOutliveItsCluster) {
  node.say(active(1));
  create();
  ASSERT_EQ(active_master_enter(cluster, 60'000, &pass, nullptr), ACTIVE_MASTER_OK);
  active_master_destroy(cluster);
  cluster = nullptr;
  active_master_leave(pass);
}

TEST_F(CApiTest, SaysWhyTrafficIsClosed) {
  options.startup_wait_ms = 1;
  create();
  std::array<char, 512> text{};
  EXPECT_TRUE(eventually([&] {
    return active_master_last_error(cluster, text.data(), text.size()) == ACTIVE_MASTER_OK &&
           text[0] != '\0';
  }));
  EXPECT_THAT(text.data(), HasSubstr("no node knows an active master"));
}

TEST_F(CApiTest, RefusesWhatMakesNoSense) {
  options.size = 1;
  EXPECT_THAT(refusal(), HasSubstr("size"));
  options.size = sizeof options;
  options.name = "no name";
  EXPECT_THAT(refusal(), HasSubstr("name must be"));
  options.name = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("name must be"));
  options.name = "app1";
  options.nodes = "a=nowhere";
  EXPECT_THAT(refusal(), HasSubstr("'a=nowhere' is not of the form"));
  options.nodes = nullptr;
  EXPECT_THAT(refusal(), HasSubstr("every node"));
  EXPECT_EQ(active_master_create(nullptr, &cluster, nullptr, 0), ACTIVE_MASTER_INVALID);
  EXPECT_EQ(active_master_enter(nullptr, 0, &pass, &route), ACTIVE_MASTER_INVALID);
  EXPECT_EQ(active_master_current(nullptr, nullptr), ACTIVE_MASTER_INVALID);
  EXPECT_EQ(active_master_log_level("loud"), ACTIVE_MASTER_INVALID);
  EXPECT_STREQ(active_master_text(ACTIVE_MASTER_OK), "done");
  EXPECT_STREQ(active_master_text(77), "unknown code");
  active_master_leave(nullptr);
}

#ifdef PYTHON

// The example, as a child whose output is read.
class Example {
 public:
  Example(const std::string& name, const std::string& nodes) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    const std::array<const char*, 7> arguments{PYTHON,    EXAMPLE,       LIBRARY, name.c_str(),
                                               "cluster", nodes.c_str(), nullptr};
    pid_ = fork();
    if (pid_ == 0) {
      dup2(ends[1], 1);
      execv(PYTHON, const_cast<char**>(arguments.data()));
      _exit(127);
    }
    close(ends[1]);
    output_ = ends[0];
    fcntl(output_, F_SETFL, O_NONBLOCK);
  }
  ~Example() {
    (void)end(SIGKILL);
    close(output_);
  }
  Example(const Example&) = delete;
  Example& operator=(const Example&) = delete;

  [[nodiscard]] bool says(const std::string& what) {
    return eventually([&] {
      std::array<char, 4096> buffer;
      for (ssize_t size = 0; (size = read(output_, buffer.data(), buffer.size())) > 0;)
        text_.append(buffer.data(), size);
      return text_.find(what) != std::string::npos;
    });
  }
  int end(int signal) {
    if (pid_ <= 0) return 0;
    if (signal != 0) kill(pid_, signal);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string text_;
};

TEST_F(CApiTest, IsEnoughForPython) {
  node.say(active(1, "127.0.0.1:3311"));
  Example example("app1", nodes);
  EXPECT_TRUE(example.says("1 a 127.0.0.1:3311\n"));
  node.say(pause(2, 22));
  EXPECT_TRUE(eventually([&] { return node.proxy().holding(); }));
  EXPECT_TRUE(example.says("held: traffic is held"));
  node.say(active(3, "127.0.0.1:3312"));
  EXPECT_TRUE(example.says("3 a 127.0.0.1:3312\n"));
  EXPECT_EQ(example.end(SIGTERM), 0);
}

TEST_F(CApiTest, TellsPythonWhatIsWrong) {
  Example example("no name", nodes);
  EXPECT_EQ(WEXITSTATUS(example.end(0)), 1);
}

#endif

}  // namespace
}  // namespace active_master::client
