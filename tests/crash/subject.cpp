#include "subject.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

namespace ferry::crash {
namespace {

void read_link(int fd, Subject& subject) {
  char link[64];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = ::readlink(link, subject.text, sizeof subject.text - 1);
  subject.text[size < 0 ? 0 : size] = '\0';
}

}  // namespace

Subject of_descriptor(int fd) {
  Subject subject;
  read_link(fd, subject);
  return subject;
}

Subject of_path(int directory, const char* path) {
  Subject subject;
  if (path == nullptr) return subject;
  // SQLite, which has no openat(2), is led beneath a directory so.
  int held = -1;
  int prefix = 0;
  if (std::sscanf(path, "/proc/self/fd/%d%n", &held, &prefix) == 1) {
    return path[prefix] == '/' ? of_path(held, path + prefix + 1) : of_descriptor(held);
  }
  if (path[0] != '/' && directory == AT_FDCWD) {
    if (::getcwd(subject.text, sizeof subject.text) == nullptr) subject.text[0] = '\0';
  } else if (path[0] != '/') {
    read_link(directory, subject);
  }
  const std::size_t used = std::strlen(subject.text);
  std::snprintf(subject.text + used, sizeof subject.text - used, "%s%s", used > 0 ? "/" : "", path);
  return subject;
}

Subject of_path(const char* path) {
  return of_path(AT_FDCWD, path);
}

bool is_internet_socket(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
  return domain == AF_INET || domain == AF_INET6;
}

}  // namespace ferry::crash
