// The witness: a voter of two nodes.
#include "plugin/core/sim/note.h"
#include "plugin/core/sim/world.h"

namespace active_master::sim {

void World::build_witness() {
  auto& w = witness_.emplace();
  w.config = config_of(0, schedule_);
  w.config.identity = {"sim", "w", 0};
  w.config.peers.clear();
  for (const auto& n : nodes_) w.config.peers.push_back({n.name, {n.name, 33307}});
  w.disk = nodes_[0].disk;
  w.disk.identity = w.config.identity;
  w.drift = static_cast<int>(random_.between(0, 18'000)) - 9'000;
  restart_witness();
}

void World::restart_witness() {
  auto& w = *witness_;
  if (w.witness) return;
  note("w starts");
  w.witness = std::make_unique<Witness>(w.config, w.disk);
  w.wakeup = now_;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    push(latency(), Kind::kLinkUp, witness_party(), i, 0);
    push(latency(), Kind::kLinkUp, i, witness_party(), 0);
  }
}

void World::crash_witness() {
  auto& w = *witness_;
  if (!w.witness) return;
  note("w crashes");
  w.witness.reset();
  w.writing.clear();
  w.written = 0;
  w.frozen_until = {};
  ++w.incarnation;
  for (uint8_t i = 0; i < nodes_.size(); ++i) {
    if (link_[i][witness_party()]) push(latency(), Kind::kLinkDown, i, witness_party(), 0);
    link_[i][witness_party()] = link_[witness_party()][i] = false;
  }
}

void World::give_witness(const Input& input) {
  auto& w = *witness_;
  const auto actions = w.witness->handle(input, clock_with(w.drift));
  w.wakeup = when_clock_says(w.drift, w.witness->next_wakeup());
  const auto write = [](NodeMessage message) {
    return std::make_shared<Letter>(FromNode{"w", std::move(message)});
  };
  for (auto& action : actions) {
    if (auto* send = std::get_if<SendToNode>(&action)) {
      const auto to = node_number(send->node);
      if (to && link_[witness_party()][*to])
        post(witness_party(), *to, write(std::move(send->message)));
    } else if (auto* all = std::get_if<SendToAll>(&action)) {
      const Mail state = write(std::move(all->state));
      for (uint8_t i = 0; i < nodes_.size(); ++i) {
        if (link_[witness_party()][i]) post(witness_party(), i, state);
      }
    } else if (auto* job = std::get_if<RunJob>(&action)) {
      w.writing.push_back(std::get<PersistJob>(job->job).durable);
      push(latency(), Kind::kWitnessStored, 0, 0, w.incarnation, w.writing.size());
    } else if (const auto* line = std::get_if<LogLine>(&action)) {
      note(line->text);
    }
  }
}

void World::witness_stored(const Event& event) {
  auto& w = *witness_;
  if (event.incarnation != w.incarnation) return;
  w.written = std::max(w.written, event.value);
  w.disk = w.writing[w.written - 1];
  JobDone done;
  done.id = JobId{event.value};
  give_witness(done);
}

}  // namespace active_master::sim
