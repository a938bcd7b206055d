// Which files a run takes, and in what order: claims them, some at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ferry/metastore/metastore.h"
#include "ferry/transfer/agent.h"
#include "transfer/source/landing_roots.h"

namespace ferry::transfer {

/// Pure: one file against a selection, at TIME.
bool is_selected(const metastore::FileRecord& file, const metastore::Delivery* delivery,
                 const TransferOptions& options, Timestamp time);

/// Belongs to one thread. Errors: the metastore's, and kInvalid if a name of the selection matches
/// no file.
class Feed {
 public:
  Feed(metastore::Metastore& metastore, const Destination& destination,
       const TransferOptions& options);

  /// A new look. ROOTS is what there is of the landing areas, and outlives it.
  void begin(const LandingRoots& roots);

  struct Found {
    bool any = false;  // that can be had
    /// Files that are not found, on a file system that is not there.
    std::uint64_t unmounted = 0;
  };
  /// Whether there is anything to deliver of this landing area.
  Outcome<Found> look_in(const std::string& landing);

  /// Begins at the oldest file. Landing areas that are not in READABLE are left out.
  void rewind(std::set<std::string> readable);

  /// How much may be claimed together.
  struct Room {
    std::size_t files = 0;
    /// The first file may be larger than this.
    std::uint64_t bytes = 0;
    bool is_empty = true;  // of the batch: nothing is in it yet
  };
  struct Claimed {
    std::vector<metastore::Claim> claims;
    /// There was no room for the next one.
    bool is_full = false;
  };
  Result<Claimed> claim(const std::string& batch_id, const std::string& agent, const Room& room);

  /// Nothing is left, since the last rewind.
  bool is_exhausted() const { return is_searched_ && next_known_ == known_.size(); }
  /// When a file that had to wait may go, if there was one.
  std::optional<Timestamp> next_due() const { return next_due_; }

  /// All of it, without claiming anything: what can be had of READABLE.
  Outcome<void> visit(std::set<std::string> readable,
                      const std::function<void(const metastore::FileRecord& file)>& take);

  /// Files were left out that belong to batches of agents which have died, and which nobody has
  /// brought to their end yet.
  bool saw_dead_batches() const { return saw_dead_batches_; }

  /// Says what was left out though it was asked for.
  void tell_of_left_out() const;

 private:
  enum class Verdict : std::uint8_t { kTake, kLeave, kDoubtful };
  using Answer = metastore::ClaimRequest::Answer;
  struct Claiming;
  /// A file of which more has to be asked than may be while others wait.
  struct Doubt {
    metastore::FileRecord file;
    std::string batch_id;  // of an agent that has died
  };

  Verdict judge(const metastore::FileRecord& file, const metastore::Delivery* delivery);
  bool may_go(const metastore::FileRecord& file);
  bool is_doubtful(const metastore::FileRecord& file, const metastore::Delivery* delivery) const;
  bool is_of_dead_batch(std::string_view batch_id);
  metastore::FileQuery query() const;
  Outcome<void> check_names();
  Result<void> find_named();
  Result<void> find_ordered();
  Result<void> claim_known(Claiming& claiming);
  Result<void> claim_found(Claiming& claiming);
  void settle_doubts();

  metastore::Metastore& metastore_;
  const Destination& destination_;
  const TransferOptions& options_;
  const bool is_named_;    // files were asked for by name
  const bool is_ordered_;  // some route wants another order than the files' age
  const LandingRoots* roots_ = nullptr;
  std::set<std::string> readable_;
  std::set<std::string, std::less<>> settled_batches_;  // of dead agents, without journals
  bool saw_dead_batches_ = false;
  Timestamp time_;  // of the look

  std::vector<std::string> known_;  // ids, to be claimed without any doubt
  std::size_t next_known_ = 0;
  std::string after_;         // the last file that was judged
  bool is_searched_ = false;  // to the end
  std::vector<Doubt> doubtful_;
  bool names_checked_ = false;
  std::optional<Timestamp> next_due_;

  std::uint64_t unrouted_ = 0;
  std::uint64_t waiting_ = 0;
  std::map<std::string, std::uint64_t> elsewhere_;  // by landing area
};

}  // namespace ferry::transfer
