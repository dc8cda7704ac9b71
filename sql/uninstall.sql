-- Takes away what install.sql made; the plugin itself goes with UNINSTALL SONAME 'active_master'.
-- Running it again is harmless.

DROP DATABASE IF EXISTS active_master;
DROP USER IF EXISTS active_master@localhost;
