// Carries out the core's jobs on the server, each on its lane: a thread with a queue. What can
// block has a lane of its own, so that nothing urgent waits behind it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plugin/core/inputs.h"
#include "plugin/core/jobs.h"
#include "plugin/server/session.h"
#include "plugin/state_file.h"

namespace active_master {

class JobRunner {
 public:
  // `done` and `status` are called on the lanes' threads.
  JobRunner(StateFile& state_file, std::function<void(JobDone)> done,
            std::function<void(ServerStatus)> status);
  // Cancels what runs, forgets what waits, and returns when every thread has ended.
  ~JobRunner();
  JobRunner(const JobRunner&) = delete;
  JobRunner& operator=(const JobRunner&) = delete;

  void run(JobId id, Job job);
  void cancel(JobId id);
  void read_status();
  // What a client is told that would write while the fence is closed.
  void explain_fence(std::string why);
  // So far apart at least clients may begin to write; 0: at will.
  void pace_writes(Duration distance);
  // Until then by the monotonic clock what writes is let through; kNever: there are no leases.
  void write_until(Time until);

 private:
  class Lane;

  void run_aside(std::function<void(Session&)> work);

  StateFile& state_file_;
  std::function<void(JobDone)> done_;
  std::function<void(ServerStatus)> status_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace active_master
