// What a watcher does if the metastore fails.
#pragma once

#include <string_view>

#include "ferry/base/result.h"
#include "landing/watch/mailbox.h"

namespace ferry::landing {

/// True if what failed with ERROR is to be tried again: with RETRY, what may pass. Otherwise
/// nothing can be registered any more, and MAILBOX is told so, with PURPOSE.
bool may_pass(std::string_view purpose, const Error& error, bool retry, Mailbox& mailbox);

/// For questions: the same, and what may pass is logged.
bool unanswered_for_now(const Error& error, bool retry, Mailbox& mailbox);

}  // namespace ferry::landing
