// Which algorithms ssh(1) shall propose.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

/// Options for ssh: what its configuration says, without legacy algorithms or with them, as OPTIONS
/// want it. Of ssh's own list ChaCha20-Poly1305 comes first; where the processor has instructions
/// for AES, AES-GCM takes half its time. A list that somebody wrote into a configuration file keeps
/// its order.
std::vector<std::string> ssh_algorithm_options(const ConnectOptions& options,
                                               const StopToken& stop);

/// The same from what ssh -G prints for the host, and for one that no configuration knows. Pure.
std::vector<std::string> ssh_algorithm_options(std::string_view effective,
                                               std::string_view defaults, bool legacy,
                                               bool prefers_gcm);

}  // namespace ferry::sftp
