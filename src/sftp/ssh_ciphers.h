// Which cipher ssh(1) shall prefer.
#pragma once

#include <string>

#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// A value for ssh_config(5)'s Ciphers; empty: leave it alone.
///
/// Of ssh's own list ChaCha20-Poly1305 comes first; where the processor has instructions for AES,
/// AES-GCM takes half its time. A list that somebody wrote into a configuration file is kept.
std::string preferred_ciphers(const ConnectOptions& options, const StopToken& stop);

}  // namespace ferry::sftp
