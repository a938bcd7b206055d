// From the settings of servers to what connects to them.
#pragma once

#include "app/config/settings.h"
#include "ferry/base/result.h"
#include "ferry/sftp/connect.h"
#include "ferry/transfer/agent.h"

namespace ferry::app {

/// Reads the secrets' files.
Result<sftp::ConnectOptions> resolve_connection(const ConnectionSettings& connection,
                                                const TransferSettings& transfer);
Result<transfer::Destination> resolve_destination(const DestinationSettings& destination,
                                                  const TransferSettings& transfer);

}  // namespace ferry::app
