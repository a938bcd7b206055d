// An SFTP version 3 client on one channel (draft-ietf-secsh-filexfer-02, OpenSSH's extensions).
//
// Every request is a task; any number of them may be in flight. The usual shape is one task per
// file, many of them spawned on one client:
//
//   client->spawn(deliver(*client, file));   // a coroutine that awaits client->open(…) and so on
//   auto ended = client->run();              // moves bytes until all spawned tasks have ended
//
// A client belongs to one thread. Nothing that the server sends is trusted: a malformed, oversized
// or unsolicited packet ends the connection with kProtocol, an end of the stream or no byte in
// either direction for stall_timeout with kConnectionLost. After that all requests in flight, and
// all later ones, fail at once with that error, so that every task comes to its end.
//
// Errors of requests: kNotFound, kDenied, kFailed (the server says no more), and the above.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ferry/base/result.h"
#include "ferry/base/stop.h"
#include "ferry/sftp/channel.h"
#include "ferry/sftp/protocol.h"
#include "ferry/sftp/task.h"

namespace ferry::sftp {

/// Whether an error is that of the connection, which is of no use any more, and not the request's.
inline bool ends_connection(ErrorKind kind) {
  return kind == ErrorKind::kConnectionLost || kind == ErrorKind::kProtocol;
}

struct ClientOptions {
  /// The most data written and not yet acknowledged. Bounds the memory for data; a long line wants
  /// at least bandwidth × round trip. Where the round trip is short, less is used.
  std::size_t window_bytes = 4 << 20;
  /// No byte in either direction for this long while an answer is due: the connection is lost.
  std::chrono::milliseconds stall_timeout = std::chrono::seconds(60);
  /// When so many bytes of data may go; absent: at once.
  std::function<std::chrono::steady_clock::time_point(std::size_t bytes)> pace;
  /// How long requests in flight may still take once a stop was requested.
  std::chrono::milliseconds stop_grace = std::chrono::seconds(5);
};

/// Fills BUFFER, wholly, with the bytes of a source at OFFSET.
using SourceReader = std::function<Result<void>(std::uint64_t offset, std::span<std::byte> buffer)>;
/// Is told of each acknowledged range.
using OnAcknowledged = std::function<void(std::uint64_t offset, std::size_t size)>;

/// Takes the bytes of a file, in order.
using DataSink = std::function<void(std::span<const std::byte> data)>;

struct ConnectOptions;

class Client {
 public:
  /// Agrees on the protocol's version and asks for the server's extensions and limits. STOP must
  /// outlive the client.
  static Result<std::unique_ptr<Client>> start(std::unique_ptr<Channel> channel,
                                               const ClientOptions& options, StopToken& stop);
  /// The same on a new connection; errors also those of sftp::connect.
  static Result<std::unique_ptr<Client>> connect(const ConnectOptions& where,
                                                 const ClientOptions& options, StopToken& stop);
  ~Client();

  /// Starts TASK; the client owns it.
  void spawn(Task<void> task);

  /// Returns when all spawned tasks have ended: an error where the connection did not survive it.
  Result<void> run();

  bool offers_fsync() const;
  bool offers_posix_rename() const;
  bool offers_statvfs() const;
  const ServerLimits& limits() const;
  Agreement agreement() const;  // the channel's
  /// The line's, near enough: the shortest time in which any request was answered so far.
  std::chrono::nanoseconds round_trip() const;
  /// The most data that goes into one write: what the server says, else the 32 KiB that every
  /// server takes.
  std::size_t max_write_bytes() const;

  Task<Result<Handle>> open(std::string path, std::uint32_t flags, std::uint32_t permissions);
  Task<Result<void>> close(Handle handle);
  Task<Result<Attributes>> stat(std::string path);
  Task<Result<Attributes>> lstat(std::string path);  // of a symbolic link itself
  Task<Result<Attributes>> fstat(const Handle& handle);
  Task<Result<void>> fsync(const Handle& handle);  // only where offers_fsync()
  Task<Result<void>> mkdir(std::string path);
  Task<Result<void>> remove(std::string path);
  Task<Result<std::string>> realpath(std::string path);
  /// Gives FROM the name TO where nothing has it: kFailed, as a rule, where something does.
  Task<Result<void>> rename(std::string from, std::string to);
  /// All names in a directory; kFailed where there are more than kMaxListedNames.
  Task<Result<std::vector<DirectoryEntry>>> list(std::string directory);
  static constexpr std::size_t kMaxListedNames = 1'000'000;
  Task<Result<FileSystemSpace>> statvfs(std::string path);  // only where offers_statvfs()

  /// Gives FROM the name TO in one step where the server can (posix-rename). Elsewhere by a plain
  /// rename, which fails where TO exists; then TO is removed first, and for that moment neither is
  /// there.
  Task<Result<void>> replace(std::string from, std::string to);

  /// Writes the bytes [BEGIN, END) of a source at the same offsets of HANDLE, as many writes in
  /// flight as the window has room for; of several such tasks the one that began first goes first.
  /// Returns when all are answered; after the first error, READ's included, it sends no more.
  Task<Result<void>> write(const Handle& handle, std::uint64_t begin, std::uint64_t end,
                           const SourceReader& read, const OnAcknowledged& on_acknowledged);

  /// Writes a whole source of SIZE bytes, and right behind the last write asks for fsync (where
  /// SYNC), fstat and close, without waiting for answers in between: a server answers requests for
  /// one file as if it had worked them off in order (draft-ietf-secsh-filexfer-02 §6.1). Returns
  /// what fstat said. HANDLE is closed in any case.
  Task<Result<Attributes>> write_and_close(Handle handle, std::uint64_t size, bool sync,
                                           const SourceReader& read,
                                           const OnAcknowledged& on_acknowledged);

  /// Gives SINK the bytes of a file from its beginning to its end, several reads in flight.
  Task<Result<void>> read(const Handle& handle, const DataSink& sink);

  /// Ends at TIME, or as soon as the connection failed or a stop was requested.
  Task<void> sleep_until(std::chrono::steady_clock::time_point time);

 private:
  friend class ReadAhead;
  class Connection;
  template <typename T>
  class Pending;
  class WriteBatch;
  class Room;
  class Sleep;

  explicit Client(std::unique_ptr<Connection> connection);
  Task<void> send_all(WriteBatch& batch, std::uint64_t begin, std::uint64_t end,
                      const SourceReader& read);
  Task<void> negotiate(Result<void>& outcome);

  std::unique_ptr<Connection> connection_;
  ServerLimits limits_;
};

}  // namespace ferry::sftp
