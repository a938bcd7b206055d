#include "http/protocol/stream.h"

#include <sys/socket.h>

#include <cerrno>

namespace ferry::http {
namespace {

class ClearStream final : public Stream {
 public:
  explicit ClearStream(int fd) : fd_(fd) {}

  Step read(std::span<char> space) override {
    return step(::recv(fd_, space.data(), space.size(), MSG_DONTWAIT), What::kWantsRead);
  }
  Step write(std::string_view bytes) override {
    return step(::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
                What::kWantsWrite);
  }
  void end() override { ::shutdown(fd_, SHUT_WR); }

 private:
  static Step step(ssize_t count, What otherwise) {
    if (count > 0) return {What::kMoved, static_cast<std::size_t>(count)};
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return {otherwise};
    return {What::kEnded};
  }

  int fd_;
};

}  // namespace

std::unique_ptr<Stream> open_stream(int fd) {
  return std::make_unique<ClearStream>(fd);
}

}  // namespace ferry::http
