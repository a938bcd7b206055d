#include "http/protocol/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace ferry::http {
namespace {

constexpr mode_t kSocketMode = 0660;  // whoever may write to it may connect

bool is_v6(const Address& address) {
  return address.host.contains(':');
}

/// 0: ADDRESS is none.
socklen_t to_socket_address(const Address& address, sockaddr_storage& storage) {
  storage = {};
  if (!address.socket.empty()) {
    auto& un = reinterpret_cast<sockaddr_un&>(storage);
    const std::string path = address.socket.string();
    if (path.size() >= sizeof un.sun_path) return 0;
    un.sun_family = AF_UNIX;
    std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
    return sizeof un;
  }
  if (is_v6(address)) {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    return ::inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1 ? sizeof v6 : 0;
  }
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(address.port);
  return ::inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1 ? sizeof v4 : 0;
}

Result<Address> address_of(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) {
    return errno_error(errno, "socket to listen on");
  }
  Address address;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_UNIX) {
    const auto& un = reinterpret_cast<const sockaddr_un&>(storage);
    address.socket = un.sun_path[0] != '\0' ? un.sun_path : "(abstract)";
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    address.host = ::inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    address.port = ntohs(v6.sin6_port);
  } else if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    address.host = ::inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    address.port = ntohs(v4.sin_port);
  } else {
    return make_error(ErrorKind::kInvalid, "the socket to listen on is not one of HTTP's");
  }
  return address;
}

Error listen_error(int error, const Address& address) {
  Error result = errno_error(error, fmt::format("listen on {}", address.to_string()));
  if (error == EADDRINUSE) result.kind = ErrorKind::kFailed;
  if (error == EADDRNOTAVAIL) result.kind = ErrorKind::kInvalid;
  return result;
}

/// Takes away a Unix socket that its process left when it died.
void remove_if_dead(const Address& address, const sockaddr_storage& storage, socklen_t size) {
  struct stat status{};
  const bool is_socket = ::lstat(address.socket.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
  if (!is_socket) return;
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return;
  const bool is_dead =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0 &&
      errno == ECONNREFUSED;
  if (is_dead) ::unlink(address.socket.c_str());
}

Result<FileIdentity> socket_identity(const fs::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return errno_error(errno, path.string());
  return identity_of(status);
}

}  // namespace

Listener::Listener(UniqueFd socket, Address where)
    : fd(std::move(socket)), address(std::move(where)), is_unix(!address.socket.empty()) {}

Listener::~Listener() {
  if (!fd || made == FileIdentity{}) return;
  const auto there = socket_identity(address.socket);
  if (there && there->device == made.device && there->inode == made.inode) {
    ::unlink(address.socket.c_str());
  }
}

Result<Listener> listen_at(const Address& address) {
  sockaddr_storage storage;
  const socklen_t size = to_socket_address(address, storage);
  if (size == 0) {
    return make_error(ErrorKind::kInvalid, "listen on {}: it is not an IP address",
                      address.to_string());
  }
  if (!address.socket.empty()) remove_if_dead(address, storage, size);
  UniqueFd fd(::socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return listen_error(errno, address);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (is_v6(address)) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&storage), size) != 0) {
    return listen_error(errno, address);
  }
  Listener listener(std::move(fd), address);
  if (listener.is_unix) {
    const auto identity = socket_identity(address.socket);
    if (!identity) return identity.error();
    listener.made = *identity;
    // Nobody can connect before it listens.
    if (::chmod(address.socket.c_str(), kSocketMode) != 0) return listen_error(errno, address);
  }
  if (::listen(listener.fd.get(), SOMAXCONN) != 0) return listen_error(errno, address);
  if (listener.is_unix) return listener;
  const auto bound = address_of(listener.fd.get());
  if (!bound) return bound.error();
  listener.address = *bound;
  return listener;
}

Result<Listener> take_listening(UniqueFd fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0) {
    return make_error(ErrorKind::kInvalid,
                      "a socket that was passed on does not listen: it has to be one of "
                      "ListenStream=, with Accept=no");
  }
  auto address = address_of(fd.get());
  if (!address) return address.error();
  ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
  return Listener(std::move(fd), std::move(*address));
}

}  // namespace ferry::http
