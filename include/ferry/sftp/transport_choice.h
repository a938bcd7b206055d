// Which transport suits a server: libssh2, unless the keys or the user's ssh_config(5) need ssh(1).
#pragma once

#include <string>

#include "ferry/base/stop.h"
#include "ferry/sftp/connect.h"

namespace ferry::sftp {

struct TransportChoice {
  Transport transport = Transport::kLibssh2;
  std::string reason;  // the end of a sentence; empty: nothing speaks against libssh2
};

/// Goes by the keys' files, and by what `ssh -G HOST` says. A password or passphrase that is given
/// speaks for libssh2, which alone can use it. OPTIONS.user may be empty: ssh's choice then counts.
TransportChoice choose_transport(const ConnectOptions& options, const StopToken& stop);

}  // namespace ferry::sftp
