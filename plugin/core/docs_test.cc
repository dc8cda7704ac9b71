// Keeps the generated parts of the documents equal to the code. With ACTIVE_MASTER_UPDATE_DOCS=1 in
// the environment the parts are written anew instead.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "client/subscriber/subscription.h"
#include "plugin/core/errors.h"
#include "plugin/core/rules.h"

namespace active_master {
namespace {

std::string text_of(const std::string& path) {
  std::stringstream content;
  content << std::ifstream(path).rdbuf();
  return content.str();
}

void expect_part(const std::string& file, const std::string& name, const std::string& part) {
  const std::string path = std::string(ACTIVE_MASTER_SOURCE_DIR) + "/docs/" + file;
  std::string text = text_of(path);
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
// Each scenario that docs/testing.md calls simulated has a test that names it.
TEST(Docs, SimulatedScenariosAreThere) {
  std::string names;
  const auto& all = *::testing::UnitTest::GetInstance();
  for (int suite = 0; suite < all.total_test_suite_count(); ++suite) {
    const auto& tests = *all.GetTestSuite(suite);
    for (int i = 0; i < tests.total_test_count(); ++i)
      names += std::string(tests.GetTestInfo(i)->name()) + "\n";
  }
  const std::string text = text_of(std::string(ACTIVE_MASTER_SOURCE_DIR) + "/docs/testing.md");
  static const std::regex kSimulated("sim ((S[0-9]{2}(, )?)+)"), kId("S[0-9]{2}");
  const std::sregex_iterator end;
  int found = 0;
  for (std::sregex_iterator row(text.begin(), text.end(), kSimulated); row != end; ++row) {
    const std::string ids = row->str(1);
    for (std::sregex_iterator id(ids.begin(), ids.end(), kId); id != end; ++id, ++found)
      EXPECT_NE(names.find(id->str()), std::string::npos) << "no test names " << id->str();
  }
  EXPECT_GT(found, 30);
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
