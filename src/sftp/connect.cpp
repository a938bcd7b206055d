#include "ferry/sftp/connect.h"

namespace ferry::sftp {

Result<std::unique_ptr<Channel>> connect(const ConnectOptions& options, StopToken& stop) {
  switch (options.transport) {
    case Transport::kLibssh2:
      return connect_libssh2(options, stop);
    case Transport::kOpenSsh:
      return connect_openssh(options, stop);
  }
  return make_error(ErrorKind::kInvalid, "unknown transport");
}

}  // namespace ferry::sftp
