#include "plugin/server/fence.h"

#include <utility>

namespace active_master {

void Fence::set_number(unsigned int number) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::make_shared<Refusal>(Refusal{number, refusal_->text});
}

void Fence::set_text(std::string text) {
  const std::lock_guard lock(mutex_);
  if (text == refusal_->text) return;
  refusal_ = std::make_shared<Refusal>(Refusal{refusal_->number, std::move(text)});
}

std::shared_ptr<const Fence::Refusal> Fence::refusal() const {
  const std::lock_guard lock(mutex_);
  return refusal_;
}

}  // namespace active_master
