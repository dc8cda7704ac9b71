// MariaDB's plugin headers, in the order and with the quiet that they need. Included after our own
// headers and before the standard library's by files of plugin/server only.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wunused-parameter"
// clang-format off
#include <my_global.h>
#include <my_pthread.h>
#include <my_sys.h>
#include <mysql.h>
#include <mysql/plugin.h>
#include <mysql/plugin_audit.h>
#include <mysqld_error.h>
// clang-format on
#pragma GCC diagnostic pop

namespace active_master {

// Bits of a session's options as thd_test_options() takes them; the server's private sql_priv.h
// names them. mtr-tests show on a running server that transactions and locks are told apart by
// them.
inline constexpr long long kOptionNotAutocommit = 1LL << 19;
inline constexpr long long kOptionBegin = 1LL << 20;
inline constexpr long long kOptionTableLock = 1LL << 21;

}  // namespace active_master
