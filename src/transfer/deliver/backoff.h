// How long to wait before trying again. Pure but for the dice.
#pragma once

#include <algorithm>
#include <chrono>
#include <random>

#include "ferry/transfer/agent.h"

namespace ferry::transfer {

/// The wait before retry number RETRY (from 0): doubled each time up to the longest, of which
/// FRACTION, from 0 to 1, decides where between half and all of it falls. Spread like that, agents
/// that were thrown out together do not come back together.
inline std::chrono::milliseconds backoff(const Retries& retries, unsigned retry, double fraction) {
  constexpr unsigned kMaxDoublings = 20;
  const auto full =
      std::min(retries.longest_delay, retries.first_delay * (1L << std::min(retry, kMaxDoublings)));
  const double share = 0.5 + fraction / 2;
  return std::chrono::milliseconds(
      static_cast<std::chrono::milliseconds::rep>(static_cast<double>(full.count()) * share));
}

/// The same with a fraction by chance. Thread-safe.
inline std::chrono::milliseconds backoff(const Retries& retries, unsigned retry) {
  thread_local std::minstd_rand dice(std::random_device{}());
  return backoff(retries, retry, std::uniform_real_distribution<double>(0, 1)(dice));
}

}  // namespace ferry::transfer
