// The rules for SET ACTIVE MASTER, in the engine that the proxies use.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "client/agent/statement.h"

#include <gtest/gtest.h>
#include <pcre2.h>

#include <array>
#include <memory>
#include <regex>
#include <string>
#include <vector>

namespace active_master::agent {
namespace {

// What the proxy makes of a statement; the statement itself where the rule doesn't match.
std::string rewritten(const StatementRule& rule, std::string_view statement) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  const std::unique_ptr<pcre2_code, void (*)(pcre2_code*)> code(
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(rule.match.data()), rule.match.size(),
                    PCRE2_CASELESS, &error, &offset, nullptr),
      pcre2_code_free);
  EXPECT_TRUE(code) << "error at " << offset;
  if (&rule == &kProxysqlStatement) {
    // As ProxySQL 2.7.1 does by pcrecpp: no group is known after the last one that took part.
    const std::unique_ptr<pcre2_match_data, void (*)(pcre2_match_data*)> groups(
        pcre2_match_data_create_from_pattern(code.get(), nullptr), pcre2_match_data_free);
    const int known = pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(statement.data()),
                                  statement.size(), 0, 0, groups.get(), nullptr);
    if (known <= 4) return std::string(statement);
  }
  // ProxySQL writes \1 where PCRE2 writes ${1}.
  const std::string replace =
      std::regex_replace(std::string(rule.replace), std::regex(R"(\\(\d))"), "$${$1}");
  std::array<char, 4096> out{};
  PCRE2_SIZE size = out.size();
  const int count =
      pcre2_substitute(code.get(), reinterpret_cast<PCRE2_SPTR>(statement.data()), statement.size(),
                       0, &rule == &kProxysqlStatement ? PCRE2_SUBSTITUTE_UNSET_EMPTY : 0, nullptr,
                       nullptr, reinterpret_cast<PCRE2_SPTR>(replace.data()), replace.size(),
                       reinterpret_cast<PCRE2_UCHAR*>(out.data()), &size);
  EXPECT_GE(count, 0) << statement;
  return std::string(out.data(), size);
}

class Statement : public testing::TestWithParam<const StatementRule*> {};

TEST_P(Statement, IsRewrittenInEveryUsualSpelling) {
  const std::string longest(64, 'n');
  const std::vector<std::pair<std::string, std::string>> all = {
      {"SET ACTIVE MASTER node2", "node2"},
      {"set active master node2;", "node2"},
      {"  Set\tActive\nMaster  'node2' ; \n", "node2"},
      {"SET ACTIVE MASTER \"node-2.example_1\"", "node-2.example_1"},
      {"SET ACTIVE MASTER `2`", "2"},
      {"SET ACTIVE MASTER " + longest, longest},
  };
  for (const auto& [statement, node] : all) {
    EXPECT_EQ(rewritten(*GetParam(), statement),
              "CALL active_master.set_active_master('" + node + "')");
  }
}

TEST_P(Statement, LetsNothingElseThrough) {
  using namespace std::string_literals;
  const std::vector<std::string> hostile = {
      "SET ACTIVE MASTER",
      "SET ACTIVE MASTER ''",
      "SET ACTIVE MASTER 'node2",
      "SET ACTIVE MASTER node2'",
      "SET ACTIVE MASTER 'node2\"",
      "SET ACTIVE MASTER '`node2`'",
      "SET ACTIVE MASTER node2; DROP TABLE t",
      "SET ACTIVE MASTER node2;; ",
      "SET ACTIVE MASTER 'node2'); DROP TABLE t; -- '",
      "SET ACTIVE MASTER node2') -- ",
      "SET ACTIVE MASTER 'node2\\'",
      "SET ACTIVE MASTER node2 -- comment",
      "SET ACTIVE MASTER node2 /* comment */",
      "SET ACTIVE MASTER node2\0 x"s,
      "SET ACTIVE MASTER node2\nDROP TABLE t",
      "SET ACTIVE MASTER node 2",
      "SET ACTIVE MASTER -node2",
      "SET ACTIVE MASTER n\xc3\xb6"
      "de",
      "SET ACTIVE MASTER @a",
      "SET ACTIVE MASTER (SELECT 'a')",
      "SET ACTIVE MASTER " + std::string(65, 'n'),
      "SETACTIVE MASTER node2",
      "RESET ACTIVE MASTER node2",
      "SELECT 'SET ACTIVE MASTER node2'",
      "x\nSET ACTIVE MASTER node2",
      "SET @x = 1",
  };
  for (const auto& statement : hostile) EXPECT_EQ(rewritten(*GetParam(), statement), statement);
}

INSTANTIATE_TEST_SUITE_P(Proxies, Statement,
                         testing::Values(&kProxysqlStatement, &kMaxscaleStatement),
                         [](const auto& rule) {
                           return rule.param == &kProxysqlStatement ? "ProxySQL" : "MaxScale";
                         });

}  // namespace
}  // namespace active_master::agent
