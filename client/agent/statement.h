// The literal statement `SET ACTIVE MASTER node2`, as rules that a proxy rewrites it by. The node's
// name may stand in single, double or back quotes or without; whatever isn't exactly one valid node
// name doesn't match, so that nothing but a name can reach the procedure.
#pragma once

#include <string_view>

namespace active_master::agent {

struct StatementRule {
  std::string_view match;
  std::string_view replace;
};

// For PCRE and RE2 alike (ProxySQL has both): RE2 knows no references back into the pattern, so
// each kind of quotes is a group of its own, and those that did not take part are empty. The last,
// empty group always takes part: ProxySQL's PCRE knows no group after the last one that did, and
// then doesn't rewrite at all. Case is written into the pattern, as the rule's CASELESS doesn't
// reach its RE2 when that rewrites.
inline constexpr StatementRule kProxysqlStatement{
    R"re((?i)^\s*SET\s+ACTIVE\s+MASTER\s+(?:'([A-Za-z0-9][A-Za-z0-9_.-]{0,63})')re"
    R"re(|"([A-Za-z0-9][A-Za-z0-9_.-]{0,63})"|`([A-Za-z0-9][A-Za-z0-9_.-]{0,63})`)re"
    R"re(|([A-Za-z0-9][A-Za-z0-9_.-]{0,63}))\s*;?\s*()$)re",
    R"(CALL active_master.set_active_master('\1\2\3\4'))"};

// For PCRE2's substitution (MaxScale), where a group that did not take part is an error.
inline constexpr StatementRule kMaxscaleStatement{
    R"(^\s*SET\s+ACTIVE\s+MASTER\s+(['"`]?)([A-Za-z0-9][A-Za-z0-9_.-]{0,63})\1\s*;?\s*$)",
    R"(CALL active_master.set_active_master('$2'))"};

}  // namespace active_master::agent
