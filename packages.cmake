# Debian packages of what is installed: cpack --preset release.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME active-master)
set(CPACK_PACKAGE_VENDOR "active_master")
set(CPACK_PACKAGE_CONTACT "The maintainers of active_master")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_COMPONENTS_ALL plugin tools client)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_STRIP_FILES ON)

# A server of another version refuses the plugin and runs without: so they are upgraded together or not at all.
string(REGEX MATCH "^([0-9]+\\.[0-9]+)\\.([0-9]+)" _ ${server_version})
math(EXPR next_patch "${CMAKE_MATCH_2} + 1")
set(CPACK_DEBIAN_PLUGIN_PACKAGE_NAME mariadb-plugin-active-master)
set(CPACK_DEBIAN_PLUGIN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PLUGIN_PACKAGE_DEPENDS
  "mariadb-server (>= 1:${server_version}), mariadb-server (<< 1:${CMAKE_MATCH_1}.${next_patch}~)")
set(CPACK_COMPONENT_PLUGIN_DESCRIPTION
  "The server plugin, with its SQL and documentation. Built for MariaDB ${server_version}.")

set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME active-master)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION database)
set(CPACK_COMPONENT_TOOLS_DESCRIPTION
  "active-master shows a cluster and moves the role; active-master-agent lets HAProxy, ProxySQL, MaxScale or a program
 follow; active-master-witness has a vote where there are two nodes.")

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME libactive-master-client-dev)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS "libprotobuf-dev")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION "The library by which applications follow, with its C++ and C interfaces.")

install(FILES sql/install.sql sql/uninstall.sql DESTINATION share/active-master COMPONENT plugin)
install(DIRECTORY docs DESTINATION share/doc/mariadb-plugin-active-master COMPONENT plugin)
install(FILES README.md DESTINATION share/doc/mariadb-plugin-active-master COMPONENT plugin)
foreach(component IN ITEMS PLUGIN TOOLS CLIENT)
  string(TOLOWER ${component} name)
  install(FILES LICENSE DESTINATION share/doc/${CPACK_DEBIAN_${component}_PACKAGE_NAME} RENAME copyright COMPONENT ${name})
endforeach()

include(CPack)

if(NOT ACTIVE_MASTER_SANITIZE)
  add_test(NAME packages COMMAND ${PROJECT_SOURCE_DIR}/packages_test.sh ${PROJECT_BINARY_DIR} ${MARIADBD} ${server_version})
endif()
