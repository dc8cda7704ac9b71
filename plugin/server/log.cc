#include "plugin/server/log.h"

#include "plugin/server/session.h"

// Exported by the server, declared in its private log.h.
void sql_print_information(const char* format, ...) __attribute__((format(printf, 1, 2)));
void sql_print_warning(const char* format, ...) __attribute__((format(printf, 1, 2)));
void sql_print_error(const char* format, ...) __attribute__((format(printf, 1, 2)));

namespace active_master {

void log_line(const LogLine& line) {
  // What fails while the server shuts down fails because of that.
  const bool is_warning = line.level == LogLine::Level::kWarning && !server_is_stopping();
  const auto print = line.level == LogLine::Level::kError ? sql_print_error
                     : is_warning                         ? sql_print_warning
                                                          : sql_print_information;
  print("active_master: %s", line.text.c_str());
}

}  // namespace active_master
