// line_proxy's command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fault_plan.h"
#include "relay.h"

namespace ferry::bench {

struct ProxyOptions {
  std::uint16_t port = 0;
  std::uint16_t target = 0;
  LineOptions line;
  FaultOptions faults;
  std::string count_file;
};

/// None where --help was asked for. Throws where an option is wrong.
std::optional<ProxyOptions> parse_options(int argc, char** argv);

}  // namespace ferry::bench
