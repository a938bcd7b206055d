#include "app/upload_input.h"

#include <fcntl.h>
#include <poll.h>

#include <array>
#include <cerrno>

namespace ferry::app {

Result<UploadInput> UploadInput::open(const std::string& name) {
  if (name == "-") return UploadInput("standard input", UniqueFd());
  auto fd = open_file(name, O_RDONLY);
  if (!fd) return fd.error();
  const auto status = stat_fd(fd->get(), name);
  if (!status) return status.error();
  if (S_ISDIR(status->st_mode)) {
    return make_error(ErrorKind::kInvalid, "{} is a directory: name the files in it", name);
  }
  UploadInput input(name, std::move(*fd));
  if (S_ISREG(status->st_mode)) input.identity_ = identity_of(*status);
  return input;
}

Result<std::size_t> UploadInput::read(std::span<std::byte> buffer, const StopToken& stop) {
  for (;;) {
    if (!identity_) {
      // A pipe may keep us waiting, and a stop must not.
      std::array<pollfd, 2> wait{{{fd(), POLLIN, 0}, {stop.fd(), POLLIN, 0}}};
      if (::poll(wait.data(), wait.size(), -1) < 0 && errno != EINTR) {
        return errno_error(errno, fmt::format("wait for {}", name_));
      }
    }
    if (stop.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
    const ssize_t count = ::read(fd(), buffer.data(), buffer.size());
    if (count == 0) return end_of_file();
    if (count > 0) {
      offset_ += static_cast<std::uint64_t>(count);
      return static_cast<std::size_t>(count);
    }
    if (errno != EINTR && errno != EAGAIN) return errno_error(errno, fmt::format("read {}", name_));
  }
}

Result<std::size_t> UploadInput::end_of_file() const {
  if (!identity_) return std::size_t{0};
  const auto status = stat_fd(fd(), name_);
  if (!status) return status.error();
  if (identity_of(*status) == *identity_ && offset_ == identity_->size) return std::size_t{0};
  return make_error(ErrorKind::kAbnormal, "{} changed while it was read: upload it when it is done",
                    name_);
}

}  // namespace ferry::app
