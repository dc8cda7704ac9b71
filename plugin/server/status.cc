#include "plugin/server/status.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <type_traits>

#include "client/protocol/fault.h"
#include "plugin/core/view.h"
#include "plugin/server/fence_audit.h"
#include "plugin/server/snapshot.h"

namespace active_master {
namespace {

std::string value_of_role(const View& view) {
  return to_string(view.role);
}
std::string value_of_active_node(const View& view) {
  return view.activation ? view.activation->node : "";
}
std::string value_of_phase(const View& view) {
  return to_string(view.phase);
}
uint64_t value_of_epoch(const View& view) {
  return view.epoch.value;
}
uint64_t value_of_peers(const View& view) {
  return static_cast<uint64_t>(std::ranges::count(view.nodes, "CONNECTED", &NodeView::link));
}
uint64_t value_of_proxies(const View& view) {
  return static_cast<uint64_t>(std::ranges::count(view.proxies, true, &ProxyView::connected));
}
uint64_t value_of_done(const View& view) {
  return view.switchovers_done;
}
uint64_t value_of_aborted(const View& view) {
  return view.switchovers_aborted;
}
uint64_t value_of_pause(const View& view) {
  return static_cast<uint64_t>(view.last_write_pause.count());
}

uint64_t value_of_lease(const View& view) {
  const auto left = view.role == Role::kActive ? server_gate().lease_left() : Duration{0};
  return static_cast<uint64_t>(std::chrono::floor<std::chrono::milliseconds>(left).count());
}

#ifdef ACTIVE_MASTER_FAULTS
uint64_t value_of_faults(const View&) {
  return fault::fired;
}
#endif

// The server gives each call a buffer to put the value in.
template <auto function>
int show(MYSQL_THD, st_mysql_show_var* variable, void* buffer, system_status_var*,
         enum_var_type) noexcept {
  variable->value = buffer;
  const View empty;
  const auto view = snapshot();
  const auto value = function(view ? *view : empty);
  if constexpr (std::is_same_v<decltype(function(empty)), uint64_t>) {
    variable->type = SHOW_ULONGLONG;
    *static_cast<uint64_t*>(buffer) = value;
  } else {
    variable->type = SHOW_CHAR;
    std::snprintf(static_cast<char*>(buffer), SHOW_VAR_FUNC_BUFF_SIZE, "%s", value.c_str());
  }
  return 0;
}

template <auto function>
st_mysql_show_var entry(const char* name) {
  return {name, reinterpret_cast<void*>(&show<function>), SHOW_FUNC};
}

}  // namespace

st_mysql_show_var status_variables[] = {
    entry<value_of_role>("Active_master_role"),
    entry<value_of_epoch>("Active_master_epoch"),
    entry<value_of_active_node>("Active_master_active_node"),
    entry<value_of_phase>("Active_master_phase"),
    entry<value_of_peers>("Active_master_connected_peers"),
    entry<value_of_proxies>("Active_master_connected_proxies"),
    entry<value_of_done>("Active_master_switchovers_done"),
    entry<value_of_aborted>("Active_master_switchovers_aborted"),
    entry<value_of_pause>("Active_master_last_write_pause_us"),
    entry<value_of_lease>("Active_master_lease_ms"),
#ifdef ACTIVE_MASTER_FAULTS
    entry<value_of_faults>("Active_master_faults"),
#endif
    {nullptr, nullptr, SHOW_UNDEF},
};

}  // namespace active_master
