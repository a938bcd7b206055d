// A short vocabulary for files in a temporary directory.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <stdexcept>
#include <string_view>

#include "ferry/base/file.h"
#include "temporary_directory.h"

namespace ferry::landing::test {

using ferry::testing::TemporaryDirectory;

/// A file that is being written until the object goes.
class OpenFile {
 public:
  explicit OpenFile(const fs::path& path) : fd_(::open(path.c_str(), O_WRONLY | O_CREAT, 0644)) {
    if (!fd_) throw std::runtime_error("open " + path.string());
  }
  void write(std::string_view text) {
    if (!write_full(fd_.get(), as_bytes(text), "test file")) throw std::runtime_error("write");
  }
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

inline void put(const fs::path& path, std::string_view content) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644));
  if (!fd || !write_full(fd.get(), as_bytes(content), path)) {
    throw std::runtime_error("write " + path.string());
  }
}

inline FileIdentity identity(const fs::path& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) throw std::runtime_error("stat " + path.string());
  return identity_of(status);
}

}  // namespace ferry::landing::test
