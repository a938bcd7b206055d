// Tells a person that a large metastore is being read, which happens when its index is built.
#pragma once

#include <cstdint>
#include <functional>

namespace ferry::app {

/// For metastore::Options::on_reading: says nothing if it takes less than a second; then a bar
/// on a terminal, and a log line every few seconds elsewhere.
std::function<void(std::uint64_t bytes, std::uint64_t total)> show_reading();

}  // namespace ferry::app
