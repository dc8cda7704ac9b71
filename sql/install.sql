-- The SQL side of active_master: run it once, on the node that takes writes today, with
--   mariadb < install.sql
-- It replicates to the other nodes. Running it again is harmless.
--
-- The procedures run with the rights of active_master@localhost, an account that nobody can log in
-- with. So GRANT EXECUTE ON PROCEDURE active_master.<name> TO <account> is enough, and necessary, to
-- let somebody use one.

CREATE DATABASE IF NOT EXISTS active_master CHARACTER SET utf8mb4;

CREATE USER IF NOT EXISTS active_master@localhost ACCOUNT LOCK;
GRANT SUPER, PROCESS ON *.* TO active_master@localhost;
GRANT SELECT, EXECUTE ON active_master.* TO active_master@localhost;

-- One row for each change of the role, written by the plugin only. The handover row is the last
-- transaction of its epoch on the old active master: the candidate must have seen it to take over.
CREATE TABLE IF NOT EXISTS active_master.event (
  epoch BIGINT UNSIGNED NOT NULL COMMENT 'the epoch that begins with it',
  kind ENUM('handover', 'activated') NOT NULL,
  from_node VARCHAR(64) CHARACTER SET ascii NULL COMMENT 'the old active master, for a handover',
  to_node VARCHAR(64) CHARACTER SET ascii NOT NULL,
  switchover_id BIGINT UNSIGNED NOT NULL COMMENT 'ID in INFORMATION_SCHEMA.ACTIVE_MASTER_SWITCHOVERS',
  at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
  enabled_events LONGTEXT NULL COMMENT 'events of the scheduler that the old active master ran, for a handover',
  PRIMARY KEY (epoch, kind)
) ENGINE = InnoDB COMMENT = 'Changes of the active master, written by the plugin active_master';

-- The procedures name the plugin's variable and tables in dynamic SQL only: a static name would make
-- the server keep the plugin in use wherever replication creates the procedure.

DELIMITER //

-- What the others have in common: gives a request to the plugin and waits for its end.
CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.request(IN request TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Used by the other procedures'
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION
  BEGIN
    DECLARE number INT;
    DECLARE reason TEXT CHARACTER SET utf8mb4;
    GET DIAGNOSTICS CONDITION 1 number = MYSQL_ERRNO, reason = MESSAGE_TEXT;
    RESIGNAL SQLSTATE 'AM000' SET MYSQL_ERRNO = number, MESSAGE_TEXT = reason;
  END;
  EXECUTE IMMEDIATE 'SET GLOBAL active_master_request = ?' USING request;
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.set_active_master(IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Moves the role of the active master to that node; how long writes were expected to pause, then one row per phase'
BEGIN
  DECLARE id BIGINT UNSIGNED DEFAULT UUID_SHORT();
  CALL active_master.request(CONCAT('switch ', id, ' ', IFNULL(node, '')));
  EXECUTE IMMEDIATE
    "SELECT 'PREDICTION' AS PHASE, PREDICTED_PAUSE_US AS DURATION_US,
            'how long writes would pause, as it looked before' AS DETAIL
       FROM information_schema.ACTIVE_MASTER_SWITCHOVERS WHERE ID = ? AND SEQ = 1
     UNION ALL
     SELECT PHASE, DURATION_US, ''
       FROM information_schema.ACTIVE_MASTER_SWITCHOVERS WHERE ID = ?
     UNION ALL
     SELECT 'DONE', CAST(SUM(DURATION_US) AS UNSIGNED),
            CONCAT(TO_NODE, ' is the active master in epoch ', EPOCH, '; writes paused for ',
                   IFNULL(WRITE_PAUSE_US, 0), ' us', IFNULL(CONCAT('; ', ERROR), ''))
       FROM information_schema.ACTIVE_MASTER_SWITCHOVERS WHERE ID = ?"
    USING id, id, id;
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.`check`(IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Could the role move to that node now? Changes nothing; one row per check'
BEGIN
  DECLARE id BIGINT UNSIGNED DEFAULT UUID_SHORT();
  CALL active_master.request(CONCAT('check ', id, ' ', IFNULL(node, '')));
  EXECUTE IMMEDIATE
    "SELECT NODE, CHECK_NAME, VERDICT, DETAIL, REMEDY
       FROM information_schema.ACTIVE_MASTER_CHECKS WHERE ID = ? ORDER BY SEQ"
    USING id;
END //

-- Failover, when the active master is gone. The node that is named directs it; the statement can be given on
-- any node that reaches that one.

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.failover_check(IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Could that node take the role by itself, and what would be lost? Changes nothing; one row per check'
BEGIN
  DECLARE id BIGINT UNSIGNED DEFAULT UUID_SHORT();
  CALL active_master.request(CONCAT('failover_check ', id, ' ', IFNULL(node, '')));
  EXECUTE IMMEDIATE
    "SELECT NODE, CHECK_NAME, VERDICT, DETAIL, REMEDY
       FROM information_schema.ACTIVE_MASTER_CHECKS WHERE ID = ? ORDER BY SEQ"
    USING id;
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.request_failover(IN verb TEXT CHARACTER SET utf8mb4, IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Used by the other procedures'
BEGIN
  DECLARE id BIGINT UNSIGNED DEFAULT UUID_SHORT();
  CALL active_master.request(CONCAT(verb, ' ', id, ' ', IFNULL(node, '')));
  EXECUTE IMMEDIATE
    "SELECT PHASE, DURATION_US, '' AS DETAIL
       FROM information_schema.ACTIVE_MASTER_SWITCHOVERS WHERE ID = ?
     UNION ALL
     SELECT 'DONE', CAST(SUM(DURATION_US) AS UNSIGNED),
            CONCAT(TO_NODE, ' is the active master in epoch ', EPOCH, IFNULL(CONCAT('; ', ERROR), ''))
       FROM information_schema.ACTIVE_MASTER_SWITCHOVERS WHERE ID = ?"
    USING id, id;
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.failover(IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Makes that node the active master if every other node lets it and none has more; one row per phase'
BEGIN
  CALL active_master.request_failover('failover', node);
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.force_failover(IN node TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'The same though nodes are not connected (make sure that they are off) or have more (it is lost)'
BEGIN
  CALL active_master.request_failover('force_failover', node);
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.bootstrap()
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Once, on the first active master of a new cluster: makes this node active in epoch 1'
BEGIN
  CALL active_master.request(CONCAT('bootstrap ', UUID_SHORT()));
  EXECUTE IMMEDIATE "SELECT NODE, EPOCH, 'DONE' AS RESULT FROM information_schema.ACTIVE_MASTER_STATE";
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.rejoin()
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'On a standby: compares it with the active master again and makes it follow; one row'
BEGIN
  CALL active_master.request(CONCAT('rejoin ', UUID_SHORT()));
  EXECUTE IMMEDIATE
    "SELECT S.NODE, S.ACTIVE_NODE, N.REPLICATION
       FROM information_schema.ACTIVE_MASTER_STATE S
       JOIN information_schema.ACTIVE_MASTER_NODES N ON N.NODE = S.NODE";
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.status()
  SQL SECURITY DEFINER READS SQL DATA
  COMMENT 'This node, then all nodes, then all proxies'
BEGIN
  EXECUTE IMMEDIATE 'SELECT * FROM information_schema.ACTIVE_MASTER_STATE';
  EXECUTE IMMEDIATE 'SELECT * FROM information_schema.ACTIVE_MASTER_NODES';
  EXECUTE IMMEDIATE 'SELECT * FROM information_schema.ACTIVE_MASTER_PROXIES';
END //

-- For proxies that speak only SQL: register, wait for events, acknowledge. Each call renews the lease.

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.register_proxy(IN name TEXT CHARACTER SET utf8mb4, IN ip TEXT CHARACTER SET utf8mb4)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'From now on switchovers wait for this proxy, until its lease runs out; one row'
BEGIN
  CALL active_master.request(CONCAT('register ', UUID_SHORT(), ' ', IFNULL(ip, ''), ' ', IFNULL(name, '')));
  SET @active_master_proxy = name;
  EXECUTE IMMEDIATE
    'SELECT PROXY, IP, @@global.active_master_proxy_lease / 1000 AS LEASE
       FROM information_schema.ACTIVE_MASTER_PROXIES WHERE PROXY = ?' USING name;
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.wait_event(IN after_seq BIGINT UNSIGNED, IN timeout DECIMAL(10, 3))
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'Waits for an event beyond after_seq, timeout seconds at most; one row: what a proxy shall do now'
BEGIN
  CALL active_master.request(CONCAT('wait ', UUID_SHORT(), ' ', IFNULL(after_seq, 0), ' ',
    CAST(GREATEST(IFNULL(timeout, 0), 0) * 1000 AS UNSIGNED), ' ', IFNULL(@active_master_proxy, '')));
  EXECUTE IMMEDIATE
    "SELECT (SELECT IFNULL(MAX(SEQ), 0) FROM information_schema.ACTIVE_MASTER_EVENTS) AS SEQ,
            STATE IN ('PAUSE', 'DRAIN', 'FENCE', 'HANDOVER', 'CATCH_UP', 'GRANT', 'GRANTED', 'ABORT_PERSIST',
                      'ABORT_OPEN') AS SWITCH,
            SWITCHOVER_ID, EPOCH, ACTIVE_NODE AS NODE, ACTIVE_SQL_ADDRESS AS SQL_ADDRESS
       FROM information_schema.ACTIVE_MASTER_STATE";
END //

CREATE OR REPLACE DEFINER = active_master@localhost
PROCEDURE active_master.acknowledge(IN name TEXT CHARACTER SET utf8mb4, IN switchover_id BIGINT UNSIGNED)
  SQL SECURITY DEFINER MODIFIES SQL DATA
  COMMENT 'While that switchover has stopped traffic: the proxy holds. Afterwards: it has opened'
BEGIN
  CALL active_master.request(CONCAT('acknowledge ', UUID_SHORT(), ' ', IFNULL(switchover_id, 0), ' ',
    IFNULL(name, '')));
END //

DELIMITER ;
