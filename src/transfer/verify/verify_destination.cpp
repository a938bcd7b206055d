#include <algorithm>
#include <sstream>

#include "ferry/transfer/verify.h"
#include "transfer/deliver/session.h"
#include "transfer/deliver/verdict.h"
#include "transfer/naming/remote_path.h"
#include "transfer/verify/extra_files.h"

namespace ferry::transfer {
namespace {

using sftp::Client;
using sftp::Task;

constexpr std::size_t kLanes = 64;         // questions on their way at once
constexpr std::size_t kReadbackLanes = 8;  // each has a few MiB on their way

Result<std::unique_ptr<Client>> connect_to(const Destination& destination, sftp::EventLoop& loop) {
  return loop.wait_for(Client::connect(destination.connect, {}, loop));
}

/// Errors that say nothing about the file that was asked for.
bool is_of_connection(const Error& error) {
  return sftp::ends_connection(error.kind) || error.kind == ErrorKind::kCancelled;
}

/// Runs on one connection, many files at once.
class DestinationCheck {
 public:
  DestinationCheck(const ReceivedControlFile& control, std::string directory,
                   const VerifyOptions& options, Client& client, StopToken& stop)
      : control_(control),
        directory_(std::move(directory)),
        options_(options),
        client_(client),
        stop_(stop),
        found_(control.files.size()) {}

  Result<Verification> run();

 private:
  using Judgement = Result<std::optional<Finding>>;

  Task<void> lane();
  Task<Judgement> check(const ListedFile& file);
  Task<Judgement> check_content(const ListedFile& file);

  const ReceivedControlFile& control_;
  const std::string directory_;
  const VerifyOptions& options_;
  Client& client_;
  StopToken& stop_;
  std::size_t next_ = 0;
  std::uint64_t bytes_ = 0;
  FindingsByFile found_;
};

Result<Verification> DestinationCheck::run() {
  const std::size_t lanes = options_.depth == Verify::kReadback ? kReadbackLanes : kLanes;
  for (std::size_t i = 0; i < lanes; ++i) client_.loop().spawn(lane());
  client_.loop().run();
  if (const auto& lost = client_.error()) return *lost;
  if (stop_.stop_requested()) return make_error(ErrorKind::kCancelled, "stopped");
  return collect(found_, bytes_);
}

Task<void> DestinationCheck::lane() {
  while (next_ < control_.files.size() && !stop_.stop_requested()) {
    const std::size_t index = next_++;
    const ListedFile& file = control_.files[index];
    auto judgement = co_await check(file);
    if (!judgement) {
      const Error& error = judgement.error();
      if (is_of_connection(error)) co_return;
      judgement = error.kind == ErrorKind::kNotFound
                      ? finding(file, Verdict::kMissing, "it is not there")
                      : finding(file, Verdict::kUnreadable, error.message);
    }
    if (*judgement) found_[index] = std::make_unique<Finding>(std::move(**judgement));
  }
}

Task<DestinationCheck::Judgement> DestinationCheck::check(const ListedFile& file) {
  const auto attributes = co_await client_.stat(join_remote(directory_, file.path));
  if (!attributes) co_return attributes.error();
  if (attributes->permissions && !sftp::is_regular(*attributes)) {
    co_return finding(file, Verdict::kChanged, "it is not a regular file");
  }
  if (!attributes->size) {
    co_return finding(file, Verdict::kUnreadable, "the server does not tell its size");
  }
  if (auto wrong = judge_size(file, *attributes->size)) co_return std::move(wrong);
  if (options_.depth != Verify::kReadback) co_return std::optional<Finding>();
  co_return co_await check_content(file);
}

Task<DestinationCheck::Judgement> DestinationCheck::check_content(const ListedFile& file) {
  const auto handle = co_await client_.open(join_remote(directory_, file.path), sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  Hasher hasher(file.checksum.algorithm);
  const sftp::DataSink hash = [&](std::span<const std::byte> data) {
    hasher.update(data);
    bytes_ += data.size();
  };
  const auto read = co_await client_.read(*handle, file.size, hash);
  [[maybe_unused]] const auto closed = co_await client_.close(*handle);
  if (!read) co_return read.error();
  co_return judge_content(file, hasher.finish());
}

Task<Result<std::string>> find_directory(Client& client, std::string directory) {
  auto found = co_await client.realpath(directory);
  if (!found) co_return found;
  const auto there = co_await client.stat(*found);
  if (!there) co_return there.error();
  co_return found;
}

Task<Result<std::string>> read_text(Client& client, std::string path) {
  const auto handle = co_await client.open(path, sftp::kOpenRead, 0);
  if (!handle) co_return handle.error();
  const auto attributes = co_await client.fstat(*handle);
  if (attributes && attributes->size.value_or(0) > kLongestControlFile) {
    co_return make_error(ErrorKind::kInvalid, "{} bytes are too many for a control file",
                         *attributes->size);
  }
  std::string text;
  const sftp::DataSink keep = [&](std::span<const std::byte> data) {
    text.append(reinterpret_cast<const char*>(data.data()), data.size());
  };
  const auto read = co_await client.read(*handle, kLongestControlFile, keep);
  [[maybe_unused]] const auto closed = co_await client.close(*handle);
  if (!read) co_return read.error();
  co_return text;
}

}  // namespace

Result<Verification> verify_destination(const ReceivedControlFile& control,
                                        const Destination& destination,
                                        const VerifyOptions& options, StopToken& stop) {
  sftp::EventLoop loop(stop);
  const auto client = connect_to(destination, loop);
  if (!client) return client.error();
  const auto directory = loop.wait_for(find_directory(**client, destination.directory));
  if (!directory) return directory.error().with_context(destination.directory);
  auto verification = DestinationCheck(control, *directory, options, **client, stop).run();
  if (!verification || !options.strict) return verification;
  auto extra = find_extra_files(control, *directory, **client);
  if (!extra) return extra.error();
  std::ranges::move(*extra, std::back_inserter(verification->findings));
  return verification;
}

Result<ReceivedControlFile> fetch_control_file(const Destination& destination,
                                               std::string_view name, StopToken& stop) {
  sftp::EventLoop loop(stop);
  const auto client = connect_to(destination, loop);
  if (!client) return client.error();
  const std::string& directory =
      destination.control_directory.empty() ? destination.directory : destination.control_directory;
  const std::string path =
      join_remote(directory, name.ends_with(".json") ? std::string(name) : control_file_name(name));
  auto text = loop.wait_for(read_text(**client, path));
  if (!text) return text.error().with_context(path);
  std::istringstream stream(std::move(*text));
  auto control = read_control_file(stream);
  if (!control) return control.error().with_context(path);
  return control;
}

}  // namespace ferry::transfer
