#include "landing/watch/mailbox.h"
#include "ferry/base/event_fd.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

namespace ferry::landing {

Mailbox::Mailbox() : wake_(make_event_fd()) {}

void Mailbox::wake() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
}

void Mailbox::post(Finished finished) {
  const std::scoped_lock lock(mutex_);
  const bool first = mail_.finished.empty();
  mail_.finished.push_back(std::move(finished));
  if (first) wake();
}

void Mailbox::post_all(std::vector<Finished> finished) {
  const std::scoped_lock lock(mutex_);
  std::ranges::move(finished, std::back_inserter(mail_.finished));
  wake();
}

void Mailbox::post_swept(std::size_t area) {
  const std::scoped_lock lock(mutex_);
  mail_.swept.push_back(area);
  wake();
}

void Mailbox::post_failure(Failure failure) {
  const std::scoped_lock lock(mutex_);
  if (!mail_.failure) mail_.failure = std::move(failure);
  wake();
}

Mail Mailbox::take() {
  // Reset first: what is posted from here on wakes again.
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
  const std::scoped_lock lock(mutex_);
  return std::exchange(mail_, {});
}

}  // namespace ferry::landing
