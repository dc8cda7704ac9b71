// The fence: while it is closed, no client can write on this server, accounts with READ ONLY ADMIN
// included. fence_audit.cc makes it hold; this is what it is told.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

namespace active_master {

class Fence {
 public:
  // What a client gets that would write.
  struct Refusal {
    unsigned int number = 0;
    std::string text;
  };

  void close() { closed_ = true; }
  void open() { closed_ = false; }
  // Switched off by the operator, it lets everyone pass, whatever the role of the node.
  void set_enabled(bool enabled) { enabled_ = enabled; }
  [[nodiscard]] bool enabled() const { return enabled_; }
  [[nodiscard]] bool closed() const { return closed_ && enabled_; }

  void set_number(unsigned int number);
  // Why, and where to write instead.
  void set_text(std::string text);
  [[nodiscard]] std::shared_ptr<const Refusal> refusal() const;

 private:
  std::atomic<bool> closed_{false};
  std::atomic<bool> enabled_{true};
  mutable std::mutex mutex_;  // taken by who is refused only
  std::shared_ptr<const Refusal> refusal_ = std::make_shared<Refusal>();
};

}  // namespace active_master
