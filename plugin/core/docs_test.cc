// Keeps the generated parts of the documents equal to the code. With ACTIVE_MASTER_UPDATE_DOCS=1 in
// the environment the parts are written anew instead.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/subscriber/subscription.h"
#include "plugin/core/errors.h"
#include "plugin/core/rules.h"

namespace active_master {
namespace {

void expect_part(const std::string& file, const std::string& name, const std::string& part) {
  const std::string path = std::string(ACTIVE_MASTER_SOURCE_DIR) + "/docs/" + file;
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  std::string text = content.str();
  const auto begin = text.find('\n', text.find("<!-- " + name)) + 1;
  const auto end = text.find("<!-- end -->", begin);
  ASSERT_NE(end, std::string::npos) << path;
  if (std::getenv("ACTIVE_MASTER_UPDATE_DOCS")) {
    std::ofstream(path) << text.replace(begin, end - begin, part);
    return;
  }
  EXPECT_EQ(text.substr(begin, end - begin), part)
      << "run simulator_test with ACTIVE_MASTER_UPDATE_DOCS=1 and look at the difference";
}

TEST(Docs, ShowTheRules) {
  expect_part("protocol.md", "rules", rules_as_markdown());
  expect_part("protocol.md", "ignored", ignored_as_markdown());
  expect_part("protocol.md", "diagram", rules_as_mermaid());
}
TEST(Docs, ShowTheRulesOfTheSubscriber) {
  expect_part("protocol.md", "subscriber rules", client::rules_as_markdown());
  expect_part("protocol.md", "subscriber ignored", client::ignored_as_markdown());
  expect_part("protocol.md", "subscriber diagram", client::rules_as_mermaid());
}
TEST(Docs, ShowTheErrors) {
  expect_part("reference.md", "errors", errors_as_markdown());
}

}  // namespace
}  // namespace active_master
