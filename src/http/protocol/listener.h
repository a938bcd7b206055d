// Sockets that clients connect to.
#pragma once

#include <string>

#include "ferry/base/fd.h"
#include "ferry/base/result.h"
#include "ferry/http/service.h"

namespace ferry::http {

struct Listener {
  Listener(UniqueFd socket, Address where);
  Listener(Listener&&) = default;
  Listener& operator=(Listener&&) = delete;
  /// Takes away the Unix socket that listen_at made.
  ~Listener();

  UniqueFd fd;
  Address address;  // with the port that it got
  bool is_unix = false;
  FileIdentity made{};  // the Unix socket that goes with it
};

/// kInvalid for an address that this host has not; kFailed if it is taken; kDenied.
Result<Listener> listen_at(const Address& address);

/// One that listens already; kInvalid if FD is something else.
Result<Listener> take_listening(UniqueFd fd);

}  // namespace ferry::http
