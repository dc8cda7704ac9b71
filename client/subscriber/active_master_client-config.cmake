# find_package(active_master_client): the target active_master::client, for C (active_master.h) and C++.
include(CMakeFindDependencyMacro)
find_dependency(Protobuf)
find_dependency(Threads)
include("${CMAKE_CURRENT_LIST_DIR}/active_master_client-targets.cmake")
