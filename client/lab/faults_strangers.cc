// Whatever can connect to a node's port.
#include <cstdio>

#include "client/lab/faults.h"
#include "client/lab/play.h"
#include "client/lab/strangers.h"

namespace active_master::lab {
namespace {

constexpr auto kStrangersLimit = 60s;

// They besiege one node, which gives the role away meanwhile, and gets it back.
void besiege(Play& play, Manner manner) {
  const Strangers strangers(play.master.plugin_address().address.port, manner);
  for (const Node* target : {&play.candidate, &play.master}) {
    const uint64_t before = strangers.dropped();
    must(wait_until(kStrangersLimit, [&] { return strangers.dropped() > before; }),
         "no stranger was dropped");
    play.move_role(*target, play.master);
    play.cluster().wait_until_healthy(target->name());
    play.traffic_must_run();
  }
  std::printf("       %s: %llu connections, up to %llu at once, %llu dropped\n",
              std::string(to_string(manner)).c_str(),
              static_cast<unsigned long long>(strangers.connections()),
              static_cast<unsigned long long>(strangers.most_at_once()),
              static_cast<unsigned long long>(strangers.dropped()));
}

Scenario come(const char* name, Manner manner, const char* verifies) {
  return {.name = std::string("strangers_") + name,
          .rows = "S40",
          .verifies = verifies,
          .play = [manner](Play& play) { besiege(play, manner); }};
}

}  // namespace

std::vector<Scenario> strangers_at_the_door() {
  return {
      come("half_open", Manner::kHalfOpen,
           "10,000 half-open connections to a node's port: nobody notices"),
      come("slow_loris", Manner::kSlowLoris,
           "a byte now and then on hundreds of connections: nobody notices"),
      come("garbage", Manner::kGarbage, "random bytes and HTTP to a node's port: nobody notices"),
      come("oversize", Manner::kOversize, "lengths beyond every limit: nobody notices"),
      come("wrong_state", Manner::kWrongState,
           "what only members may say, before and in place of the proof"),
      come("tls", Manner::kTls, "TLS to a port without: nobody notices"),
  };
}

}  // namespace active_master::lab
