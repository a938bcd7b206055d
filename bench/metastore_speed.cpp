// Measures what a metastore takes for what watchers, agents and people ask of it, with many files
// in it that are delivered, and some that wait.
//
//   metastore_speed LOCATION [FILES [PENDING]]
//
// It is filled first, as far as it is not yet.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "ferry/base/log.h"
#include "ferry/metastore/metastore.h"

namespace {

using namespace ferry;
using namespace ferry::metastore;
using Clock = std::chrono::steady_clock;

constexpr const char* kTo = "warehouse";
constexpr std::size_t kGroup = 10'000;

template <typename T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}
void must(const Result<void>& result) {
  if (result) return;
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}

template <typename Work>
auto timed(const char* what, Work work) {
  const auto began = Clock::now();
  auto answer = work();
  const std::chrono::duration<double> took = Clock::now() - began;
  std::printf("%-44s %8.3f s\n", what, took.count());
  std::fflush(stdout);
  return answer;
}

std::vector<FileRecord> found(std::size_t from, std::size_t count) {
  std::vector<FileRecord> files(count);
  for (std::size_t i = 0; i < count; ++i) {
    FileRecord& file = files[i];
    file.path = fmt::format("partner-{}/2026/11/{:08}.csv", (from + i) % 20, from + i);
    file.landing = "in";
    file.source = FileSource::kWatch;
    file.identity =
        FileIdentity{.device = 7, .inode = from + i, .size = 10'240, .mtime_ns = 1, .ctime_ns = 1};
    Hasher hasher(HashAlgorithm::kSha256);
    hasher.update(as_bytes(file.path));
    file.checksum = hasher.finish();
  }
  return files;
}

std::vector<TransferRecord> delivered(const std::vector<Claim>& claims, const std::string& agent) {
  std::vector<TransferRecord> rows;
  for (const Claim& claim : claims) {
    TransferRecord& row = rows.emplace_back();
    row.id = claim.file.id;
    row.status = TransferStatus::kSuccessful;
    row.date = now();
    row.destination = kTo;
    row.batch_id = "batch";
    row.agent = agent;
    row.attempt = claim.attempt;
    row.bytes = 10'240;
    row.duration_ms = 12;
    row.remote_path = claim.file.path;
    row.checksum = claim.file.checksum;
  }
  return rows;
}

void run(const std::string& location, std::size_t files, std::size_t pending) {
  Options options;
  options.demand.destinations = {kTo};
  auto store = must(open_metastore(location, options));
  const auto agent = must(store->join());
  ClaimRequest some;
  some.destination = kTo;
  some.batch_id = "batch";
  some.agent = agent->name();
  some.query.limit = kGroup;
  const std::size_t there = must(store->totals(kTo))[Standing::kSuccessful].files;
  const auto began = Clock::now();
  for (std::size_t done = there; done < files - pending; done += kGroup) {
    must(store->register_files(found(done, std::min(kGroup, files - pending - done))));
    must(store->append_transfers(delivered(must(store->claim(some)), agent->name())));
  }
  const std::chrono::duration<double> took = Clock::now() - began;
  std::printf("up to %zu files entered, claimed and delivered %10.1f s\n", files - pending,
              took.count());
  for (int round = 1; round <= 3; ++round) {
    std::printf("round %d\n", round);
    const std::size_t from =
        std::max(files, there + 10 * pending) + static_cast<std::size_t>(round) * pending;
    timed("register the pending files",
          [&] { return must(store->register_files(found(from, pending))); });
    timed("register them again: nothing to do",
          [&] { return must(store->register_files(found(from, pending))); });
    timed("open", [&] { return must(open_metastore_for_reading(location, options)); });
    const auto totals = timed("status", [&] { return must(store->totals()); });
    if (totals.at(0)[Standing::kPending].files != pending) std::printf("wrong totals\n");
    timed("is_pending", [&] { return must(store->is_pending()); });
    some.query.limit = pending;
    const auto claims = timed("claim them", [&] { return must(store->claim(some)); });
    if (claims.size() != pending) std::printf("wrong claims\n");
    timed("status", [&] { return must(store->totals()); });
    timed("record them as successful", [&] {
      must(store->append_transfers(delivered(claims, agent->name())));
      return 0;
    });
    timed("claim one when nothing is pending", [&] { return must(store->claim(some)); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: metastore_speed LOCATION [FILES [PENDING]]\n");
    return 2;
  }
  log::init(log::Level::kWarning, log::Format::kText);
  const std::size_t files = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const std::size_t pending = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 10'000;
  run(argv[1], files, pending);
  return 0;
}
