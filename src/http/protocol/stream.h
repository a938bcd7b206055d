// The bytes of a connection, in the clear or by TLS. Belongs to one thread; no member waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace ferry::http {

class Stream {
 public:
  enum class What : std::uint8_t {
    kMoved,       // some bytes
    kWantsRead,   // none before the descriptor is readable (poll(2): POLLIN)
    kWantsWrite,  // none before it is writable; then the same call again, with the same bytes
    kEnded,       // none any more
  };
  struct Step {
    What what;
    std::size_t bytes = 0;
  };

  virtual ~Stream() = default;
  virtual Step read(std::span<char> space) = 0;
  virtual Step write(std::string_view bytes) = 0;
  /// Tells the other side that nothing comes any more.
  virtual void end() = 0;
};

/// In the clear. FD is not closed.
std::unique_ptr<Stream> open_stream(int fd);

}  // namespace ferry::http
