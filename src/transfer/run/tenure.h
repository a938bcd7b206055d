// Whether an agent may still take a step that others see.
#pragma once

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/task.h"

namespace ferry::transfer {

inline bool is_lost(const metastore::AgentPresence* presence) {
  return presence != nullptr && presence->tenure() == metastore::AgentPresence::Tenure::kLost;
}

/// To be asked right before a name is given or taken away at B. Waits for as long as nobody can
/// tell. kCancelled: what PRESENCE had claimed may be somebody else's by now; or the loop's stop
/// was requested meanwhile. Null: there is nothing to lose.
sftp::Task<Result<void>> confirm_tenure(const metastore::AgentPresence* presence,
                                        sftp::EventLoop& loop);

}  // namespace ferry::transfer
