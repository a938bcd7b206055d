// Tries a destination out, from the name of its host to the rename of a file, and cleans up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/transfer/agent.h"

namespace ferry::transfer {

enum class Health : std::uint8_t {
  kWell,
  kNote,     // worth knowing; nothing to mend
  kTrouble,  // deliveries fail, or will
};

/// What one step of a probe found.
struct ProbeStep {
  std::string name;  // "resolve", "connect", "directory", …
  Health health = Health::kWell;
  std::string message;
  std::string cure;                     // what to do; empty if the message says it
  ErrorKind kind = ErrorKind::kFailed;  // with kTrouble
};

/// Makes ".ferry-doctor.<uuid>" files in the destination's directories and removes them again;
/// makes no directories. Ends early if a step leaves nothing for the next ones to try.
/// NEEDED_BYTES are what waits to be delivered.
std::vector<ProbeStep> probe_destination(const Destination& destination, std::uint64_t needed_bytes,
                                         StopToken& stop);

}  // namespace ferry::transfer
