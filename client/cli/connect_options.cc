#include "client/cli/connect_options.h"

#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iostream>

namespace active_master::cli {
namespace {

unsigned number(const sql::Setting& setting, unsigned max) {
  unsigned value = 0;
  const char* end = setting.value.data() + setting.value.size();
  const auto [parsed, error] = std::from_chars(setting.value.data(), end, value);
  if (error != std::errc() || parsed != end || value > max) {
    throw OptionError("'" + setting.value + "' is no value for " + setting.name +
                      ": a number up to " + std::to_string(max) + " is needed");
  }
  return value;
}

bool flag(const sql::Setting& setting) {
  return setting.value != "0" && setting.value != "OFF" && setting.value != "off" &&
         setting.value != "FALSE" && setting.value != "false";
}

}  // namespace

const std::vector<std::string>& option_groups() {
  static const std::vector<std::string> groups = {"client", "client-server", "client-mariadb",
                                                  "active-master"};
  return groups;
}

bool apply(const sql::Setting& setting, sql::Options& options) {
  const std::string& name = setting.name;
  if (name == "host") {
    options.host = setting.value;
  } else if (name == "port") {
    options.port = static_cast<uint16_t>(number(setting, 65535));
  } else if (name == "socket") {
    options.socket = setting.value;
  } else if (name == "user") {
    options.user = setting.value;
  } else if (name == "password") {
    options.password = setting.value;
  } else if (name == "connect_timeout") {
    options.connect_timeout = std::chrono::seconds(number(setting, 31536000));
  } else if (name == "ssl") {
    options.tls.required = flag(setting);
  } else if (name == "skip_ssl") {
    options.tls = {};
  } else if (name == "ssl_verify_server_cert") {
    options.tls.verify_server = flag(setting);
  } else if (name == "ssl_ca") {
    options.tls.ca = setting.value;
  } else if (name == "ssl_capath") {
    options.tls.ca_path = setting.value;
  } else if (name == "ssl_cert") {
    options.tls.certificate = setting.value;
  } else if (name == "ssl_key") {
    options.tls.key = setting.value;
  } else if (name == "ssl_cipher") {
    options.tls.cipher = setting.value;
  } else {
    return false;
  }
  return true;
}

PasswordArgument take_password(std::vector<std::string>& arguments) {
  static constexpr std::string_view kLong = "--password";
  PasswordArgument password;
  const auto take = [&password](const std::string& argument) {
    const bool is_long = argument.starts_with(kLong) &&
                         (argument.size() == kLong.size() || argument[kLong.size()] == '=');
    const bool is_short = argument.starts_with("-p");
    if (!is_long && !is_short) return false;
    const size_t value = is_short ? 2 : kLong.size() + 1;
    password.given = is_short ? argument.size() > 2 : argument.size() > kLong.size();
    password.ask = !password.given;
    password.value = password.given ? argument.substr(value) : "";
    return true;
  };
  arguments.erase(std::remove_if(arguments.begin(), arguments.end(), take), arguments.end());
  return password;
}

std::string ask_password() {
  termios before{};
  const bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
  if (terminal) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    std::cerr << "Enter password: " << std::flush;
  }
  std::string password;
  std::getline(std::cin, password);
  if (terminal) {
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    std::cerr << '\n';
  }
  return password;
}

}  // namespace active_master::cli
