// An SFTP version 3 client on one channel (draft-ietf-secsh-filexfer-02, OpenSSH's extensions).
//
// Every request is a task on the client's EventLoop; any number of them may be in flight. A server
// answers requests in whatever order it likes (draft-ietf-secsh-filexfer-02 §6.1 promises order for
// one file only, and servers that work requests off side by side do not keep even that): what must
// come after something waits for its answer.
//
// Nothing that the server sends is trusted, and the memory that it can make us spend is bounded: a
// malformed, oversized or unsolicited packet ends the connection with kProtocol, an end of the
// stream or no byte in either direction for stall_timeout with kConnectionLost. After that all
// requests in flight, and all later ones, fail at once with that error, so that every task comes to
// its end.
//
// Errors of requests: kNotFound, kDenied, kFailed (the server says no more), and the above.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/sftp/channel.h"
#include "ferry/sftp/connect.h"
#include "ferry/sftp/event_loop.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

/// Whether an error is that of the connection, which is of no use any more, and not the request's.
inline bool ends_connection(ErrorKind kind) {
  return kind == ErrorKind::kConnectionLost || kind == ErrorKind::kProtocol;
}

struct ClientOptions : LineLimits {
  /// When so many bytes of data may go; absent: at once.
  std::function<std::chrono::steady_clock::time_point(std::size_t bytes)> pace;
  /// How long requests in flight may still take once a stop was requested.
  std::chrono::milliseconds stop_grace = std::chrono::seconds(5);
};

/// Bytes to be written.
struct ByteSource {
  /// Fills BUFFER, wholly, with the bytes at OFFSET, which is where the last call ended.
  std::function<Result<void>(std::uint64_t offset, std::span<std::byte> buffer)> read;
  /// Ends when the next SIZE bytes can be read without waiting. Absent: they always can.
  std::function<Task<Result<void>>(std::size_t size)> await = {};
};
/// Is told of each acknowledged range.
using OnAcknowledged = std::function<void(std::uint64_t offset, std::size_t size)>;

/// Takes the bytes of a file, in order.
using DataSink = std::function<void(std::span<const std::byte> data)>;

class Client {
 public:
  /// Agrees on the protocol's version and asks for the server's extensions and limits. LOOP must
  /// outlive the client.
  static Task<Result<std::unique_ptr<Client>>> start(std::unique_ptr<Channel> channel,
                                                     ClientOptions options, EventLoop& loop);
  /// The same on a new connection, which is made in a thread of its own; errors also those of
  /// sftp::connect.
  static Task<Result<std::unique_ptr<Client>>> connect(ConnectOptions where, ClientOptions options,
                                                       EventLoop& loop);
  /// Not by a task that an answer has just resumed: see EventLoop::next_turn.
  ~Client();

  EventLoop& loop() const;

  /// What ended the connection, if it has ended.
  const std::optional<Error>& error() const;
  /// Is notified when the connection has ended.
  Condition& ended() const;

  /// What the server says of itself: its identification string, if the channel knows it, and all
  /// of its extensions. Another one means another server, or another version of it.
  std::string server_description() const;
  bool offers_fsync() const;
  bool offers_posix_rename() const;
  bool offers_statvfs() const;
  bool offers_hardlink() const;
  /// What the server takes; as long as its answer is on its way, what any server takes.
  const ServerLimits& limits() const;
  /// Returns once that is there, or will not come.
  Task<void> await_limits();
  Agreement agreement() const;  // the channel's
  /// The line's, near enough: the shortest time in which any request was answered so far.
  std::chrono::nanoseconds round_trip() const;
  /// The most data that goes into one write: what the server says, else the 32 KiB that every
  /// server takes. See limits.
  std::size_t max_write_bytes() const;

  /// Waits while as many files and directories are open as the server keeps open for us: what it
  /// says, else kAssumedOpenHandles, and fewer if it refuses while others are open.
  Task<Result<Handle>> open(std::string path, std::uint32_t flags, std::uint32_t permissions);
  /// The same for who has files open, and closes none of them meanwhile: it does not wait for that.
  Task<Result<Handle>> open_beside(std::string path, std::uint32_t flags,
                                   std::uint32_t permissions);
  static constexpr std::size_t kAssumedOpenHandles = 64;
  Task<Result<void>> close(Handle handle);
  Task<Result<Attributes>> stat(std::string path);
  Task<Result<Attributes>> lstat(std::string path);  // of a symbolic link itself
  Task<Result<Attributes>> fstat(const Handle& handle);
  Task<Result<void>> fsync(const Handle& handle);  // only if offers_fsync()
  Task<Result<void>> mkdir(std::string path);
  Task<Result<void>> remove(std::string path);
  /// Sets what ATTRIBUTES have of permissions (of which it is the last twelve bits that count) and
  /// of the time of the last change, which is taken for that of the last access too.
  Task<Result<void>> set_attributes(std::string path, Attributes attributes);
  Task<Result<std::string>> realpath(std::string path);
  /// Gives FROM the name TO if nothing has it: kFailed, as a rule, if something does.
  Task<Result<void>> rename(std::string from, std::string to);
  static constexpr std::size_t kMaxListedNames = 1'000'000;
  /// All names in a directory, or at least ENOUGH of them; kFailed if there are more than
  /// kMaxListedNames, or more bytes of names than kMaxListedBytes.
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory,
                                                 std::size_t enough = kMaxListedNames + 1);
  static constexpr std::size_t kMaxListedBytes = 64 << 20;
  Task<Result<FileSystemSpace>> statvfs(std::string path);  // only if offers_statvfs()

  /// Gives FROM the name TO in one step if the server can (posix-rename). Elsewhere by a plain
  /// rename, which fails if TO exists; then TO is removed first, and for that moment neither is
  /// there.
  Task<Result<void>> replace(std::string from, std::string to);

  /// Gives FILE, which may be a symbolic link itself, a second name; fails if something has that.
  Task<Result<void>> link(std::string file, std::string name);  // only if offers_hardlink()

  /// Writes the bytes [BEGIN, END) of a source at the same offsets of HANDLE, as many writes in
  /// flight as the window has room for; of several such tasks the one that began first goes first.
  /// Returns when all are answered; after the first error, SOURCE's included, it sends no more.
  Task<Result<void>> write(const Handle& handle, std::uint64_t begin, std::uint64_t end,
                           const ByteSource& source, const OnAcknowledged& on_acknowledged);

  /// Writes a whole source of SIZE bytes, and when all writes are answered asks for fsync (if
  /// SYNC), fstat and close at once. A server that works requests off side by side may have closed
  /// the file before it comes to the others: what could not be asked so is asked again afterwards,
  /// by PATH. Returns what the server then says of the file. HANDLE is closed in any case.
  Task<Result<Attributes>> write_and_close(Handle handle, std::string path, std::uint64_t size,
                                           bool sync, const ByteSource& source,
                                           const OnAcknowledged& on_acknowledged);

  /// Gives SINK the bytes of a file from its beginning to its end, several reads in flight. kFailed
  /// if it has more than AT_MOST.
  Task<Result<void>> read(const Handle& handle, std::uint64_t at_most, const DataSink& sink);

 private:
  friend class ReadAhead;
  class Connection;
  template <typename T>
  class Pending;
  class WriteBatch;
  class Room;
  class LimitsAnswer;

  explicit Client(std::unique_ptr<Connection> connection);
  Task<void> send_all(WriteBatch& batch, std::uint64_t begin, std::uint64_t end,
                      const ByteSource& source);
  Task<Result<void>> negotiate();
  void take_limits(const ServerLimits& limits);
  Task<Result<void>> sync_by_path(std::string path);
  template <typename Ask>
  Task<Result<Handle>> open_within_limits(Ask ask, bool waits);
  std::function<std::uint32_t()> ask_to_open(std::string path, std::uint32_t flags,
                                             std::uint32_t permissions);
  Task<void> await_turn(std::size_t bytes);

  std::unique_ptr<LimitsAnswer> limits_answer_;  // which is on its way
  std::unique_ptr<Connection> connection_;
  ServerLimits limits_;
  /// Files and directories that are open at the server, or being opened.
  std::size_t open_handles_ = 0;
  std::size_t most_open_handles_ = kAssumedOpenHandles;
  bool knows_most_open_handles_ = false;  // an open that was refused worked with fewer
  Condition handle_closed_;
};

}  // namespace ferry::sftp
