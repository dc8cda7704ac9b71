#include "plugin/server/statement.h"

#include <gtest/gtest.h>

namespace active_master {
namespace {

TEST(PassesAHeldGate, WhatOnlyReadsOrManages) {
  for (const auto* query :
       {"SELECT 1", "select 1", " /* x */ SELECT 1", "-- x\nSELECT 1", "#x\n\tSHOW STATUS",
        "KILL 5", "SET @a = 1", "UNINSTALL SONAME 'active_master'", "ROLLBACK",
        "WITH a AS (SELECT 1) SELECT * FROM a", "SELECT"}) {
    EXPECT_TRUE(passes_a_held_gate(query, true)) << query;
  }
}

TEST(PassesAHeldGate, NotWhatWritesOrCan) {
  for (const auto* query :
       {"INSERT INTO t VALUES (1)", "BEGIN", "START TRANSACTION", "CALL p()", "SELECTED",
        "/*! INSERT */ INTO t", "/* x", "", "(SELECT 1)", "EXECUTE s", "TRUNCATE t"}) {
    EXPECT_FALSE(passes_a_held_gate(query, true)) << query;
  }
}

TEST(PassesAHeldGate, NotWhatReadsWithAutocommitOff) {
  EXPECT_FALSE(passes_a_held_gate("SELECT 1", false));
  EXPECT_FALSE(passes_a_held_gate("WITH a AS (SELECT 1) SELECT * FROM a", false));
  EXPECT_TRUE(passes_a_held_gate("SET autocommit = 1", false));
  EXPECT_TRUE(passes_a_held_gate("COMMIT", false));
}

TEST(OnlyBegins, Transactions) {
  for (const auto* query : {"BEGIN", "begin work", "start /* */ transaction", "XA START 'x'"}) {
    EXPECT_TRUE(only_begins(query)) << query;
  }
  for (const auto* query : {"INSERT INTO t VALUES (1)", "BEGINNING", "COMMIT", "START SLAVE",
                            "XA COMMIT 'x'", "BEGIN NOT ATOMIC SELECT 1; END", ""}) {
    EXPECT_FALSE(only_begins(query)) << query;
  }
}

TEST(StaysLocal, MaintenanceThatIsKeptOutOfTheBinlog) {
  for (const auto* query :
       {"ANALYZE LOCAL TABLE t", "optimize no_write_to_binlog table t;", "REPAIR/* */LOCAL TABLE t",
        "UNINSTALL SONAME 'active_master'; -- gone"}) {
    EXPECT_TRUE(stays_local(query)) << query;
  }
  for (const auto* query :
       {"ANALYZE TABLE t", "OPTIMIZE TABLE local", "INSERT INTO t VALUES (1)", "",
        "UNINSTALL SONAME 'x'; CREATE TABLE t (a INT)", "FLUSH LOCAL TABLES"}) {
    EXPECT_FALSE(stays_local(query)) << query;
  }
}

TEST(IsBinloggedMaintenance, WhatReadOnlyLetsPass) {
  for (const auto* query : {"FLUSH TABLES", "flush privileges", "FLUSH TABLES t", "ANALYZE TABLE t",
                            "REPAIR TABLE t", "OPTIMIZE TABLE t", "/* LOCK */ FLUSH STATUS"}) {
    EXPECT_TRUE(is_binlogged_maintenance(query)) << query;
  }
  for (const auto* query :
       {"FLUSH LOCAL TABLES", "FLUSH NO_WRITE_TO_BINLOG STATUS", "FLUSH LOGS", "FLUSH BINARY LOGS",
        "FLUSH TABLES WITH READ LOCK", "FLUSH TABLES t FOR EXPORT", "ANALYZE LOCAL TABLE t",
        "SELECT 1", "FLUSHED"}) {
    EXPECT_FALSE(is_binlogged_maintenance(query)) << query;
  }
}

TEST(CallsOurProcedure, OnlyOurs) {
  for (const auto* query :
       {"CALL active_master.set_active_master('node2')", "call `active_master`.`check`('x')",
        " /* a */ CALL active_master . status()"}) {
    EXPECT_TRUE(calls_our_procedure(query)) << query;
  }
  for (const auto* query : {"CALL active_masters.p()", "CALL p()", "CALL other.active_master()",
                            "SELECT 1", "CALLactive_master.p()"}) {
    EXPECT_FALSE(calls_our_procedure(query)) << query;
  }
}

}  // namespace
}  // namespace active_master
