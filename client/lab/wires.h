// Machines that can be cut off from each other: a network of its own for each (Linux network
// namespaces), joined by virtual cables in that of the lab, where nftables drops packets. To be cut
// off is to hear nothing: no connection is refused or reset.
//
// Needs root, and the programs ip, tc (Debian package iproute2) and nft (nftables).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/lab/process.h"

namespace active_master::lab {

class Wires {
 public:
  // The machine of the lab itself: HAProxy, agents and clients.
  static constexpr const char* kProxies = "proxies";

  // To be called before there is a second thread: this process gets a network and mounts of its
  // own, so that whatever is done to them ends with it. False, and why, where that can't be.
  [[nodiscard]] static bool isolate(std::string& why_not);

  // What the programs print goes to the log.
  Wires(const std::vector<std::string>& machines, std::filesystem::path log);

  [[nodiscard]] std::string address(const std::string& machine) const;
  // What the command line of a program begins with that is to run there.
  [[nodiscard]] std::vector<std::string> there(const std::string& machine) const;

  // From now on packets from one to the other are dropped; of a port, those to it and from it only.
  void cut_one_way(const std::string& from, const std::string& to, uint16_t port = 0);
  void cut(const std::string& a, const std::string& b, uint16_t port = 0) {
    cut_one_way(a, b, port);
    cut_one_way(b, a, port);
  }
  // What goes to it and comes from it gets no faster than so many kilobits a second.
  void slow_down(const std::string& machine, int kilobits);
  // As if nothing had been done.
  void heal();

 private:
  struct Machine {
    int number = 0;
    std::unique_ptr<Process> holder;  // of its network
    bool is_slow = false;
  };

  void plug_in(const std::string& name, Machine& machine);
  void run_here(const std::vector<std::string>& arguments) const;
  void run_at(const std::string& machine, const std::vector<std::string>& arguments) const;
  // By which `other` knows it.
  [[nodiscard]] std::string address(const std::string& machine, const std::string& other) const;

  const std::filesystem::path log_;
  std::map<std::string, Machine> machines_;
};

}  // namespace active_master::lab
