// Part files that nobody will go on with: their file was replaced or went missing before an agent,
// since dead or failed, had delivered it.
#pragma once

#include <string>

#include "ferry/base/result.h"
#include "ferry/metastore/metastore.h"
#include "transfer/deliver/session.h"
#include "transfer/run/run_context.h"

namespace ferry::transfer {

/// Removes them at B, with their journals, and says so in transfer_logs in AGENT's name, so that
/// nobody looks for them again. What dead agents' batches left is another matter: see recovery.h.
Result<void> remove_stale_parts(metastore::Metastore& metastore, const BatchContext& context,
                                Session& session, const std::string& agent);

}  // namespace ferry::transfer
